"""17.0 is 17, 17.5 is not: to an endpoint, a wheel, `cd4ml.load` and tables alike."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cd4ml
from cd4ml.loop.candidate import runtime_of
from cd4ml.models.contract import CompiledContract
from cd4ml.models.runtime import Runtime
from cd4ml.serving.loaded import LoadedModel, RowsRefused
from cd4ml.serving.packaging.contents import contents_of
from cd4ml.serving.request import RequestReader, RequestRefused
from tests.models.builders import CONTRACT, ROW, boosted
from tests.models.registered import Registered

Told = float | list[tuple[str, str]]  # the answer, or field and got of each violation

hours = st.one_of(
    st.integers(-2, 26),
    st.integers(-2, 26).map(float),
    st.floats(-2, 26),
    st.sampled_from([2**63, -(2**63) - 1, 2.0**63, -(2.0**63), 1e300, -0.0]),
)


class Ways(NamedTuple):
    """One version, taken in each way."""

    wheel: Any
    loaded: LoadedModel
    runtime: Runtime
    contract: CompiledContract
    reader: RequestReader


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Ways]:
    made = Registered(tmp_path_factory.mktemp("whole") / "project", sqlite_template)
    version = made.version(boosted())
    site = tmp_path_factory.mktemp("site")
    for name, data in contents_of(made.project.blobs, version, name="whole-one").files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        wheel = importlib.import_module("whole_one")
    runtime = runtime_of(made.project, version)
    with cd4ml.load("delay/1", project=made.folder, every_s=0) as loaded:
        contract = CompiledContract(CONTRACT)
        yield Ways(wheel, loaded, runtime, contract, RequestReader(contract))
    made.project.close()
    for each in [name for name in sys.modules if name.startswith("whole_one")]:
        del sys.modules[each]


def by_wheel(ways: Ways, row: dict[str, Any]) -> Told:
    try:
        return float(ways.wheel.predict(row))
    except ways.wheel.ContractViolated as refused:
        return [(each.field, each.got) for each in refused.violations]


def by_load(ways: Ways, row: dict[str, Any]) -> Told:
    try:
        return ways.loaded.predict(row)
    except RowsRefused as refused:
        return [(each.field, each.got) for each in refused.violations]


def by_endpoint(ways: Ways, row: dict[str, Any]) -> Told:
    try:
        (read,) = ways.reader.read(json.dumps(row).encode())
    except RequestRefused as refused:
        return [(each.field, each.got) for each in refused.violations]
    return ways.runtime.score_values([ways.contract.getter_for(CONTRACT)(read)])[0]


def by_table(ways: Ways, row: dict[str, Any]) -> Told:
    try:
        answers = ways.loaded.predict(pl.DataFrame([row]))
    except RowsRefused as refused:
        return [(each.field, each.got) for each in refused.violations]
    return float(answers[0])


@settings(deadline=None, max_examples=150)
@given(hours)
def test_every_way_takes_the_same_numbers_for_integers(ways: Ways, hour: float) -> None:
    row = ROW | {"hour": hour}
    told = by_wheel(ways, row)

    assert isinstance(told, float) == (hour in range(24))
    assert by_load(ways, row) == told
    assert by_endpoint(ways, row) == told
    if isinstance(hour, float):  # no table has an integer beyond 64 bits
        assert by_table(ways, row) == told


@settings(deadline=None, max_examples=50)
@given(hours.filter(lambda hour: abs(hour) < 2**63))
def test_what_numpy_computed_is_taken_as_what_it_is(ways: Ways, hour: float) -> None:
    row, computed = ROW | {"hour": hour}, ROW | {"hour": np.array([hour])[0]}

    assert by_wheel(ways, computed) == by_load(ways, computed) == by_wheel(ways, row)
