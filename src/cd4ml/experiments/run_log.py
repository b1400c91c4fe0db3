"""What code that makes a run says about it: the object that steps and notebooks log with."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from cd4ml.errors import Cd4mlError, InvalidInput
from cd4ml.experiments.figures import picture_of
from cd4ml.experiments.machine import Machine
from cd4ml.experiments.values import numbers_of, plain
from cd4ml.store.storable import printable
from cd4ml.store.tracking.journal import Data
from cd4ml.store.tracking.recorder import Recorder

_EVERY_S = 10.0


class RunLog:
    """Logs into one run. What a call has logged is not lost, whatever becomes of the process.

    It can be queried a moment later (0.2 s), and after `flush` at once.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._is_ending = threading.Event()
        self._sampler: threading.Thread | None = None

    @property
    def number(self) -> int:
        """The number of the run."""
        return self._recorder.run

    @property
    def ref(self) -> str:
        """`run/number`, as the command line takes it."""
        return f"run/{self.number}"

    def log(
        self,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        step: int | None = None,
        at: datetime | None = None,
        **metrics: Any,
    ) -> None:
        """Log values of metrics: numbers (also NumPy's), NaN, infinities, None.

        Args:
            values: Name -> value, for names that are no words of Python.
            step: Of all of them; without it each goes on after its last step, from 0.
            at: When it was so, if not now.
            metrics: The same by name.

        Raises:
            InvalidInput: If a value is no number; nothing of the call is logged then.
        """
        if step is not None and (isinstance(step, bool) or not hasattr(step, "__index__")):
            raise InvalidInput(f"a step is a whole number, got {step!r}")
        place = None if step is None else step.__index__()
        if place is not None and not -(2**63) <= place < 2**63:
            raise InvalidInput(f"a step is a whole number of at most 64 bits, got {place}")
        if at is not None and at.tzinfo is None:
            raise InvalidInput(f"expected a time with its time zone, got {at}")
        self._recorder.metrics(numbers_of(values, metrics), step=place, at=at)

    def log_parameters(self, values: Mapping[str, Any] | None = None, /, **parameters: Any) -> None:
        """Log parameters: plain values stay what they are, others become the text they print."""
        self._recorder.parameters(plain({**(values or {}), **parameters}))

    def tag(self, values: Mapping[str, Any] | None = None, /, **tags: Any) -> None:
        """Tag the run: words to find it by."""
        given = {**(values or {}), **tags}
        self._recorder.tags(
            {printable(str(key)): printable(str(value)) for key, value in given.items()}
        )

    def note(self, text: str) -> None:
        """Say what the run is about, in Markdown; in place of what was said.

        Raises:
            InvalidInput: If it is no text.
        """
        self._recorder.note(printable(_text(text)))

    def log_file(self, path: Path | str, to: str = "") -> None:
        """Keep a file, or a folder with everything in it.

        Args:
            path: Where it is.
            to: Where in the run; its own name by default.

        Raises:
            InvalidInput: If there is none, or it cannot be read.
        """
        path = Path(path)
        to = to or path.resolve().name
        if not path.is_dir():
            self._recorder.file(to, path)
            return
        for each in sorted(path.rglob("*")):
            if each.is_file():
                self._recorder.file(f"{to}/{each.relative_to(path).as_posix()}", each)

    def log_text(self, text: str, path: str) -> None:
        """Keep a text as a file.

        Raises:
            InvalidInput: If it is no text, or the path is not one within the run.
        """
        self._recorder.file(path, _text(text).encode("utf-8", "backslashreplace"))

    def log_figure(self, figure: Any, path: str) -> None:
        """Keep a figure of Matplotlib, Plotly or Altair, or an image of Pillow.

        Args:
            figure: The picture.
            path: Where in the run; its ending says as what (`curve.svg`, `curve.html`).

        Raises:
            InvalidInput: If it cannot draw itself.
        """
        picture = picture_of(figure, path)
        self._recorder.file(picture.path, picture.content)

    def log_data(self, data: Data) -> None:
        """Say which data the run uses; `log_dataset` of a run knows them by what they are."""
        self._recorder.data(data)

    def log_system(self, *, every_s: float = _EVERY_S) -> None:
        """Log what the machine does from now on, as metrics `system/...`, until the run ends.

        Args:
            every_s: Seconds between two looks.

        Raises:
            InvalidInput: If that is not above 0.
        """
        if not every_s > 0:
            raise InvalidInput(f"expected seconds above 0, got {every_s}")
        if self._sampler is None:
            self._sampler = threading.Thread(
                target=self._sample, args=(every_s,), name="machine", daemon=True
            )
            self._sampler.start()

    def flush(self) -> None:
        """Return when everything logged until now can be queried.

        Raises:
            Unavailable: If the database does not answer; nothing is lost.
        """
        self._recorder.flush()

    def _sample(self, every_s: float) -> None:
        machine = Machine(Path())
        while not self._is_ending.wait(every_s):
            try:
                self._recorder.metrics(machine.look())
            except (Cd4mlError, OSError):  # the run has ended, or the disk is full
                return

    def _stop(self) -> None:
        self._is_ending.set()
        if self._sampler is not None:
            self._sampler.join()


def _text(text: Any) -> str:
    if not isinstance(text, str):
        raise InvalidInput(f"expected a text, got {type(text).__name__}")
    return text
