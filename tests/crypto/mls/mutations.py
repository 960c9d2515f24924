"""Small changes to an encoded structure, drawn by Hypothesis, so that what fails shrinks to one of them.

Most keep every length as it is, or put it right again, so that the change is read and judged, and not only found to end
too soon. Where the fields are is learned by reading the original once.
"""

from __future__ import annotations

import contextlib
import enum
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from unittest import mock

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tuiconf.crypto.mls import MlsError
from tuiconf.crypto.mls.codec import Reader, opaque

MUTATIONS: Final = 10_000
BATCH: Final = 200  # in one example: Hypothesis's own time for an example is that of many

_INTERESTING: Final = (0, 1, 2, 3, 0x3F, 0x40, 0x7F, 0x80, 0xBF, 0xC0, 0xFE, 0xFF)


@dataclass(frozen=True, slots=True)
class Field:
    """A variable-size vector: its length is written at `head`, its content is from `start` to `end`."""

    head: int
    start: int
    end: int


class Edit(enum.Enum):
    """What is done, to any byte or within any field."""

    FLIP = "flip a bit"
    FLIP_IN_FIELD = "flip a bit within a field"
    SET = "set a byte"
    SET_IN_FIELD = "set a byte within a field"
    SWAP = "put another field's content here, as much of it as fits"
    COPY = "put some bytes from elsewhere here"
    SHORTEN = "take bytes from a field, with all lengths right"
    LENGTHEN = "put bytes into a field, with all lengths right"
    REPEAT = "write a field's content twice, with all lengths right"
    DROP = "leave a field empty, with all lengths right"
    CUT = "take bytes out"
    INSERT = "put bytes in"
    END = "end here"


# As often as they stand here. The first leave the length as it is, and another edit can follow.
_STILL: Final = (Edit.FLIP, Edit.FLIP_IN_FIELD, Edit.FLIP_IN_FIELD, Edit.SET, Edit.SET_IN_FIELD, Edit.SWAP, Edit.COPY)
_ANY: Final = (*_STILL, Edit.SHORTEN, *list(Edit)[6:])

_MUTATION: Final = struct.Struct(">BBHHBHH")
_mutations: Final = st.binary(min_size=_MUTATION.size, max_size=_MUTATION.size)


@dataclass(frozen=True, slots=True)
class Mutation:
    """One edit, or two of which the first leaves the length as it is."""

    edits: tuple[tuple[Edit, int, int], ...]

    @staticmethod
    def of(drawn: bytes) -> Mutation:
        """From bytes, which Hypothesis draws quickly and shrinks to zeros: to the flip of the first bit."""
        two, last, *numbers, first, where, what = _MUTATION.unpack(drawn)
        edit = _ANY[last % len(_ANY)], numbers[0], numbers[1]
        return Mutation(((_STILL[first % len(_STILL)], where, what), edit) if two % 3 == 2 else (edit,))


def fields_of(data: bytes, read: Callable[[bytes], object]) -> list[Field]:
    """The vectors in `data` that `read` comes upon, outer ones after those within; it may fail at the end."""
    bases, kept, found = {id(data): 0}, [data], []
    read_opaque = Reader.opaque

    def noting(reader: Reader) -> bytes:
        head = reader.pos
        value = read_opaque(reader)
        base = bases.get(id(reader._data))
        if base is not None:
            found.append(Field(base + head, base + reader.pos - len(value), base + reader.pos))
            if len(value) > 1:  # shorter ones are shared by Python
                bases[id(value)] = base + reader.pos - len(value)
                kept.append(value)
        return value

    with mock.patch.object(Reader, "opaque", noting), contextlib.suppress(MlsError):
        read(data)
    return sorted(set(found), key=lambda field: (field.end - field.head, field.head))


def mutated(data: bytes, fields: list[Field], mutation: Mutation) -> bytes:
    """`data` after this mutation: always something else."""
    changed = data
    for edit, where, what in mutation.edits:
        changed = _edited(changed, fields, edit, where, what)
    if changed != data:
        return changed
    _, where, what = mutation.edits[-1]
    return _edited(data, fields, Edit.FLIP, where, what)


def _edited(data: bytes, fields: list[Field], edit: Edit, where: int, what: int) -> bytes:
    at = where * len(data) >> 16
    field = fields[where % len(fields)] if fields else Field(0, 0, len(data))
    size = field.end - field.start
    inside = field.start + (what >> 4) % size if size else at
    content = data[field.start : field.end]
    match edit:
        case Edit.FLIP:
            return _over(data, at, bytes((data[at] ^ 1 << what % 8,)))
        case Edit.FLIP_IN_FIELD:
            return _over(data, inside, bytes((data[inside] ^ 1 << what % 8,)))
        case Edit.SET:
            return _over(data, at, bytes((_INTERESTING[what % len(_INTERESTING)],)))
        case Edit.SET_IN_FIELD:
            return _over(data, inside, bytes((_INTERESTING[what % len(_INTERESTING)],)))
        case Edit.SWAP:
            other = fields[what % len(fields)] if fields else field
            return _over(data, field.start, data[other.start : other.end][:size])
        case Edit.COPY:
            return _over(data, at, data[what * len(data) >> 16 :][: 1 + what % 40])
        case Edit.SHORTEN:
            return _with_content(data, fields, field, content[: what % (size or 1)])
        case Edit.LENGTHEN:
            return _with_content(data, fields, field, content + bytes(what & 0xFF for _ in range(1 + what % 70)))
        case Edit.REPEAT:
            return _with_content(data, fields, field, content + content)
        case Edit.DROP:
            return _with_content(data, fields, field, b"")
        case Edit.CUT:
            return data[:at] + data[at + 1 + what % 33 :]
        case Edit.INSERT:
            return data[:at] + what.to_bytes(2, "big") * (1 + what % 16) + data[at:]
        case Edit.END:
            return data[:at]


def _over(data: bytes, at: int, put: bytes) -> bytes:
    """The same length, with these bytes there."""
    return (data[:at] + put + data[at + len(put) :])[: len(data)]


def _with_content(data: bytes, fields: list[Field], field: Field, content: bytes) -> bytes:
    """The field with this content, and every vector around it with the length that it then has."""
    inner, encoded = field, opaque(content)
    for outer in fields:  # the smaller ones first
        if outer.start <= inner.head and inner.end <= outer.end and outer is not inner:
            encoded = opaque(data[outer.start : inner.head] + encoded + data[inner.end : outer.end])
            inner = outer
    return data[: inner.head] + encoded + data[inner.end :]


def survive(original: bytes, read: Callable[[bytes], object], attempt: Callable[[bytes], object]) -> Counter[str]:
    """Give ten thousand mutations of `original` to `attempt`; whatever comes out but `MlsError` fails, and is shrunk.

    `read` reads `original` (or as much of it as there is), so that its fields are known. The counter says how often
    which error came out, and how often (`understood`) none.
    """
    fields, outcomes = fields_of(original, read), Counter[str]()

    @settings(
        max_examples=MUTATIONS // BATCH,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.lists(_mutations, min_size=BATCH, max_size=BATCH))
    def batch(drawn: list[bytes]) -> None:
        for mutation in map(Mutation.of, drawn):
            changed = mutated(original, fields, mutation)
            try:
                attempt(changed)
            except MlsError as error:
                outcomes[error.code] += 1
            except BaseException as error:
                error.add_note(f"{mutation}\n{changed.hex()}")
                raise
            else:
                outcomes["understood"] += 1

    batch()
    assert outcomes.total() >= MUTATIONS
    assert "mls" not in outcomes, "an error that does not say what it is"
    return outcomes
