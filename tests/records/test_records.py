import importlib
import pkgutil
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cd4ml.records
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.gate import KINDS_OF_GATE
from cd4ml.records.job import Job
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.plan import Arm, Plan
from cd4ml.records.rollout import RolloutStep
from cd4ml.store.address import canonical
from tests.store.strategies import records

NOW = datetime(2013, 1, 1, tzinfo=UTC)


def kinds() -> list[type[msgspec.Struct]]:
    """Every record there is."""
    names = [module.name for module in pkgutil.iter_modules(cd4ml.records.__path__)]
    modules = [importlib.import_module(f"cd4ml.records.{name}") for name in names]
    things = {thing for module in modules for thing in vars(module).values() if is_record(thing)}
    return sorted(things, key=lambda kind: str(kind.__name__))


def is_record(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, msgspec.Struct)


EVERY = pytest.mark.parametrize("kind", kinds(), ids=lambda kind: str(kind.__name__))


@EVERY
def test_a_record_is_immutable_and_says_what_it_is(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen
    assert kind.__doc__
    assert kind.__doc__.rstrip().endswith(".")


@EVERY
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_record_comes_back_from_its_json_as_it_was(
    kind: type[msgspec.Struct], data: st.DataObject
) -> None:
    record = data.draw(records(kind))

    again = msgspec.json.decode(canonical(record), type=kind)

    assert again == record
    assert canonical(again) == canonical(record)


@EVERY
def test_settings_take_no_key_they_do_not_know(kind: type[msgspec.Struct]) -> None:
    is_setting = kind.__module__.endswith(".settings") or kind in (RolloutStep, *KINDS_OF_GATE)

    assert kind.__struct_config__.forbid_unknown_fields == is_setting


def test_two_records_never_share_a_default() -> None:
    def job(number: int) -> Any:
        return Job(number=number, kind="train", key=f"{number}", created_at=NOW, created_by="ann")

    first, second = job(1), job(2)
    first.payload["reason"] = "drift"

    assert second.payload == {}


def test_a_ref_is_what_people_type() -> None:
    version = ModelVersion(
        model="delay",
        number=2,
        run=1,
        verdict=1,
        artifact="",
        contract="",
        created_at=NOW,
        created_by="ann",
    )
    arm = Arm(role="canary", model="delay", number=3, artifact="", weight_percent=5.0)
    plan = Plan(
        number=7, environment="production", model="delay", arms=(arm,), release=1, made_at=NOW
    )
    flights = DatasetVersion(
        dataset="flights",
        number=4,
        digest="",
        content="",
        n_files=0,
        n_bytes=0,
        source="data",
        created_at=NOW,
        created_by="ann",
    )

    assert [version.ref, arm.ref, plan.ref, flights.ref] == [
        "delay/2",
        "delay/3",
        "plan/7",
        "flights@4",
    ]
