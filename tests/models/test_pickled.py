"""The same estimator has the same bytes, whatever its process has done before."""

import pickle
import subprocess
import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from cd4ml.models.pickled import dumps

loads = pickle.loads  # of bytes that are made here

ADDRESS = """\
import hashlib, pickle, sys
if sys.argv[2:]:
    pickle.loads(open(sys.argv[2], "rb").read())  # the classes meet these names first
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from cd4ml.models.pickled import dumps
encode = ColumnTransformer(
    [("kind", OneHotEncoder(), ["kind"]), ("numbers", StandardScaler(), ["size"])]
)
dump = {"plain": pickle.dumps, "cd4ml": dumps}[sys.argv[1]]
print(hashlib.sha256(dump(encode)).hexdigest())
"""


class Slotted:
    __slots__ = ("name", "value")

    def __init__(self, name: str, value: int) -> None:
        self.name, self.value = name, value


@dataclass
class Node:
    name: str
    next: "Node | None" = None
    seen: dict[str, Any] = field(default_factory=dict)


def address(way: str, *before: Path) -> str:
    command = [sys.executable, "-c", ADDRESS, way, *map(str, before)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_an_estimator_unpickled_before_does_not_change_the_bytes_of_the_next(
    tmp_path: Path,
) -> None:
    before = tmp_path / "before.pickle"
    encode = ColumnTransformer([("kind", OneHotEncoder(), ["kind"])])
    before.write_bytes(pickle.dumps(make_pipeline(encode, StandardScaler())))

    assert address("cd4ml") == address("cd4ml", before)
    assert address("plain") != address("plain", before)  # else this module is worth nothing


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, "a", None], "b": ("a", b"c")},
        OrderedDict(a=1),
        np.arange(6.0).reshape(2, 3),
        np.array(["kind", "size"], dtype=object),
        {"x", "y"},
    ],
    ids=["plain", "ordered", "array", "objects", "set"],
)
def test_what_is_pickled_comes_back(value: Any) -> None:
    found = loads(dumps(value))

    assert type(found) is type(value)
    np.testing.assert_equal(found, value)


def test_instances_of_every_kind_come_back() -> None:
    slotted = loads(dumps(Slotted("name", 3)))
    circle = Node("circle")
    circle.next = circle
    found = loads(dumps([circle, circle, partial(max, 1), Node, Slotted]))

    assert (slotted.name, slotted.value) == ("name", 3)
    assert found[0] is found[1] is found[0].next
    assert found[0].name == "circle"
    assert found[2](5) == 5
    assert found[3:] == [Node, Slotted]


def test_what_an_object_has_twice_it_has_once() -> None:
    shared = np.arange(1000.0)
    first, second = loads(dumps([Node("a", seen={"x": shared}), Node("b", seen={"y": shared})]))

    assert first.seen["x"] is second.seen["y"]


@pytest.mark.parametrize("kind", [HistGradientBoostingClassifier, RandomForestClassifier])
def test_a_fitted_estimator_answers_as_before(kind: Any) -> None:
    rows = np.random.default_rng(0).normal(size=(200, 3))
    fitted = kind(random_state=0).fit(rows, rows[:, 0] > 0)

    again = loads(dumps(fitted))

    np.testing.assert_array_equal(again.predict_proba(rows), fitted.predict_proba(rows))
    assert dumps(again) == dumps(loads(dumps(again)))


def test_functions_come_back_by_name() -> None:
    assert loads(dumps([address, len, Path.exists])) == [address, len, Path.exists]


def test_what_cannot_be_pickled_says_so_as_pickle_does() -> None:
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        dumps(Node("a", seen={"f": lambda: 1}))
