"""What each field of a request added to its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from cd4ml.errors import ConfigurationError, ContractViolated, InvalidInput, NotFound, Refused
from cd4ml.loop.candidate import candidate_behind, modules_for, runtime_of, table
from cd4ml.loop.gathering.spread import spread
from cd4ml.loop.watch import collect
from cd4ml.models import registry
from cd4ml.models.contract import CompiledContract
from cd4ml.models.explain.contributions import answer_of, contributions, explained
from cd4ml.models.explain.parts import LINKS
from cd4ml.models.fitted import fitted_in
from cd4ml.models.frames import as_requested, to_frame
from cd4ml.models.manifest import PROBES, Manifest, Probes
from cd4ml.models.trust import trusted_in
from cd4ml.models.violations import with_integers
from cd4ml.records.contract import Contract
from cd4ml.records.explanation import Contribution, Explained
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.prediction import Prediction
from cd4ml.store import rows as records
from cd4ml.store.masking import in_words, masked_in
from cd4ml.store.project import Project

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

BACKGROUND = 500  # rows that say what is usual
MOST_ROWS = 1_000

_SAME = 1e-4  # relative above 1: what arithmetic may do to an answer given again
_ASK = "an endpoint says at once what each field adds: POST /predict?contributions=1"
_NAMED = 3  # fields in a sentence, of those that raise and of those that lower
_WORTH = 0.05  # of everything added or taken away: less is not worth a word


class ExplainedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A version's answer to a row, what each field added to it, and that in words.

    `prediction_id` is "" of a row that nobody has asked about in production; `usual` is what an
    average request gets, as an answer.
    """

    version: str
    prediction_id: str = ""
    usual: float
    words: str
    explained: Explained


def explain_prediction(project: Project, prediction_id: str) -> ExplainedAnswer:
    """Why production answered as it did: by the version that answered, on the row on record.

    Raises:
        NotFound: If there is no such prediction, or its version is gone.
        InvalidInput: If this is not the form of a prediction id.
        Refused: If that version has no estimator that may be loaded, or the row on record does not
            give the answer on record.
    """
    answer = _answer(project, prediction_id.lower())
    with project.database.read() as connection:
        version = records.get(connection, ModelVersion, answer.model, answer.number)
    masked = masked_in(answer.inputs, project.settings.capture)
    try:
        (found,) = _explained(project, version, [answer.inputs])
    except ContractViolated:
        if not masked:
            raise
        msg = f"the row on record is not the row that was answered ({in_words(masked)})"
        raise Refused(msg, hint=_ASK) from None
    _refuse_unless_given(answer, found.explained.answer, masked)
    words = f"{found.words} (on record, {in_words(masked)})" if masked else found.words
    return msgspec.structs.replace(found, prediction_id=answer.prediction_id, words=words)


def _refuse_unless_given(answer: Prediction, again: float, masked: dict[str, str]) -> None:
    """An explanation of another answer than the caller was given would be a story."""
    given = answer.score
    if given is None or abs(again - given) <= _SAME * max(1.0, abs(given)):
        return
    why = in_words(masked) or "nothing that [capture] names today is missing in it"
    msg = (
        f"the row on record is not the row that was answered ({why}): "
        f"the caller was given {_number(given)}, and it gives {_number(again)}"
    )
    raise Refused(msg, hint=_ASK)


def explain_rows(
    project: Project, ref: str, rows: Sequence[dict[str, Any]]
) -> list[ExplainedAnswer]:
    """What a version answers to rows, and why.

    Args:
        project: Whose version.
        ref: "delay/3", or an alias: "delay@champion".
        rows: As requests carry them, at least one.

    Raises:
        NotFound: If there is no such version.
        ContractViolated: If a row does not keep its contract.
        InvalidInput: If there is no row, or more than a thousand.
        Refused: If the version is not packaged, or has no estimator that may be loaded.
    """
    if not 1 <= len(rows) <= MOST_ROWS:
        msg = f"expected 1 to {MOST_ROWS:,} rows to explain, got {len(rows):,}"
        raise InvalidInput(msg, hint="--row '{\"field\": value, ...}'")
    with project.database.read() as connection:
        version = registry.find_version(connection, ref)
    return _explained(project, version, rows)


def _answer(project: Project, prediction_id: str) -> Prediction:
    answers = project.log.prediction(prediction_id)
    if not answers:
        collect(project)  # answered a moment ago, perhaps
        answers = project.log.prediction(prediction_id)
    if not answers:
        msg = f"no prediction {prediction_id!r} in the log"
        raise NotFound(msg, hint="was it answered by this project?")
    return answers[0]


def _explained(
    project: Project, version: ModelVersion, rows: Sequence[dict[str, Any]]
) -> list[ExplainedAnswer]:
    runtime = runtime_of(project, version)
    contract = runtime.contract
    rows = [dict(with_integers(contract.fields, row)) for row in rows]
    CompiledContract(contract).refuse_unless_kept(rows)
    frame = to_frame(contract, [tuple(row.get(name) for name in contract.names) for row in rows])
    from cd4ml.models.tables import mended

    manifest = project.blobs.get_record(version.artifact, Manifest)
    with modules_for(project, manifest):
        parts = contributions(
            fitted_in(project.blobs, manifest, is_trusted=trusted_in(project.database)),
            mended(contract.fields, frame),
            background=_usual(project, version, contract),
            score=runtime.score_frame,
        )
    usual = float(LINKS[parts.unit](_array(parts.base))[0])
    return [
        ExplainedAnswer(
            version=version.ref, usual=usual, words=_sentence(each, usual), explained=each
        )
        for each in explained(frame, parts, answer_of(parts))
    ]


def _array(value: float) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.array([value])


def _usual(project: Project, version: ModelVersion, contract: Contract) -> pl.DataFrame:
    """Rows that say what is usual: those that taught it, else those it was packaged with."""
    try:
        rows = spread(table(project, candidate_behind(project, version).training), BACKGROUND)
        return as_requested(contract, rows)
    except (Refused, NotFound, ConfigurationError, InvalidInput):  # it learned elsewhere
        manifest = project.blobs.get_record(version.artifact, Manifest)
        probes = project.blobs.get_record(manifest.files[PROBES], Probes)
        return to_frame(contract, [tuple(row[n] for n in contract.names) for row in probes.rows])


def _sentence(explained: Explained, usual: float) -> str:
    """An answer in words: what was answered, what is usual, and what moved it most."""
    moved = sum(abs(each.amount) for each in explained.contributions)
    worth = [each for each in explained.contributions if abs(each.amount) > _WORTH * moved]
    ways = [
        ("raised by", [each for each in worth if each.amount > 0]),
        ("lowered by", [each for each in worth if each.amount < 0]),
    ]
    told = [f"{way} {_named(each)}" for way, each in ways if each]
    begin = f"{_number(explained.answer)}, where an average request gets {_number(usual)}"
    return f"{begin}: {'; '.join(told)}" if told else f"{begin}: no field moved it"


def _named(contributions: Sequence[Contribution]) -> str:
    names = [f"{each.field} ({_shown(each.value)})" for each in contributions[:_NAMED]]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(_shown(each) for each in value.values())
    if value is None:
        return "unknown"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    """An answer as people write it.

    Examples:
        >>> _number(0.996912), _number(43330.4)
        ('0.9969', '43,330')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
