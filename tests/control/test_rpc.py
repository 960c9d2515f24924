"""JSON-RPC lines: whatever a client writes is a request or one typed refusal."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.control.support import patient
from tuiconf.control import rpc
from tuiconf.control.client_session import decode_params
from tuiconf.control.rpc import MAX_LINE_BYTES, MAX_MESSAGE_CHARACTERS, ControlError, ErrorNumber
from tuiconf.control.schema import METHODS

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
    max_leaves=12,
)
members = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | json_values,
        "method": st.sampled_from(sorted(METHODS)) | json_values,
        "id": json_values,
        "params": json_values,
    },
)


def _refused(line: bytes) -> ControlError:
    with pytest.raises(ControlError) as refused:
        decode_params(rpc.parse_request(line))
    return refused.value


def _answerable(line: bytes) -> None:
    """Parse it as the engine does; whatever is wrong with it can be said in a line."""
    request_id: object = None
    try:
        request = rpc.parse_request(line)
        request_id = request.id
        decode_params(request)
    except ControlError as error:
        answer = json.loads(rpc.error(None, error))
        assert answer["error"]["data"]["code"] == error.code
        assert len(answer["error"]["message"]) <= MAX_MESSAGE_CHARACTERS + 1
    if isinstance(request_id, int | str):
        assert json.loads(rpc.result(request_id, {}))["id"] == request_id


@patient
@given(st.binary(max_size=300))
def test_any_bytes_let_out_only_control_errors(line: bytes) -> None:
    _answerable(line)
    with contextlib.suppress(ControlError):
        rpc.parse_answer(line)


@patient
@given(members)
def test_any_json_lets_out_only_control_errors(value: object) -> None:
    line = json.dumps(value).encode()
    _answerable(line)
    with contextlib.suppress(ControlError):
        rpc.parse_answer(line)


@patient
@given(method=st.sampled_from(sorted(METHODS)), params=st.dictionaries(st.text(), json_values, max_size=4))
def test_any_parameters_let_out_only_control_errors(method: str, params: dict[str, object]) -> None:
    known = METHODS[method].__struct_fields__
    named = dict(zip(known, params.values(), strict=False))
    _answerable(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode())
    _answerable(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": named}).encode())


@pytest.mark.parametrize("where", ["%s", '{"jsonrpc":"2.0","method":"hello","id":%s}', '{"method":"x","params":%s}'])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nesting_costs_nothing(where: str, opening: str) -> None:
    _answerable((where % (opening * (MAX_LINE_BYTES // len(opening)))).encode())


@pytest.mark.parametrize("number", ["1" * 5000, "-" + "9" * 400, "1e999", "NaN", "1" + "0" * 30, "1.5", "-0.0"])
def test_numbers_that_no_one_means_are_refused(number: str) -> None:
    assert _refused(b'{"jsonrpc":"2.0","method":"hello","id":%s}' % number.encode()).code in (
        "parse",
        "invalid_request",
    )
    line = b'{"jsonrpc":"2.0","method":"audio.set","params":{"gain_db":%s}}'
    if number not in ("1.5", "-0.0"):
        assert _refused(line % number.encode()).code in ("parse", "invalid_params")


@pytest.mark.parametrize("request_id", [0, -7, 1 << 53, -(1 << 53), "", "a", "\u2028\x00", "é" * 128, None])
def test_an_id_comes_back_as_it_was_given(request_id: int | str | None) -> None:
    line = json.dumps({"jsonrpc": "2.0", "method": "hello", "id": request_id}).encode()
    given_id = rpc.parse_request(line).id
    assert isinstance(given_id, int | str | None)
    assert json.loads(rpc.result(given_id, {}))["id"] == request_id


@pytest.mark.parametrize("request_id", [(1 << 53) + 1, "é" * 129, True, [1], {"a": 1}, 1.5])
def test_an_id_that_not_everybody_keeps_is_refused(request_id: object) -> None:
    line = json.dumps({"jsonrpc": "2.0", "method": "hello", "id": request_id}).encode()
    assert _refused(line).number is ErrorNumber.INVALID_REQUEST


@pytest.mark.parametrize(
    ("line", "number", "code"),
    [
        (b"", ErrorNumber.PARSE, "parse"),
        (b"\xff", ErrorNumber.PARSE, "parse"),
        (b'{"jsonrpc":"2.0","method":"hello"} {}', ErrorNumber.PARSE, "parse"),
        (b"[]", ErrorNumber.INVALID_REQUEST, "invalid_request"),
        (b"{}", ErrorNumber.INVALID_REQUEST, "invalid_request"),
        (b'{"method":"hello"}', ErrorNumber.INVALID_REQUEST, "invalid_request"),
        (b'{"jsonrpc":"1.0","method":"hello"}', ErrorNumber.INVALID_REQUEST, "invalid_request"),
        (b'{"jsonrpc":"2.0","method":"nothing"}', ErrorNumber.METHOD_NOT_FOUND, "method_not_found"),
        (b'{"jsonrpc":"2.0","method":"hello","params":[]}', ErrorNumber.INVALID_PARAMS, "invalid_params"),
        (b'{"jsonrpc":"2.0","method":"hello","params":{"a":1}}', ErrorNumber.INVALID_PARAMS, "invalid_params"),
        (b'{"jsonrpc":"2.0","method":"chat.send"}', ErrorNumber.INVALID_PARAMS, "invalid_params"),
        (b'{"jsonrpc":"2.0","method":"chat.send","params":{"text":""}}', ErrorNumber.INVALID_PARAMS, "invalid_params"),
    ],
)
def test_what_is_wrong_has_the_number_of_the_standard_and_a_name_of_ours(
    line: bytes, number: ErrorNumber, code: str
) -> None:
    error = _refused(line)
    assert (error.number, error.code) == (number, code)


def test_a_request_without_an_id_wants_no_answer() -> None:
    assert not isinstance(rpc.parse_request(b'{"jsonrpc":"2.0","method":"hello"}').id, int | str | None)


def test_what_a_client_got_wrong_at_length_is_not_said_back_at_length() -> None:
    line = b'{"jsonrpc":"2.0","method":"hello","params":{"%s":1}}' % (b"a" * 60_000)
    assert len(str(_refused(line))) <= MAX_MESSAGE_CHARACTERS + 1


def test_a_name_that_is_no_text_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ControlError) as refused:
        rpc.call(1, "play", METHODS["play"](path="caf\udce9.wav"))
    assert refused.value.code == "invalid_params"
