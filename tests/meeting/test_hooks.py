"""Hooks: signed, tried again, in order, and never in anybody's way."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import json
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.adapters.private_files import NotPrivate
from tuiconf.meeting import delivery, hooks
from tuiconf.meeting.delivery import DONE, Message, Outcome, next_try, of_status
from tuiconf.meeting.hook_command import Command
from tuiconf.meeting.hooks import MAX_WAITING, Hooks, Target
from tuiconf.meeting.script import Hook, HookEvent
from tuiconf.meeting.signing import Secret, SecretError
from tuiconf.meeting.targets import target
from tuiconf.meeting.webhook import CertificateError, Webhook

NOW = 1_796_115_600.0
KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
MESSAGE = Message(event="joined", delivery="msg_1", body=b'{"a":1}', variables={"TUICONF_EVENT": "joined"}, at=0.0)


# --- signing


def test_the_signature_is_that_of_the_standard() -> None:
    # The example of standardwebhooks.com's own libraries.
    secret = Secret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = secret.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', unix=1614265330)
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize(
    "text", ["", "whsec_", "hunter2", "whsec_aGk=", base64.b64encode(bytes(65)).decode(), "ä" * 40]
)
def test_a_secret_that_could_be_guessed_or_is_none_is_refused(text: str) -> None:
    with pytest.raises(SecretError, match="openssl rand"):
        Secret.parse(text)


def test_a_secret_is_shown_nowhere() -> None:
    assert repr(Secret.parse(SECRET)) == "<Secret>"


# --- when to try again


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_success_is_anything_with_2(status: int) -> None:
    assert of_status(status, None, unix=NOW).done


@pytest.mark.parametrize("status", [500, 502, 503, 599, 408, 425, 429])
def test_what_passes_is_tried_again(status: int) -> None:
    assert of_status(status, None, unix=NOW).again


@pytest.mark.parametrize("status", [101, 301, 302, 307, 308, 400, 401, 403, 404, 410])
def test_redirects_and_refusals_are_final(status: int) -> None:
    outcome = of_status(status, "1", unix=NOW)
    assert not outcome.done
    assert not outcome.again
    assert outcome.why == f"HTTP {status}"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("99999999999999999999", delivery.LONGEST_RETRY_AFTER_S),
        ("Tue, 01 Dec 2026 09:00:30 GMT", 30.0),
        ("Tue, 01 Dec 2020 09:00:30 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("٧", None),
    ],
)
def test_retry_after_is_heeded_within_bounds(header: str, seconds: float | None) -> None:
    assert of_status(503, header, unix=NOW).retry_after_s == seconds


@given(st.text(max_size=40))
def test_no_retry_after_is_too_much(header: str) -> None:
    seconds = of_status(503, header, unix=NOW).retry_after_s
    assert seconds is None or 0 <= seconds <= delivery.LONGEST_RETRY_AFTER_S


def test_pauses_double_up_to_a_minute_and_half_of_each_is_chance() -> None:
    again = Outcome(again=True)
    longest = [next_try(again, tries=tries, now=0, deadline=1e9, random=lambda: 1.0) for tries in range(1, 9)]
    assert longest == [1, 2, 4, 8, 16, 32, 60, 60]
    assert next_try(again, tries=3, now=10, deadline=1e9, random=lambda: 0.0) == 12
    assert next_try(again, tries=10**9, now=0, deadline=1e9, random=lambda: 1.0) == 60


def test_after_the_deadline_it_is_given_up() -> None:
    again = Outcome(again=True)
    assert next_try(again, tries=1, now=9.5, deadline=10, random=lambda: 1.0) is None
    assert next_try(Outcome(again=True, retry_after_s=60), tries=1, now=0, deadline=50, random=lambda: 0.0) is None
    assert next_try(DONE, tries=1, now=0, deadline=50, random=lambda: 0.0) is None
    assert next_try(Outcome(), tries=1, now=0, deadline=50, random=lambda: 0.0) is None


async def _until(found: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not found():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


def _has_ended(pid: str) -> bool:
    """A zombie has: whoever should take its exit code is gone, too."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


# --- queues


class Scripted:
    """A target with an answer for each try; DONE after the last. It waits for `gate`."""

    def __init__(self, *answers: Outcome | Exception) -> None:
        self.answers = list(answers)
        self.tries: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, message: Message) -> Outcome:
        await self.gate.wait()
        self.tries.append(message.event)
        answer = self.answers.pop(0) if self.answers else DONE
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(hooks, "HURRY_S", 0.2)


def make(targets: Sequence[tuple[Hook, Target]], said: list[str]) -> Hooks:
    made = Hooks(targets, report=said.append)
    made.start()
    return made


def tell(made: Hooks, *events: HookEvent) -> None:
    for event in events:
        made.tell(event, {"name": "Ann"}, title="T", start=NOW)


HOOK = Hook(command=("x",))


@pytest.mark.usefixtures("quick")
async def test_events_of_one_hook_keep_their_order_though_the_first_fails() -> None:
    failing, said = Scripted(Outcome(again=True, why="x"), Outcome(again=True, why="x")), list[str]()
    made = make([(HOOK, failing)], said)
    tell(made, "joined", "started", "ended")
    await made.finish(asyncio.Event())
    assert failing.tries == ["joined", "joined", "joined", "started", "ended"]
    assert said == []


@pytest.mark.usefixtures("quick")
async def test_a_hook_that_hangs_holds_up_no_other_and_not_who_tells() -> None:
    hanging, other, said = Scripted(), Scripted(), list[str]()
    hanging.gate.clear()
    made = make([(HOOK, hanging), (HOOK, other)], said)
    tell(made, "joined", "ended")
    await _until(lambda: len(other.tries) == 2)
    hurry = asyncio.Event()
    hurry.set()
    began = time.monotonic()
    await made.finish(hurry)
    assert time.monotonic() - began < 10
    assert said == ["hook[0]: 2 events were not delivered before the end"]


async def test_hooks_are_told_what_they_want_to_know_only() -> None:
    some = Scripted()
    made = make([(Hook(command=("x",), on=("ended",)), some)], [])
    tell(made, "joined", "started", "ended")
    await made.finish(asyncio.Event())
    assert some.tries == ["ended"]


async def test_what_is_given_up_is_told_without_names() -> None:
    said: list[str] = []
    made = make([(HOOK, Scripted(Outcome(why="HTTP 404"), ValueError("Ann")))], said)
    tell(made, "joined", "ended")
    await made.finish(asyncio.Event())
    assert said == [
        "hook[0]: joined was not delivered, tried 1 times: HTTP 404",
        "hook[0]: ended was not delivered, tried 1 times: a bug (ValueError)",
    ]


async def test_a_queue_is_bounded_and_loses_the_oldest() -> None:
    slow, said = Scripted(), list[str]()
    slow.gate.clear()
    made = make([(HOOK, slow)], said)
    tell(made, "joined")
    await asyncio.sleep(0)  # it is being delivered
    for _ in range(MAX_WAITING):
        tell(made, "participant_joined")
    tell(made, "ended")
    assert said == ["hook[0] is too slow: an event was dropped"]
    slow.gate.set()
    await made.finish(asyncio.Event())
    assert len(slow.tries) == MAX_WAITING + 1
    assert slow.tries[-1] == "ended"


# --- commands


async def test_a_command_gets_json_on_standard_input_and_no_name_on_its_command_line(tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = f'cat > {out}; echo "$TUICONF_EVENT $# $TUICONF_PASSPHRASE" >> {out}; pwd >> {out}'
    os.environ["TUICONF_PASSPHRASE"] = "secret"
    try:
        outcome = await Command(["sh", "-c", script], folder=tmp_path, timeout_s=20).send(MESSAGE)
    finally:
        del os.environ["TUICONF_PASSPHRASE"]
    assert outcome == DONE
    assert out.read_text() == f'{{"a":1}}joined 0 \n{tmp_path}\n'


@pytest.mark.parametrize(("code", "again"), [(75, True), (1, False), (2, False)])
async def test_a_command_says_by_its_exit_code_whether_to_try_again(tmp_path: Path, code: int, again: bool) -> None:
    outcome = await Command(["sh", "-c", f"exit {code}"], folder=tmp_path, timeout_s=20).send(MESSAGE)
    assert outcome == Outcome(again=again, why=f"exit code {code}")


async def test_a_command_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    began = time.monotonic()
    outcome = await Command(["sh", "-c", "sleep 60 & echo $! > pid; wait"], folder=tmp_path, timeout_s=0.5).send(
        MESSAGE
    )
    assert time.monotonic() - began < 20
    assert outcome == Outcome(why="it took longer than 0.5 s")
    await _until(lambda: _has_ended((tmp_path / "pid").read_text().strip()))


async def test_a_command_that_reads_nothing_or_is_not_there_is_no_trouble(tmp_path: Path) -> None:
    big = Message(event="joined", delivery="1", body=b"x" * 1_000_000, variables={}, at=0)
    assert await Command(["true"], folder=tmp_path, timeout_s=20).send(big) == DONE
    missing = await Command(["/no/such/command"], folder=tmp_path, timeout_s=20).send(MESSAGE)
    assert missing.why == "it cannot be run (FileNotFoundError)"
    assert not missing.again


# --- webhooks

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@asynccontextmanager
async def server(
    answer: bytes, *, drip_s: float = 0.0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers each request with this, perhaps a byte at a time; its URL, and what it was sent."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            requests.append(head + await reader.readexactly(len(MESSAGE.body)))
            for byte in answer:
                writer.write(bytes([byte]))
                if drip_s:
                    await writer.drain()
                    await asyncio.sleep(drip_s)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", requests


def webhook(url: str, *, timeout_s: float = 20.0) -> Webhook:
    return Webhook(url, Secret.parse(SECRET), ca_file=None, timeout_s=timeout_s)


async def test_a_webhook_is_a_signed_post() -> None:
    async with server(b"HTTP/1.1 204 No Content\r\n\r\n") as (url, requests):
        assert await webhook(f"{url}/a/b?c=d").send(MESSAGE) == DONE
    head, _, body = requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /a/b?c=d HTTP/1.1"
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert headers["Content-Type"] == "application/json"
    assert body == MESSAGE.body
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    signed = f"msg_1.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.digest(KEY, signed, hashlib.sha256)
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 503 Busy\r\nRetry-After: 3\r\n\r\n", Outcome(again=True, why="HTTP 503", retry_after_s=3)),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", Outcome(why="HTTP 302")),
        (b"hello", Outcome(again=True, why="no answer (BadStatusLine)")),
        (b"", Outcome(again=True, why="no answer (RemoteDisconnected)")),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 2000, Outcome(again=True, why="no answer (HTTPException)")),
        (b"HTTP/1.1 200 " + b"x" * 100_000, Outcome(again=True, why="no answer (LineTooLong)")),
    ],
)
async def test_whatever_a_server_answers_is_an_outcome(answer: bytes, outcome: Outcome) -> None:
    async with server(answer) as (url, requests):
        assert await webhook(url).send(MESSAGE) == outcome
        assert len(requests) == 1


async def test_a_server_that_answers_a_byte_at_a_time_has_no_more_time_than_any_other() -> None:
    async with server(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 90, drip_s=0.05) as (url, _):
        began = time.monotonic()
        outcome = await webhook(url, timeout_s=0.5).send(MESSAGE)
        assert outcome == Outcome(again=True, why="no answer in time")
        assert time.monotonic() - began < 10


async def test_a_server_that_is_not_there_is_tried_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        outcome = await webhook(f"http://127.0.0.1:{taken.getsockname()[1]}/").send(MESSAGE)
    assert outcome == Outcome(again=True, why="no answer (ConnectionRefusedError)")


def write_certificate(folder: Path) -> ssl.SSLContext:
    """A server's, made by itself, and for this machine; it is in cert.pem as well."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
    certificate = builder.add_extension(here, critical=False).sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def test_a_server_has_to_prove_who_it_is(tmp_path: Path) -> None:
    context = write_certificate(tmp_path)
    async with server(b"HTTP/1.1 204 No Content\r\n\r\n", tls=context) as (url, requests):
        secure, secret = url.replace("http:", "https:"), Secret.parse(SECRET)
        refused = await Webhook(secure, secret, ca_file=None, timeout_s=20).send(MESSAGE)
        assert refused == Outcome(again=True, why="its certificate, or its TLS, is not to be trusted")
        assert requests == []
        known = Webhook(secure, secret, ca_file=tmp_path / "cert.pem", timeout_s=20)
        assert await known.send(MESSAGE) == DONE
        assert len(requests) == 1
    with pytest.raises(CertificateError, match="no certificates"):
        Webhook(secure, secret, ca_file=tmp_path / "key.pem", timeout_s=20)


# --- made ready


def test_secrets_are_files_of_their_owner_or_credentials_of_a_service(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text(f"{SECRET}\n")
    by_file = Hook(url="https://h/", secret_file=tmp_path / "hook")
    by_credential = Hook(url="https://h/", secret_credential="hook")
    (tmp_path / "hook").chmod(0o644)
    with pytest.raises(NotPrivate):
        target(by_file, folder=tmp_path, environ={})
    assert isinstance(target(by_credential, folder=tmp_path, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)}), Webhook)
    (tmp_path / "hook").chmod(0o600)
    assert isinstance(target(by_file, folder=tmp_path, environ={}), Webhook)
    with pytest.raises(SecretError, match="LoadCredential"):
        target(by_credential, folder=tmp_path, environ={})
    (tmp_path / "hook").unlink()
    with pytest.raises(SecretError, match="there is no such file"):
        target(by_file, folder=tmp_path, environ={})


async def test_what_hooks_are_sent_is_json_with_names_escaped() -> None:
    sent: list[Message] = []

    class Keeping:
        async def send(self, message: Message) -> Outcome:
            sent.append(message)
            return DONE

    made = make([(HOOK, Keeping())], [])
    made.tell("participant_joined", {"name": 'Eve"\n'}, title="T", start=NOW)
    await made.finish(asyncio.Event())
    body = json.loads(sent[0].body)
    assert {key: body[key] for key in ("event", "meeting", "start", "name")} == {
        "event": "participant_joined",
        "meeting": "T",
        "start": "2026-12-01T09:00:00.000Z",
        "name": 'Eve"\n',
    }
    assert sent[0].variables == {"TUICONF_EVENT": "participant_joined", "TUICONF_TIME": body["time"]}
    assert "." not in sent[0].delivery
