"""One row in memory that ONNX Runtime reads in place.

Taking arrays in and giving one out costs a call of a small model as much as its trees do.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cd4ml.models.onnx_texts import Texts

if TYPE_CHECKING:
    from numpy.typing import NDArray


class BoundRow:
    """A row's inputs and the answer to it, bound to a session; used by one thread.

    Args:
        session: Of a model with one input of shape (1, 1) a field.
        numbers: Names of its numeric inputs.
        texts: Names of its inputs of text.
        kind: What numeric inputs take: float32 or float64.
        known: Texts that came before; others are added.
        answer: An answer to one row, as the session gives it.
    """

    def __init__(
        self,
        session: Any,
        numbers: Sequence[str],
        texts: Sequence[str],
        kind: type[np.floating[Any]],
        known: Texts,
        answer: NDArray[Any],
    ) -> None:
        import onnxruntime as ort

        self._numbers = np.zeros((len(numbers), 1, 1), kind)
        self._flat: Any = self._numbers.reshape(-1)
        self._pack = struct.Struct(f"{len(numbers)}{'d' if kind is np.float64 else 'f'}").pack_into
        self._answer = np.zeros_like(answer)
        self._last = answer.size - 1  # of two probabilities that of the second class
        self._texts = texts
        self._known, self._made = known.known.get, known.made
        self._made(None)
        binding = session.io_binding()
        # what the binding is to memory, it is not to who owns that
        self._kept = [ort.OrtValue.ortvalue_from_numpy(each) for each in self._numbers]
        for name, value in zip(numbers, self._kept, strict=True):
            binding.bind_ortvalue_input(name, value)
        self._kept.append(ort.OrtValue.ortvalue_from_numpy(self._answer))
        binding.bind_ortvalue_output(session.get_outputs()[-1].name, self._kept[-1])
        # the classes around these ask the same questions again at each call
        self._binding = binding._iobinding
        self._bind = self._binding.bind_ortvalue_input
        self._run = session._sess.run_with_iobinding
        self._options = ort.RunOptions()

    def answer(self, numbers: Sequence[float | None], texts: Sequence[str | None]) -> float | None:
        """The answer to a row; None if one of its texts is none of those that are kept."""
        for name, text in zip(self._texts, texts, strict=True):
            value = self._known(text) or self._made(text)
            if value is None:
                return None
            self._bind(name, value)
        try:
            self._pack(self._flat, 0, *numbers)
        except (struct.error, OverflowError):  # None, and what is infinite in single precision
            self._flat[:] = numbers
        self._run(self._binding, self._options)
        return self._answer.item(self._last)  # type: ignore[no-any-return]
