"""Models under test: a version of a project, or an object of your own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cd4ml.errors import Cd4mlError
from cd4ml.models.behaviour.asking import AnswerFailed, Ask, Row, RowsRefused
from cd4ml.models.contract import CompiledContract
from cd4ml.models.native import NativeScorer
from cd4ml.models.runtime import Runtime
from cd4ml.records.contract import Contract


def load_model(ref: str, folder: Path | str | None = None) -> Runtime:
    """A version of a project, loaded as it answers in production: compiled, where it is.

    Args:
        ref: "delay/3", or an alias: "delay@champion".
        folder: The project's; by default CD4ML_PROJECT or the working directory.

    Raises:
        NotFound: If there is no such version.
        Refused: If it is not packaged, or its estimator may not be loaded.
    """
    from cd4ml.loop import open_project
    from cd4ml.loop.candidate import runtime_of
    from cd4ml.loop.registry import version_of

    with open_project(Path(folder) if folder is not None else None) as project:
        return runtime_of(project, version_of(project, ref).version)


def asking(model: Any, contract: Contract) -> Ask:
    """How a model in this process is asked: its contract first, then its answers.

    Args:
        model: A loaded version, or an object with `predict_proba` (two classes) or `predict`.
        contract: Of its requests.
    """
    compiled = CompiledContract(contract)
    mend = compiled.mend
    score = (
        model.score_values if isinstance(model, Runtime) else NativeScorer(model, contract).score
    )

    def ask(rows: Sequence[Row]) -> list[float]:
        found = [violation for row in rows for violation in compiled.check(row)]
        if found:
            first = found[0]
            raise RowsRefused(f"{first.field}: expected {first.expected}, got {first.got}")
        values = [tuple(row.get(name) for name in contract.names) for row in rows]
        try:  # a Runtime mends what its contract forgives itself, and again does not harm
            return list(score(values if mend is None else [mend(row) for row in values]))
        except Cd4mlError:
            raise  # it is no model that could answer at all
        except Exception as error:  # whatever a model raises
            raise AnswerFailed(f"{type(error).__name__}: {error}") from error

    return ask
