"""Why a version answered as it did."""

import msgspec
import pytest

from cd4ml.errors import ContractViolated, InvalidInput, NotFound, Refused
from cd4ml.loop import Project
from cd4ml.loop.explain import _refuse_unless_given, _sentence, explain_prediction, explain_rows
from cd4ml.loop.graduate import package_version
from cd4ml.loop.log_model import log_model
from cd4ml.loop.why import why
from cd4ml.records.explanation import Contribution, Explained
from cd4ml.records.prediction import Prediction
from cd4ml.store.project import open_project
from tests.loop.test_evaluate import change
from tests.loop.test_log_model import begun, fitted
from tests.loop.world import ANN, BEGIN, flights, live

ROW = {"carrier": "UA", "distance": 800.0, "wind": 31.5}


def test_a_prediction_is_explained_by_the_version_that_answered_it(released: Project) -> None:
    (prediction_id,) = live(released, 1)

    found = explain_prediction(released, prediction_id.upper())

    (recorded,) = released.log.prediction(prediction_id)
    assert (found.version, found.prediction_id) == ("delay/1", prediction_id)
    assert found.explained.answer == pytest.approx(recorded.score, abs=1e-6)
    assert {each.field: each.value for each in found.explained.contributions} == recorded.inputs
    assert sum(each.amount for each in found.explained.contributions) == pytest.approx(
        found.explained.raw - found.explained.base
    )


CAPTURE = "[capture]\n{}\n[environments.staging]"


def masking(project: Project, policy: str) -> Project:
    return change(project, "[environments.staging]", CAPTURE.format(policy))


def test_a_row_of_which_a_field_is_not_on_record_is_not_explained(released: Project) -> None:
    """`wind` decides, and the record has none."""
    (prediction_id,) = live(masking(released, 'redact = ["wind"]'), 1, n_labelled=0)
    opened = open_project(released.folder)

    with pytest.raises(Refused) as refused:
        explain_prediction(opened, prediction_id)

    assert str(refused.value) == (
        "the row on record is not the row that was answered (redacted: wind)\n"
        "  hint: an endpoint says at once what each field adds: POST /predict?contributions=1"
    )
    said = dict(why(opened, prediction_id).sentences)
    assert '"wind":"redacted"' in said["request"]
    assert said["masked"] == "by [capture], redacted: wind"


def test_a_row_that_gives_another_answer_than_the_one_on_record_is_not_explained(
    released: Project,
) -> None:
    """A hash of a carrier is one that the model does not know: it answers, and otherwise."""
    (prediction_id,) = live(masking(released, 'hash = ["carrier"]'), 1, n_labelled=0)
    opened = open_project(released.folder)
    (recorded,) = opened.log.prediction(prediction_id) or collected(opened, prediction_id)
    answer = msgspec.structs.replace(recorded, score=0.75)

    with pytest.raises(Refused) as refused:
        _refuse_unless_given(answer, 0.25, {"carrier": "hashed"})
    with pytest.raises(Refused, match=r"nothing that .capture. names today is missing in it"):
        _refuse_unless_given(answer, 0.25, {})
    _refuse_unless_given(answer, 0.750_000_1, {})

    assert refused.value.message == (
        "the row on record is not the row that was answered (hashed: carrier): "
        "the caller was given 0.75, and it gives 0.25"
    )
    assert dict(why(opened, prediction_id).sentences)["request"].startswith('{"carrier":"hashed"')


def collected(project: Project, prediction_id: str) -> list[Prediction]:
    project.log.collect()
    return project.log.prediction(prediction_id)


def test_rows_are_explained_in_words(released: Project) -> None:
    stormy, calm = explain_rows(released, "delay/1", [ROW, {**ROW, "wind": 0.0}])

    assert stormy.words == "0.9987, where an average request gets 0.4337: raised by wind (31.5)"
    assert calm.words.startswith("0.0")
    assert calm.words.endswith("lowered by wind (0)")
    assert (stormy.explained.unit, stormy.explained.method) == ("log-odds", "linear")
    assert stormy.usual == pytest.approx(calm.usual)


def test_an_alias_names_the_version(released: Project) -> None:
    (found,) = explain_rows(released, "delay@champion", [ROW])

    assert found.version == "delay/1"


def test_what_is_no_row_of_the_contract_is_refused(released: Project) -> None:
    with pytest.raises(
        ContractViolated, match="wind: expected a number of at least 0, got nothing"
    ):
        explain_rows(released, "delay/1", [{"carrier": "UA", "distance": 1.0}])
    with pytest.raises(InvalidInput) as caught:
        explain_rows(released, "delay/1", [])
    assert str(caught.value) == (
        "expected 1 to 1,000 rows to explain, got 0\n  hint: --row '{\"field\": value, ...}'"
    )


def test_what_nobody_answered_is_not_explained(released: Project) -> None:
    unknown = "0" * 32

    with pytest.raises(NotFound) as caught:
        explain_prediction(released, unknown)

    assert str(caught.value) == (
        f"no prediction '{unknown}' in the log\n  hint: was it answered by this project?"
    )
    with pytest.raises(NotFound):
        explain_rows(released, "delay/7", [ROW])


def moved(**amounts: float) -> Explained:
    """An answer moved by these fields, each of which had the value 1."""
    return Explained(
        answer=0.5,
        raw=0.5,
        base=0.25,
        unit="answer",
        method="sampled",
        contributions=tuple(
            Contribution(field=name, value=1.0, amount=amount) for name, amount in amounts.items()
        ),
    )


def test_words_name_what_moved_most_and_leave_out_the_rest() -> None:
    many = moved(a=0.4, b=0.3, c=-0.2, d=0.15, e=0.1, f=0.001)

    assert _sentence(many, 0.25) == (
        "0.5, where an average request gets 0.25: raised by a (1), b (1) and d (1); lowered by c (1)"
    )
    assert _sentence(moved(a=0.0), 0.25) == (
        "0.5, where an average request gets 0.25: no field moved it"
    )


def test_words_say_what_was_unknown_and_what_is_mixed() -> None:
    mixed = moved(a=0.4)
    (part,) = mixed.contributions
    both = msgspec.structs.replace(part, field="a, b", value={"a": None, "b": "x"})

    assert _sentence(msgspec.structs.replace(mixed, contributions=(both,)), 0.25).endswith(
        "raised by a, b (unknown, x)"
    )


def test_a_version_that_learned_elsewhere_is_explained_beside_the_rows_it_came_with(
    project: Project,
) -> None:
    """Logged by a script: no step of its run holds the rows that taught it."""
    sample = flights(40, start=BEGIN).select("distance", "wind")
    log_model(
        project, begun(project).number, fitted(), name="m", sample=sample, register="m", actor=ANN
    )
    package_version(project, "m/1", actor=ANN)

    (found,) = explain_rows(project, "m/1", [{"distance": 800.0, "wind": 31.5}])

    assert found.explained.method == "linear"
    assert found.words.endswith("raised by wind (31.5)")
