"""What a candidate does in its real serving process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from cd4ml.errors import InvalidInput
from cd4ml.gates.behaviour import rules_in
from cd4ml.gates.refusal import refused
from cd4ml.loop.access import is_any_restricted
from cd4ml.loop.candidate import project_modules
from cd4ml.loop.gathering.asked import Asked
from cd4ml.loop.gathering.calling import Caller, load_on
from cd4ml.loop.gathering.recorded import recorded
from cd4ml.loop.gathering.trial import Served, served
from cd4ml.models.behaviour.asking import AnswerFailed, Row, RowsRefused, answers_of
from cd4ml.models.behaviour.promises import PROMISES, Check, compared, tally
from cd4ml.models.behaviour.responses import response
from cd4ml.records.behaviour import BehaviourEvidence, Load, Promise, Response
from cd4ml.records.behaviour_gate import BehaviourGate
from cd4ml.store.lines import Line, read_lines
from cd4ml.store.segment_files import complete_lines, segments_in

_AS_JUDGED = "answers over HTTP are those that were judged"


def gather_behaviour(asked: Asked, gates: tuple[BehaviourGate, ...]) -> BehaviourEvidence:
    """Serve the candidate, ask it, and write down what it did.

    Every field is varied, whether a gate has a rule about it or not, so that another policy can be
    held against the same evidence. Examples of rows are left out where a dataset is restricted.

    Args:
        asked: The candidate.
        gates: Those of the kind; the largest of their numbers of rows and requests count.

    Raises:
        ConfigurationError: If a rule is about a field that requests do not have, or that has no
            order.
        Unavailable: If it cannot be served.
        InvalidInput: If there is no row to ask about.
    """
    _require_fields(asked, gates)
    rows, source = recorded(asked, max(gate.rows for gate in gates))
    if not rows:
        raise InvalidInput("there is no recorded row to ask about: the holdout is empty")
    with served(asked) as process, Caller(process.address) as caller:
        promises = [*_promises(asked, caller, rows)]
        responses = tuple(_responses(asked, caller, rows))
        load = _load(caller, rows, max(gate.requests for gate in gates), process)
        promises.append(_on_record(process, caller))
    seen = BehaviourEvidence(
        artifact=asked.artifact,
        runtime=asked.runtime.kind,
        source=source,
        n_rows=len(rows),
        scale=max(map(abs, _judged(asked, rows)), default=1.0),
        promises=tuple(promises),
        responses=responses,
        load=load,
    )
    return _without_examples(seen) if is_any_restricted(asked.project) else seen


def _require_fields(asked: Asked, gates: tuple[BehaviourGate, ...]) -> None:
    """Refuse rules that no candidate could be held against, before one is served for them."""
    contract = asked.runtime.contract
    types = {field.name: field.type for field in contract.fields}
    for gate in gates:
        path = f"gate[{asked.policy.gates.index(gate)}]"
        for rule in rules_in(gate):
            if rule.field not in types:
                msg = f"requests of the contract {contract.name!r} have no field {rule.field!r}"
                raise refused(msg, f"{path}.{rule.kind}", hint=f"known: {', '.join(types)}")
            if rule.kind != "invariant" and types[rule.field] == "string":
                msg = f"{rule.field!r} holds texts, which have no order"
                raise refused(msg, f"{path}.{rule.kind}", hint=f'invariant = ["{rule.field}"]')


def _promises(asked: Asked, caller: Caller, rows: Sequence[Row]) -> Iterator[Promise]:
    for test in PROMISES:
        yield test(caller.ask, asked.runtime.contract, rows)
    same = Check(
        _AS_JUDGED, lambda ask, _, few: compared(few, _judged(asked, few), answers_of(ask, few))
    )
    yield same(caller.ask, asked.runtime.contract, rows[:500])


def _judged(asked: Asked, rows: Sequence[Row]) -> list[float]:
    with project_modules(asked.project):
        return asked.runtime.score(rows)


def _responses(asked: Asked, caller: Caller, rows: Sequence[Row]) -> Iterator[Response]:
    contract = asked.runtime.contract
    for field in contract.fields:
        try:
            yield response(caller.ask, contract, field.name, rows)
        except (AnswerFailed, RowsRefused):  # the promises say so; of this field nothing is known
            continue


def _load(caller: Caller, rows: Sequence[Row], n_requests: int, process: Served) -> Load | None:
    try:
        return load_on(caller, rows, n_requests, process.process)
    except (AnswerFailed, RowsRefused):  # as above
        return None


def _on_record(process: Served, caller: Caller) -> Promise:
    """Every row that was answered is in the segment, once."""
    lines = [line for path in segments_in(process.segments) for line in _lines(path)]
    n_recorded = len({line.prediction_id for line in lines if line.score is not None})
    n_missing = abs(caller.n_answered - n_recorded)
    words = f"{caller.n_answered} answered, {n_recorded} on record"
    return msgspec.structs.replace(
        tally("every answer is on record", [words] * (n_missing > 0)),
        n_tried=caller.n_answered,
        n_broken=n_missing,
    )


def _lines(path: Path) -> list[Line]:
    return read_lines(complete_lines(path, 0)).good


def _without_examples(seen: BehaviourEvidence) -> BehaviourEvidence:
    """The same with the counts and amounts alone: no value of a row."""
    return msgspec.structs.replace(
        seen,
        promises=tuple(msgspec.structs.replace(each, example="") for each in seen.promises),
        responses=tuple(
            msgspec.structs.replace(each, change_example="", rise_example="", fall_example="")
            for each in seen.responses
        ),
    )
