"""One client of the control API, whatever carries its lines: requests in, answers and events out, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from tuiconf.control import rpc
from tuiconf.control.front_ends import FrontEnds
from tuiconf.control.history import History, Subscription, wanted_names
from tuiconf.control.outbox import Outbox
from tuiconf.control.rpc import ControlError, ErrorNumber
from tuiconf.control.schema import (
    METHODS,
    AnyRequest,
    Attach,
    Detach,
    Done,
    PushToTalkDown,
    PushToTalkUp,
    SoundIn,
    SoundOut,
    Subscribe,
    Subscribed,
    Unsubscribe,
)
from tuiconf.errors import TuiconfError

_TWO_KEYS: Final = "ptt.down: hold_s is of a switch and renew_s of this connection: say one of them"
_NOT_A_STREAM: Final = "sound needs a connection of its own to the engine's socket"


class Service(Protocol):
    """What requests are done by."""

    history: History
    front_ends: FrontEnds

    async def do(self, request: AnyRequest) -> msgspec.Struct:
        """Do it.

        Raises:
            TuiconfError: it cannot be done.
        """
        ...

    def contain(self, fault: Exception) -> None:
        """A request ran into a bug of ours."""
        ...


class ClientSession:
    """`wake` is called when there is something to `take` and to write."""

    def __init__(self, service: Service, wake: Callable[[], None]) -> None:
        self._service = service
        self._wake = wake
        self.outbox = Outbox(service.history.missed)

    async def line(self, line: bytes, *, streams: bool) -> SoundIn | SoundOut | None:
        """Do what one line asks, and answer. A request for a stream is given back, to be begun once it is answered.

        `streams` says whether this connection can become one.
        """
        request_id: rpc.Id | msgspec.UnsetType = None
        try:
            request = rpc.parse_request(line)
            request_id = request.id
            wanted = decode_params(request)
            if isinstance(wanted, SoundIn | SoundOut):
                if not streams:
                    raise ControlError(ErrorNumber.REFUSED, _NOT_A_STREAM, code="no_stream")
                await self._service.do(wanted)  # refuses what cannot be
                self._answer(request_id, Done())
                return wanted
            self._answer(request_id, await self._do(wanted))
            if isinstance(wanted, Subscribe) and wanted.since is not None:
                self._service.history.repeat(self._subscription(wanted), wanted.since)
        except TuiconfError as error:
            self.refuse(error, request_id)
        except Exception as fault:  # noqa: BLE001 - a bug of ours costs this request, and is told
            self._service.contain(fault)
            self.refuse(ControlError(ErrorNumber.INTERNAL, "a fault of this program: please report it"), request_id)
        return None

    def refuse(self, error: TuiconfError, request_id: rpc.Id | msgspec.UnsetType = None) -> None:
        """Answer that something was not done."""
        if not isinstance(error, ControlError):
            error = ControlError(ErrorNumber.REFUSED, str(error), code=error.code)
        if not isinstance(request_id, msgspec.UnsetType):
            self.outbox.answer(rpc.error(request_id, error))
            self._wake()

    def close(self) -> None:
        """The client is gone."""
        self._service.history.unsubscribe(self.outbox)
        self._service.front_ends.gone(self)

    def _answer(self, request_id: rpc.Id | msgspec.UnsetType, result: msgspec.Struct) -> None:
        if not isinstance(request_id, msgspec.UnsetType):
            self.outbox.answer(rpc.result(request_id, result))
            self._wake()

    async def _do(self, request: AnyRequest) -> msgspec.Struct:
        """What belongs to this client is done here, the rest by the service."""
        match request:
            case Subscribe():
                return self._subscribe(request)
            case Unsubscribe():
                self._service.history.unsubscribe(self.outbox)
            case Attach():
                self._service.front_ends.attach(self)
            case Detach():
                self._service.front_ends.detach(self, wanted=True)
            case PushToTalkDown(hold_s=hold_s, renew_s=renew_s):
                if hold_s is not None and renew_s is not None:
                    raise ControlError(ErrorNumber.INVALID_PARAMS, _TWO_KEYS)
                self._service.front_ends.push_to_talk(self, down=True, hold_s=hold_s, renew_s=renew_s)
            case PushToTalkUp():
                self._service.front_ends.push_to_talk(self, down=False)
            case _:
                return await self._service.do(request)
        return Done()

    def _subscribe(self, request: Subscribe) -> Subscribed:
        history = self._service.history
        subscription = self._subscription(request)
        history.unsubscribe(self.outbox)
        history.subscribe(subscription)
        return Subscribed(seq=history.seq if request.since is None else min(request.since, history.seq))

    def _subscription(self, request: Subscribe) -> Subscription:
        return Subscription(self.outbox, wanted_names(request.events), self._wake)


def decode_params(request: rpc.Request) -> AnyRequest:
    """The typed request.

    Raises:
        ControlError: there is no such method, or its parameters are wrong.
    """
    kind = METHODS.get(request.method)
    if kind is None:
        raise ControlError(ErrorNumber.METHOD_NOT_FOUND, "there is no such method: tuiconf ctl --schema lists all")
    params = b"{}" if isinstance(request.params, msgspec.UnsetType) else bytes(request.params)
    try:
        return msgspec.json.decode(params, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ControlError(ErrorNumber.INVALID_PARAMS, f"{kind.method}: {error}") from error
