"""How texts go into a compiled model.

ONNX Runtime makes values of strings only inside a model, so each text is the table of a tiny one. It
reads such a value many times as fast as it takes a NumPy array of texts in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# skl2onnx turns a missing category (None) into the word "None". That very word, coming as a
# value, must not be taken for a missing one; no contract's category begins with this character.
MISSING = "None"
_SPOKEN: dict[Any, str] = {None: MISSING, MISSING: f"\x01{MISSING}"}

_KEPT = 1000  # texts of a model, of a few kB each
_LONGEST = 200  # characters of one

_VARINT, _BYTES = 0, 2  # how protobuf writes numbers, and all that has a length
_INT64, _STRING = 7, 8  # TensorProto.DataType
_IR, _OPERATORS = 8, 13  # versions, which every ONNX Runtime since 1.10 takes


def spoken(texts: Sequence[str | None]) -> Sequence[str]:
    """Texts as a compiled model takes them; nearly always they are so already."""
    if None in texts or MISSING in texts:
        return [_SPOKEN.get(text, text) for text in texts]  # type: ignore[misc]
    return texts  # type: ignore[return-value]


class Texts:
    """The texts that have come so far, as values of shape (1, 1); safe to share between threads.

    `known` has them by what came; None is what is missing.
    """

    def __init__(self) -> None:
        self.known: dict[str | None, Any] = {}

    def made(self, text: str | None) -> Any:
        """The value (what an `onnxruntime.OrtValue` holds) of a text that is not known, which takes 0.1 ms.

        None if so many are kept already, it is long, or no Unicode.
        """
        if len(self.known) >= _KEPT or len(text or "") > _LONGEST:
            return None
        (said,) = spoken([text])
        try:
            value = self.known[text] = value_of(said)
        except UnicodeEncodeError:  # half of a pair
            return None
        return value


def value_of(text: str) -> Any:
    """A text as a value of shape (1, 1)."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # the value outlives the session
    session = ort.InferenceSession(table_of(text), options, providers=["CPUExecutionProvider"])
    first = ort.OrtValue.ortvalue_from_numpy(np.zeros((1, 1), np.int64))
    (value,) = session.run_with_ort_values(["value"], {"row": first})
    return value._ortvalue


def table_of(text: str) -> bytes:
    """An ONNX model of a table with this one text: `row`, of shape (1, 1), is 0, and `value` the text.

    Written by hand, because importing `onnx` takes a serving process 20 MB and a third of a second.

    Source:
        onnx/onnx.proto3 of ONNX 1.18: the numbers of the fields.
    """
    table = _one(1, 1) + _one(2, _STRING) + _field(6, text.encode()) + _field(8, b"table")
    look = _field(1, b"table") + _field(1, b"row") + _field(2, b"value") + _field(4, b"Gather")
    graph = _field(1, look) + _field(2, b"text") + _field(5, table)
    graph += _field(11, _described(b"row", _INT64)) + _field(12, _described(b"value", _STRING))
    return _one(1, _IR) + _field(7, graph) + _field(8, _one(2, _OPERATORS))


def _described(name: bytes, kind: int) -> bytes:
    """A ValueInfoProto of shape (1, 1)."""
    shape = 2 * _field(1, _one(1, 1))
    return _field(1, name) + _field(2, _field(1, _one(1, kind) + _field(2, shape)))


def _one(number: int, value: int) -> bytes:
    """A field that is a number."""
    return _varint(number << 3 | _VARINT) + _varint(value)


def _field(number: int, content: bytes) -> bytes:
    """A field that has a length: text, bytes, or a message in itself."""
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    written = b""
    while value > 0x7F:
        written += bytes([value & 0x7F | 0x80])
        value >>= 7
    return written + bytes([value])
