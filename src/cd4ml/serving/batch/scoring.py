"""One piece of a batch: read, checked, scored, written."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import polars as pl

from cd4ml.errors import ContractViolated, InvalidInput, ModelFailed, NotFound, Unavailable
from cd4ml.models.tables import forgiven, kept, reasons, typed
from cd4ml.serving.batch.place import Place
from cd4ml.serving.batch.plan import Done, Piece, Plan, Policy, note_done

if TYPE_CHECKING:
    from cd4ml.models.runtime import Runtime

ASIDE = "aside"  # the folder of rows that were set aside
_REASONS = "violations"
_SHOWN = 3


def scan(url: str) -> pl.LazyFrame:
    """A Parquet file of this machine or of S3, not read yet."""
    if url.startswith("s3://"):
        # keys come from the AWS_* variables, as for everything else
        return pl.scan_parquet(url, credential_provider=None, glob=False)
    return pl.scan_parquet(url, glob=False, hive_partitioning=False)


def reading(url: str, read: Callable[[], Any]) -> Any:
    """What reading a file gives.

    Raises:
        NotFound: If it is not there.
        InvalidInput: If it is no Parquet file.
        Unavailable: If it cannot be read now.
    """
    try:
        return read()
    except FileNotFoundError:
        raise NotFound(f"there is no file {url}") from None
    except pl.exceptions.PolarsError as error:
        said = str(error).splitlines()[0]
        raise InvalidInput(f"{url} cannot be read: {said}", hint="is it a Parquet file?") from None
    except OSError as error:
        raise Unavailable(f"{url} cannot be read: {error}", hint="is it reachable?") from None


def score_piece(
    plan: Plan, piece: Piece, runtime: Runtime, place: Place, *, policy: Policy
) -> Done:
    """Score the rows of a piece, and write them; doing it twice gives the same.

    Rows that do not keep the contract are refused, or set aside: below `aside/`, as they
    were, with their violations as JSON.

    Raises:
        ContractViolated: If rows do not keep the contract, and are to be refused.
        InvalidInput: If a column is missing, or the column of the answers is there already.
        ModelFailed: If the model fails on a row that keeps the contract.
    """
    frame = reading(piece.url, scan(piece.url).slice(piece.first, piece.n_rows).collect)
    if plan.score in frame.columns:
        msg = f"{piece.url} has a column {plan.score!r} already"
        raise InvalidInput(msg, hint="call the answers otherwise: --column NAME")
    is_kept = kept(runtime.contract, frame)
    bad = frame.filter(~is_kept)
    if bad.height and policy == "refuse":
        raise _refused(runtime, piece, bad, is_kept)
    good = frame.filter(is_kept)
    if bad.height:
        _write(place, f"{ASIDE}/{piece.name}", _with_reasons(runtime, bad), plan)
    if good.height:
        answers = pl.Series(plan.score, _answers(runtime, piece, good), dtype=pl.Float64)
        columns = plan.columns or tuple(good.columns)
        _write(place, piece.name, good.select(columns).with_columns(answers), plan)
    amiss = forgiven(runtime.contract, good)
    ended = Done(piece.name, good.height, bad.height, amiss)  # type: ignore[arg-type]
    note_done(place, ended)  # last: what is noted is written
    return ended


def _answers(runtime: Runtime, piece: Piece, good: pl.DataFrame) -> Any:
    msg = f"the model failed on rows {piece.first:,} and following of {piece.url}"
    try:
        answers = runtime.score_frame(typed(runtime.contract, good))
    except Exception as error:  # whatever a model raises
        words = getattr(error, "message", error)  # cd4ml's own have a hint of their own
        raise ModelFailed(msg, hint=f"it said: {words}") from error
    if not np.isfinite(answers).all():
        raise ModelFailed(msg, hint="its answer is not a finite number")
    return answers


def _with_reasons(runtime: Runtime, bad: pl.DataFrame) -> pl.DataFrame:
    return bad.with_columns(pl.Series(_REASONS, reasons(runtime.contract, bad)))


def _refused(
    runtime: Runtime, piece: Piece, bad: pl.DataFrame, is_kept: pl.Series
) -> ContractViolated:
    rows = is_kept.not_().arg_true()[:_SHOWN]
    found = [msgspec.json.decode(each) for each in reasons(runtime.contract, bad.head(_SHOWN))]
    many = (
        f"{bad.height:,} rows of {piece.url} break"
        if bad.height > 1
        else f"1 row of {piece.url} breaks"
    )
    said = f"{many} the contract {runtime.contract.name!r}"
    lines, places = [said], [said]
    for row, each in zip(rows, found, strict=True):
        where = f"- row {piece.first + row:,}, {each[0]['field']}: expected {each[0]['expected']}"
        lines.append(f"{where}, got {each[0]['got']}")
        places.append(where)
    hint = "correct them, or have such rows set aside: --on-violation aside"
    return ContractViolated("\n  ".join(lines), hint=hint, discreet="\n  ".join(places))


def _write(place: Place, name: str, frame: pl.DataFrame, plan: Plan) -> None:
    buffer = io.BytesIO()
    told = {"cd4ml.model": plan.version.ref, "cd4ml.artifact": plan.version.artifact}
    frame.write_parquet(buffer, metadata=told)
    place.put(f"{name}.parquet", buffer.getvalue())
