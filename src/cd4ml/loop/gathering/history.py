"""The values of the versions released before: each measured from its own verdict's evidence."""

from __future__ import annotations

import sqlalchemy as sa

from cd4ml.errors import Cd4mlError
from cd4ml.gates.stored import stored_evidence
from cd4ml.loop.gathering.asked import Asked
from cd4ml.measures.catalog import MEASURES
from cd4ml.records.history import History, Past
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import Release
from cd4ml.records.trend_gate import TrendGate
from cd4ml.records.verdict import Verdict
from cd4ml.store import rows


def gather_history(asked: Asked, gates: tuple[TrendGate, ...]) -> History:
    """What the released versions were worth, oldest first, in each metric that is asked for.

    Released are those that are or were in charge of the last environment; those that were undone
    are left out, because a series of bad ones would make the next bad one look usual. So is the
    candidate itself. A version whose evidence is gone is left out as well.
    """
    newest = max(gate.releases for gate in gates)
    with asked.project.database.read() as connection:
        verdicts = _verdicts(connection, asked)[-newest:]
    metrics = dict.fromkeys(gate.metric for gate in gates)
    found: dict[str, list[Past]] = {metric: [] for metric in metrics}
    for version, verdict in verdicts:
        for past in _values(asked, version, verdict, tuple(metrics)):
            found[past[0]].append(past[1])
    return History(of={metric: tuple(values) for metric, values in found.items()})


def _verdicts(connection: sa.Connection, asked: Asked) -> list[tuple[str, Verdict]]:
    """The versions in order of their release, each with the verdict that let it in."""
    environments = list(asked.project.settings.environments)
    if not environments:
        return []
    releases = rows.find(
        connection, Release, model=asked.candidate.model, environment=environments[-1]
    )
    numbers = [each.version for each in releases if each.state in ("released", "superseded")]
    found: list[tuple[str, Verdict]] = []
    for number in dict.fromkeys(numbers):
        version = rows.get(connection, ModelVersion, asked.candidate.model, number)
        if version.verdict and version.artifact != asked.artifact:
            found.append((version.ref, rows.get(connection, Verdict, version.verdict)))
    return found


def _values(
    asked: Asked, version: str, verdict: Verdict, metrics: tuple[str, ...]
) -> list[tuple[str, Past]]:
    try:
        seen = stored_evidence(asked.project.blobs, verdict)
    except Cd4mlError:  # it was given before evidence was kept, or a part of it is gone
        return []
    found = []
    for metric in metrics:
        try:
            value, _, _, n = MEASURES[metric].function(seen.y_true, seen.score)
        except ValueError:  # its rows do not define this metric
            continue
        found.append((metric, Past(version=version, verdict=verdict.ref, value=value, n_rows=n)))
    return found
