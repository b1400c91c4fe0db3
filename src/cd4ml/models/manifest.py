"""What a packaged model consists of."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from cd4ml.models.formats import FILES
from cd4ml.models.own_code import CODE

Kind = Literal["onnx", "treelite", "native"]

ESTIMATOR = FILES["pickle"]
JOBLIB = FILES["joblib"]  # the same, as joblib wrote it
COMPILED = "model.onnx"
TREES = "model.treelite"
CONTRACT = "contract.json"
PROBES = "probes.json"

EXPLAINER = "explainer.msgpack"  # of whatever kind the model is served

_SERVED: dict[Kind, tuple[str, ...]] = {
    "onnx": (COMPILED, CONTRACT, PROBES),
    "treelite": (TREES, CONTRACT, PROBES),
    "native": (*FILES.values(), CODE, CONTRACT, PROBES),
}


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """How well the compiled model reproduced the estimator it was made from.

    `max_difference` is between the two answers: of probabilities as it is, of other
    values relative to the larger of 1 and the estimator's answer. A flip is a row that
    falls on the other side of one half, although the estimator's answer is farther from
    it than the tolerance. `refusal` says why the compiled model is not used; "" if it is.
    """

    n_rows: int
    n_probes: int
    tolerance: float
    max_difference: float | None = None  # None: it could not be compiled, or failed
    n_flips: int = 0
    refusal: str = ""


class Probes(msgspec.Struct, frozen=True, kw_only=True):
    """Rows as requests carry them, and what the estimator answered when it was packaged."""

    rows: list[dict[str, Any]]
    scores: list[float]


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The parts of a model by content address; the manifest's own address names the model.

    `refused` says of each faster form why it is not the one that is served, `unexplained` why
    answers cannot be taken apart while they are given; "" if they can.
    """

    kind: Kind
    files: dict[str, str]
    parity: Parity
    libraries: dict[str, str]
    features: tuple[str, ...]
    refused: dict[str, str] = {}
    unexplained: str = ""

    @property
    def served(self) -> tuple[str, ...]:
        """Addresses of the files that a server needs."""
        names = (*_SERVED[self.kind], EXPLAINER)
        return tuple(self.files[name] for name in names if name in self.files)

    @property
    def estimator(self) -> str:
        """Address of the fitted estimator."""
        return self.files[self.estimator_file]

    @property
    def estimator_file(self) -> str:
        """The name of the file that holds the fitted estimator."""
        return next(name for name in FILES.values() if name in self.files)

    @property
    def is_pickled(self) -> bool:
        """Whether the estimator is a pickle, whose classes have to be found somewhere."""
        return self.estimator_file in (ESTIMATOR, JOBLIB)

    @property
    def is_joblib(self) -> bool:
        """Whether joblib wrote the estimator."""
        return JOBLIB in self.files
