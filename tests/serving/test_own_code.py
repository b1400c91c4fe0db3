"""An endpoint answers with the code that its model was packaged with, wherever it runs."""

import importlib
import json
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from cd4ml.models.estimator import dump
from cd4ml.models.own_code import OwnCode, named_modules, own_code
from cd4ml.models.package import package
from cd4ml.records.run import StepRun
from cd4ml.store.rows import find, insert
from tests.models.builders import CONTRACT, ROW, flights
from tests.serving.builders import Released, _step_run, arm, server

RULES = """
    import numpy as np

    class Constant:
        def predict_proba(self, frame):
            from shop_scale import SHARE  # in the middle of an answer
            late = np.full(len(frame), SHARE)
            return np.column_stack([1 - late, late])
"""


def packaged(project: Released, folder: Path, share: float) -> str:
    """A model of a class in a folder that no server knows."""
    folder.mkdir()
    (folder / "shop_rules.py").write_text(dedent(RULES))
    (folder / "shop_scale.py").write_text(f"SHARE = {share}\n")
    blobs = project.project.blobs
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        importlib.invalidate_caches()
        data = dump(importlib.import_module("shop_rules").Constant())
        del sys.modules["shop_rules"]
    assert named_modules(data) == {"shop_rules"}
    address = blobs.put(data)
    with project.project.database.write() as connection:
        insert(connection, _step_run(len(find(connection, StepRun)) + 1, address))
    code: OwnCode = own_code(data, folder)
    return package(
        blobs,
        estimator=address,
        contract=CONTRACT,
        sample=flights(),
        is_trusted=lambda digest: digest == address,
        code=code,
    )


def test_two_versions_of_one_class_are_swapped_and_survive_a_restart(
    project: Released, tmp_path: Path
) -> None:
    first, second = (packaged(project, tmp_path / f"{n}", n / 4) for n in (1, 3))
    project.plan(arm(first), arm(second, "shadow", number=2))
    with server(project.folder) as running, running.caller() as caller:
        body = json.dumps(ROW).encode()
        (answer,) = caller.ask(body).json["predictions"]
        assert (answer["score"], answer["artifact"]) == (0.25, first)
        assert [each["kind"] for each in caller.get("/ready").json["arms"]] == ["native"] * 2
        project.plan(arm(second, number=2))
        running.wait_for_plan(2)
        assert caller.ask(body).json["predictions"][0]["score"] == 0.75
    scores = {(line["role"], line["score"]) for line in project.captured()}
    assert scores == {("champion", 0.25), ("shadow", 0.75), ("champion", 0.75)}

    (project.folder / ".cd4ml" / "blobs").rename(tmp_path / "away")
    with server(project.folder, plan=2) as running, running.caller() as caller:
        assert caller.ask(body).json["predictions"][0]["score"] == 0.75
