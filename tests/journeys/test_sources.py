"""`cd4ml up` reads what comes: a folder that is watched, a query on a schedule."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.journeys.command_line import cd4ml
from tests.journeys.test_push import up
from tests.loop.shop import lay_out

HEAD = "ride,station,minutes,left_at\n"
SETTINGS = """\
[data.rides]
path = "in/*.csv"
watch = true
contract = "contracts:Rides"

[data.stations]
source = "sql"
connection = "env:SHOP"
query = "SELECT name, docks FROM stations ORDER BY name"
every = "week"
"""

pytestmark = [pytest.mark.journey, pytest.mark.slow]


def wait_for(url: str, ref: str, *, timeout_s: float = 30.0) -> dict[str, Any]:
    """The version, once it is there."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        answer = httpx.get(f"{url}/api/datasets/{ref}")
        if answer.status_code == 200:
            found: dict[str, Any] = answer.json()["version"]
            return found
        time.sleep(0.2)
    raise AssertionError(f"no {ref} after {timeout_s:g} s: {answer.text}")


def wait_for_a_failure(url: str, *, timeout_s: float = 30.0) -> None:
    """Until rides could not be read."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        pulls = httpx.get(f"{url}/api/pulls", params={"name": "rides"}).json()
        if "failed" in {each["job"]["state"] for each in pulls}:
            return
        time.sleep(0.2)
    raise AssertionError(f"no pull failed within {timeout_s:g} s: {pulls}")


def test_rows_come_in_while_it_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lay_out(tmp_path / "shop", SETTINGS, is_simulated=False)
    (folder / "in").mkdir()
    with closing(sqlite3.connect(folder / "shop.db")) as shop, shop:
        shop.execute("CREATE TABLE stations (name TEXT, docks INTEGER)")
        shop.execute("INSERT INTO stations VALUES ('Park', 20), ('Market', 12)")
    monkeypatch.setenv("SHOP", "sqlite:///shop.db")

    with up(folder) as (_, url):
        assert wait_for(url, "stations@1")["n_rows"] == 2
        slow = folder / "in" / "1.csv"
        with slow.open("w") as file:  # for longer than a turn of the work, with pauses
            file.write(HEAD)
            for number in range(1, 9):
                file.write(f"{number},Park,7.5,2013-02-01\n")
                file.flush()
                time.sleep(0.3)
        first = wait_for(url, "rides@1")
        (folder / "in" / "2.csv").write_text(f"{HEAD}9,Prak,1,2013-02-01\n")
        wait_for_a_failure(url)
        (folder / "in" / "2.csv").write_text(f"{HEAD}9,Park,1,2013-02-01\n")
        second = wait_for(url, "rides@2")

    assert (first["n_rows"], second["n_rows"]) == (8, 9)
    pulled = cd4ml("data", "pulls", "rides", "--json", folder=folder).json
    assert [each["job"]["state"] for each in pulled] == ["done", "failed", "done"]
    assert "2.csv: 'Prak'" in pulled[1]["job"]["reason"]
    listed = cd4ml("data", "pulls", folder=folder)
    assert listed.code == 0
    assert "rides     failed" in listed.out
