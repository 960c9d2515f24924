"""Can the relay be reached, is it one, is it the right one, and how far away is it?"""

from __future__ import annotations

import asyncio
import errno
import os
import shlex
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tuiconf import paths
from tuiconf.adapters import private_files
from tuiconf.adapters.known_relays import MAX_FILE_BYTES, KnownRelays, KnownRelaysError, parse_known_relays
from tuiconf.adapters.private_files import FileError
from tuiconf.adapters.relay import RelayConnection, RelayNotTrusted, RelayUnreachable
from tuiconf.adapters.trust import AskPerson, RelayTrust
from tuiconf.doctor import udp
from tuiconf.doctor.findings import Context, Finding, Level, ok, problem, skipped, warning
from tuiconf.doctor.udp import Address, Heard
from tuiconf.identity.link import SCHEME, RelayAddress, format_host_port, format_pin, parse_link, parse_relay

# The file of known relays may hold thousands. Whoever asks about one names it.
MAX_KNOWN: Final = 5

# Above this people begin to talk at the same time; above twice that it is no conversation.
SLOW_MS: Final = 200.0
# Loss that repetition cannot hide without doubling what is sent.
LOSSY_PERCENT: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Connection:
    """How the real connection went."""

    rtt_ms: float | None = None
    refusal: RelayNotTrusted | None = None
    unreachable: bool = False


def address_of(text: str) -> RelayAddress:
    """The relay in a link or an address as it is typed.

    Raises:
        LinkError: it is neither.
    """
    if text.strip()[: len(SCHEME)].lower() == SCHEME:
        return parse_link(text).relay
    return parse_relay(text)


def relay(context: Context) -> Iterator[Finding]:
    """The relay that was named, or those that are known."""
    if context.relay is not None:
        yield from asyncio.run(_examine(address_of(context.relay), context))
        return
    known = _known(context)
    if not known:
        command = "tuiconf doctor --relay 'RELAY[:PORT]'"
        yield skipped("no_relay", "no relay was named, and none is known: the network was not looked at", command)
    for address in known[:MAX_KNOWN]:
        yield from asyncio.run(_examine(address, context))
    if len(known) > MAX_KNOWN:
        sentence = f"{len(known) - MAX_KNOWN} more known relays were not looked at"
        yield skipped("more_relays", sentence, "tuiconf doctor --relay 'RELAY[:PORT]'")


def _known(context: Context) -> list[RelayAddress]:
    """As the file says; what is wrong with it is told by the check of the files."""
    path = paths.known_relays_file(context.environ)
    try:
        text = (private_files.read(path, max_bytes=MAX_FILE_BYTES, secret=False) or b"").decode()
        relays = parse_known_relays(text)
    except (FileError, KnownRelaysError, UnicodeDecodeError):
        return []
    return [RelayAddress(host=host, port=port) for host, port in relays]


async def _examine(address: RelayAddress, context: Context) -> list[Finding]:
    name = format_host_port(address.host, address.port)
    addresses = await udp.resolve(address.host, address.port)
    if not addresses:
        sentence = f"{name}: the name is not known, or no name server answers"
        return [problem("name_unknown", sentence, f"getent hosts {shlex.quote(address.host)}")]
    heard = await asyncio.gather(*(udp.ask(one) for one in addresses))
    asked = list(zip(addresses, heard, strict=True))
    answered = [what for _, what in asked if what.quic]
    if not answered:
        return [await _silence(name, address, addresses, heard, context)]
    connection = await _connect(address, context)
    finding = _answer(name, address, answered[0], connection)
    # One that refuses, or that there is no way to, costs no time.
    silent = [one.kind for one, what in asked if not what.quic and not what.refused and what.error is None]
    if silent and finding.level is Level.OK:
        sentence = f"{name}: nothing answers over {silent[0]}, which may be tried first: joining takes seconds longer"
        return [finding, warning("one_family_silent", sentence, facts={"family": silent[0]})]
    return [finding]


async def _connect(address: RelayAddress, context: Context) -> _Connection:
    """The connection of a call, closed before anything is said."""
    trust = RelayTrust(KnownRelays(paths.known_relays_file(context.environ), rng=os.urandom))
    connection = RelayConnection(on_message=lambda _: None, on_datagram=lambda _: None, on_closed=lambda: None)
    try:
        await connection.open(address, library=context.library, trust=trust)
        return _Connection(rtt_ms=connection.rtt_ms)
    except RelayNotTrusted as error:
        return _Connection(refusal=error)
    except RelayUnreachable:
        return _Connection(unreachable=True)
    finally:
        await connection.close()


def _answer(name: str, address: RelayAddress, heard: Heard, connection: _Connection) -> Finding:
    """Something there speaks QUIC: what the connection to it was like."""
    if connection.unreachable:
        sentence = (
            f"{name}: something there speaks QUIC, but takes no connection of ours: it is another program or another"
            " version of the relay, or the relay is full"
        )
        return problem("not_a_relay", sentence, "relay-quic serve --verbose")
    if isinstance(connection.refusal, AskPerson):
        pin = format_pin(connection.refusal.pin)
        sentence = f"{name}: reached, and not known yet; if its operator confirms this pin, use it"
        return warning(
            "relay_unknown", sentence, f"tuiconf host {shlex.quote(f'{name}?pin={pin}')}", facts=_path(heard)
        )
    if connection.refusal is not None:
        code = "pin_differs" if address.pin is not None else connection.refusal.code
        return problem(code, f"{name}: {connection.refusal}")
    return _quality(name, heard, connection)


def _quality(name: str, heard: Heard, connection: _Connection) -> Finding:
    path = _path(heard)
    facts = {**path, "connection_rtt_ms": connection.rtt_ms}
    middle, loss = statistics.median(heard.round_trips_ms), _loss_percent(heard)
    trips = f"{min(heard.round_trips_ms):.1f} / {middle:.1f} / {max(heard.round_trips_ms):.1f} ms"
    said = f"round trip {trips} (least, median, most of {len(heard.round_trips_ms)})"
    if loss >= LOSSY_PERCENT:
        lost = heard.asked - len(heard.round_trips_ms)
        return warning(
            "relay_lossy", f"{name}: the right relay, but {lost} of {heard.asked} pings were lost; {said}", facts=facts
        )
    if middle > SLOW_MS:
        return warning("relay_far", f"{name}: the right relay, and far away; {said}", facts=facts)
    return ok("relay", f"{name}: the right relay; {said}", facts=facts)


def _path(heard: Heard) -> dict[str, float]:
    return {
        "rtt_ms_min": round(min(heard.round_trips_ms), 1),
        "rtt_ms_median": round(statistics.median(heard.round_trips_ms), 1),
        "rtt_ms_max": round(max(heard.round_trips_ms), 1),
        "loss_percent": round(_loss_percent(heard), 1),
    }


def _loss_percent(heard: Heard) -> float:
    return 100 * (1 - len(heard.round_trips_ms) / max(heard.asked, 1))


async def _silence(
    name: str, address: RelayAddress, addresses: Sequence[Address], heard: Sequence[Heard], context: Context
) -> Finding:
    """No QUIC there: why, as far as it can be told from here."""
    listening = f"ss -lun 'sport = :{address.port}'"
    if any(what.other_answers for what in heard):
        sentence = (
            f"{name}: something answers at UDP port {address.port}, and it is not QUIC: another program has the port"
        )
        return problem("not_quic", sentence, listening)
    if any(what.refused for what in heard):
        sentence = f"{name}: the machine is there and says that nothing listens at UDP port {address.port} (look there)"
        return problem("port_closed", sentence, listening)
    errors = {what.error for what in heard if what.error is not None}
    if errors & {errno.EPERM, errno.EACCES}:
        sentence = f"{name}: this machine's own firewall does not let UDP out"
        return problem("udp_not_permitted", sentence, context.system.as_root("nft list ruleset"))
    if len(errors) and all(what.error is not None for what in heard):
        why = os.strerror(next(iter(errors))).lower()
        return problem("no_route", f"{name}: there is no way there ({why}): is the network up?", "ip route")
    return await _blocked(name, address, addresses)


async def _blocked(name: str, address: RelayAddress, addresses: Sequence[Address]) -> Finding:
    """Total silence over UDP. An answer over TCP tells a path that is blocked from a machine that is off."""
    spoken = any(await asyncio.gather(*(udp.answers_tcp(one) for one in addresses)))
    allow = f"sudo ufw allow {address.port}/udp"
    if spoken:
        sentence = (
            f"{name}: the machine answers over TCP, and nothing comes back over UDP: port {address.port}/udp is"
            " blocked, by this network or by the relay's firewall (open it there, or try another network)"
        )
        return problem("udp_blocked", sentence, allow, facts={"tcp": True})
    sentence = (
        f"{name}: nothing answers, over UDP or TCP: the machine is off, its address is another one, or a firewall"
        f" swallows everything (on the relay, UDP port {address.port} must be open)"
    )
    return problem("silent", sentence, allow, facts={"tcp": False})
