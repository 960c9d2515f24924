"""JSON-RPC 2.0 as lines: a request in, a response out, and notifications. Pure.

Batches are refused: with one object per line a client that wants to say several things writes several lines.
"""

from __future__ import annotations

import enum
from typing import Annotated, Final

import msgspec

from tuiconf.errors import TuiconfError

# A chat line of 4,000 characters takes 24 kB when each of them is escaped; nothing a client says is longer.
MAX_LINE_BYTES: Final = 1 << 16

# What a client names its request by: a number or a short text. It is sent back as it came.
MAX_ID_CHARACTERS: Final = 128

# A sentence, and not what a client wrote at length and got wrong.
MAX_MESSAGE_CHARACTERS: Final = 500

# Whole numbers that every JSON library keeps exactly.
Id = (
    Annotated[int, msgspec.Meta(ge=-(1 << 53), le=1 << 53)]
    | Annotated[str, msgspec.Meta(max_length=MAX_ID_CHARACTERS)]
    | None
)


class ErrorNumber(enum.IntEnum):
    """The numbers JSON-RPC 2.0 §5.1 defines, and one for everything that a call refuses."""

    PARSE = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL = -32603
    REFUSED = -32000


_CODES: Final = {
    ErrorNumber.PARSE: "parse",
    ErrorNumber.INVALID_REQUEST: "invalid_request",
    ErrorNumber.METHOD_NOT_FOUND: "method_not_found",
    ErrorNumber.INVALID_PARAMS: "invalid_params",
    ErrorNumber.INTERNAL: "internal",
}


class ControlError(TuiconfError):
    """A request that was not done. `code` is stable and for programs, the text is one sentence for people."""

    code = "control"

    def __init__(self, number: ErrorNumber, message: str, *, code: str | None = None) -> None:
        super().__init__(message if len(message) <= MAX_MESSAGE_CHARACTERS else f"{message[:MAX_MESSAGE_CHARACTERS]}…")
        self.number = number
        self.code = code or _CODES[number]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a client. `id` is UNSET when no answer is wanted."""

    method: str
    jsonrpc: str = ""
    params: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    id: Id | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return "<Request>"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was not done: `data.code` is the stable name."""

    class Data(msgspec.Struct, frozen=True, kw_only=True):
        """What programs match on."""

        code: str

    code: int
    message: str
    data: Data


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line to a client that is not a notification: to a request, `result` or `error`."""

    id: Id | msgspec.UnsetType = msgspec.UNSET
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: Fault | msgspec.UnsetType = msgspec.UNSET
    method: str | msgspec.UnsetType = msgspec.UNSET
    params: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Result(msgspec.Struct, frozen=True, kw_only=True):
    jsonrpc: str = "2.0"
    id: Id
    result: object


class _Error(msgspec.Struct, frozen=True, kw_only=True):
    jsonrpc: str = "2.0"
    id: Id
    error: Fault


class _Notification(msgspec.Struct, frozen=True, kw_only=True):
    jsonrpc: str = "2.0"
    method: str
    params: object


class _Call(msgspec.Struct, frozen=True, kw_only=True):
    jsonrpc: str = "2.0"
    id: Id
    method: str
    params: object


_encoder: Final = msgspec.json.Encoder()
_requests: Final = msgspec.json.Decoder(Request)
_answers: Final = msgspec.json.Decoder(Answer)


def parse_request(line: bytes) -> Request:
    """The request in a line.

    Raises:
        ControlError: it is not JSON, or not a request of JSON-RPC 2.0.
    """
    try:
        request = _requests.decode(line)
    except msgspec.ValidationError as error:
        raise ControlError(ErrorNumber.INVALID_REQUEST, f"not a JSON-RPC request: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ControlError(ErrorNumber.PARSE, "not a line of JSON") from error
    if request.jsonrpc != "2.0":
        raise ControlError(ErrorNumber.INVALID_REQUEST, 'not a JSON-RPC request: "jsonrpc" must be "2.0"')
    return request


def parse_answer(line: bytes) -> Answer:
    """The answer or notification in a line of an engine.

    Raises:
        ControlError: it is neither.
    """
    try:
        return _answers.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ControlError(ErrorNumber.PARSE, "the engine answered with something else than JSON-RPC") from error


def call(request_id: int, method: str, params: object) -> bytes:
    """The line that asks for something, newline included.

    Raises:
        ControlError: there is text in it that is none, as the name of a file can be.
    """
    try:
        return _encoder.encode(_Call(id=request_id, method=method, params=params)) + b"\n"
    except UnicodeEncodeError as error:
        raise ControlError(ErrorNumber.INVALID_PARAMS, f"{method}: not text in UTF-8") from error


def result(request_id: Id, value: object) -> bytes:
    """The line that says it was done, newline included."""
    return _encoder.encode(_Result(id=request_id, result=value)) + b"\n"


def error(request_id: Id, fault: ControlError) -> bytes:
    """The line that says why it was not, newline included."""
    data = Fault.Data(code=fault.code)
    return _encoder.encode(_Error(id=request_id, error=Fault(code=fault.number, message=str(fault), data=data))) + b"\n"


def notification(method: str, params: object) -> bytes:
    """A line that nobody asked for, newline included."""
    return _encoder.encode(_Notification(method=method, params=params)) + b"\n"
