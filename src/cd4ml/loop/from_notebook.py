"""Keep a model from anywhere: a notebook, a script, another tool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cd4ml.errors import InvalidInput
from cd4ml.loop.log_model import LoggedModel
from cd4ml.loop.log_model import log_model as keep
from cd4ml.loop.read import oneself
from cd4ml.loop.refs import number_in
from cd4ml.store.project import open_project

if TYPE_CHECKING:
    import polars as pl


class Numbered(Protocol):
    """A run, whatever else it can do."""

    @property
    def number(self) -> int:
        """Its number."""
        ...


def log_model(
    model: Any,
    *,
    run: int | str | Numbered,
    name: str = "",
    sample: pl.DataFrame | None = None,
    training: pl.DataFrame | None = None,
    holdout: pl.DataFrame | None = None,
    register: str = "",
    project: Path | str | None = None,
    actor: str = "",
) -> LoggedModel:
    """Keep a fitted estimator with its run; it is on disk when this returns.

    Nothing answers from it before it is packaged: `cd4ml model package`, or `cd4ml gate`.

    Args:
        model: Anything with scikit-learn's `predict` or `predict_proba`, fitted on a frame with
            named columns.
        run: The run that made it: its number, `run/3`, or the run itself.
        name: What to call it in the run; the project's `[model] step`, or "model", by default.
        sample: Raw columns of requests, at least one row: what its contract is derived from, and
            its compiled form compared on.
        training: The rows it learned from, with the target: gates ask for them.
        holdout: The rows to judge it on, with the target: gates ask for them.
        register: The registered model to add it to, as its next version; "" for none.
        project: Its folder or one below; else CD4ML_PROJECT, else where you are.
        actor: Who; else CD4ML_ACTOR, else your login name.

    Raises:
        ProjectNotFound: If there is no project.
        NotFound: If there is no such run, or nobody has the actor's name.
        InvalidInput: If it is no estimator, cannot be stored, or a name is no name.
        AlreadyExists: If the run has another model of this name.
    """
    who = actor or oneself()
    if not who:
        msg = "nobody says who logs the model"
        raise InvalidInput(msg, hint="actor=..., or CD4ML_ACTOR")
    with open_project(Path(project) if project else None) as opened:
        return keep(
            opened,
            _number(run),
            model,
            name=name,
            sample=sample,
            training=training,
            holdout=holdout,
            register=register,
            actor=who,
        )


def _number(run: int | str | Numbered) -> int:
    if isinstance(run, int | str):
        return number_in(str(run), "run")
    return run.number
