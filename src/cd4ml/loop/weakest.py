"""Where is a candidate weakest? Searched in what its judge saw."""

from __future__ import annotations

from cd4ml.errors import InvalidInput
from cd4ml.gates.answer import unfit
from cd4ml.gates.stored import stored_evidence
from cd4ml.gates.weak import MIN_ROWS, finding_on, search
from cd4ml.loop.refs import number_in
from cd4ml.measures.catalog import MEASURES
from cd4ml.records.verdict import Verdict
from cd4ml.records.weakest import Weakest
from cd4ml.store import rows
from cd4ml.store.project import Project


def weakest(
    project: Project, ref: str, *, metric: str = "", most: int = 10, min_rows: int = MIN_ROWS
) -> Weakest:
    """The slices on which the candidate of a verdict is worse than on all rows beyond chance.

    Args:
        project: Whose verdict.
        ref: The verdict.
        metric: What is measured; by default the first metric that was gated.
        most: So many are returned.
        min_rows: Smaller slices are not looked at.

    Raises:
        NotFound: If there is no such verdict, or it names no evidence.
        InvalidInput: If there is no such metric, or the rows do not define it.
    """
    with project.database.read() as connection:
        verdict = rows.get(connection, Verdict, number_in(ref, "verdict"))
    gated = [f.metric for f in verdict.findings if f.is_gated and f.metric in MEASURES]
    name = metric or (gated[0] if gated else "")
    if name not in MEASURES:
        known = ", ".join(sorted(MEASURES))
        raise InvalidInput(f"there is no measure named {name!r}", hint=f"known: {known}")
    measure, evidence = MEASURES[name], stored_evidence(project.blobs, verdict)
    found = None
    if not unfit(evidence, measure):
        found = search(measure, evidence, most=most, min_rows=min_rows)
    if found is None:
        msg = f"the rows of {verdict.ref} do not define {name}"
        raise InvalidInput(msg, hint=f"cd4ml gate show {verdict.ref}")
    return Weakest(
        verdict=verdict.ref,
        metric=name,
        level=found.level,
        n_searched=found.n_searched,
        slices=tuple(finding_on(measure, found, i) for i in range(len(found.weakest))),
    )
