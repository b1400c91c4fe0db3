"""Rows behind an address: fetched if they changed, refused if they are wrong."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cd4ml.data.sources.arrival import Arrival, Wanted
from cd4ml.data.sources.fetching import Limits, fetch
from cd4ml.data.sources.http import read
from cd4ml.errors import Cd4mlError, ConfigurationError, InvalidInput, NotFound, Unavailable
from cd4ml.records.settings import DataSettings
from tests.data.sources.website import CSV, Site, website


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    with website() as opened:
        yield opened


@pytest.fixture
def site(server: Site) -> Site:
    server.asked.clear()
    server.answers.clear()
    return server


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow one another at once, and nobody waits for long."""
    defaults = Limits.__new__.__defaults__
    assert defaults == (False, 30.0, 600.0, (1.0, 3.0))
    monkeypatch.setattr(Limits.__new__, "__defaults__", (False, 0.5, 1.5, (0.0, 0.0)))


def get(
    tmp_path: Path, url: str, *, state: dict[str, str] | None = None, **changes: Any
) -> tuple[Arrival | None, Path]:
    folder = tmp_path / f"{time.monotonic_ns()}"
    folder.mkdir()
    settings = DataSettings(source="http", url=url, **changes)
    return read(Wanted(settings, tmp_path, folder, None, state or {})), folder


def refusal(tmp_path: Path, url: str, **changes: Any) -> Cd4mlError:
    with pytest.raises(Cd4mlError) as refused:
        get(tmp_path, url, **changes)
    return refused.value


def test_a_file_is_fetched_with_what_the_server_says_of_its_state(
    site: Site, tmp_path: Path
) -> None:
    site.serve("/rides", etag='"v1"', last_modified="Fri, 01 Feb 2013 08:00:00 GMT")

    arrival, folder = get(tmp_path, f"{site.url}/rides?key=secret")

    assert arrival == Arrival(
        pattern="rows.*",
        words=f"http {site.url}/rides",
        state={"etag": '"v1"', "last-modified": "Fri, 01 Feb 2013 08:00:00 GMT"},
    )
    assert [path.name for path in folder.iterdir()] == ["rows.csv"]
    assert (folder / "rows.csv").read_bytes() == CSV


def test_what_has_not_changed_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    site.serve("/rides", etag='"v1"')
    arrival, _ = get(tmp_path, f"{site.url}/rides")
    assert arrival is not None

    again, folder = get(tmp_path, f"{site.url}/rides", state=arrival.state)

    assert again is None
    assert list(folder.iterdir()) == []
    assert site.asked[-1][1]["if-none-match"] == '"v1"'
    site.serve("/rides", CSV + CSV[29:], etag='"v2"')
    changed, _ = get(tmp_path, f"{site.url}/rides", state=arrival.state)
    assert changed is not None
    assert changed.state == {"etag": '"v2"'}


@pytest.mark.parametrize(
    ("path", "kind", "name"),
    [
        ("/x", "text/csv; charset=utf-8", "rows.csv"),
        ("/x", "application/vnd.apache.parquet", "rows.parquet"),
        ("/x", "application/x-ndjson", "rows.ndjson"),
        ("/x.parquet", "application/octet-stream", "rows.parquet"),
        ("/x.jsonl", "text/plain", "rows.ndjson"),
        ("/x.CSV", "", "rows.csv"),
        ("/x.parquet", "text/csv", "rows.csv"),
    ],
)
def test_what_came_is_told_by_its_content_type_else_by_its_name(
    site: Site, tmp_path: Path, path: str, kind: str, name: str
) -> None:
    site.serve(path, kind=kind)

    _, folder = get(tmp_path, f"{site.url}{path}")

    assert [found.name for found in folder.iterdir()] == [name]


def test_an_array_of_objects_becomes_a_line_an_object(site: Site, tmp_path: Path) -> None:
    rows = [{"a": 1, "b": "x\ny"}, {"a": None, "b": "\u00e9"}]
    site.serve("/rows", json.dumps(rows, indent=2).encode(), kind="application/json")

    _, folder = get(tmp_path, f"{site.url}/rows")

    assert pl.read_ndjson(folder / "rows.ndjson").to_dicts() == rows


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"rows": []}', "expected a JSON array of objects: Expected `array`, got `object`"),
        (b"[1, 2]", "expected a JSON array of objects, got something else at place 1"),
        (b"[{}, null]", "expected a JSON array of objects, got something else at place 2"),
        (b"[{]", "expected a JSON array of objects: JSON is malformed"),
        (b"[]", "the array is empty"),
        (b"", "the answer is empty"),
    ],
)
def test_other_json_is_refused(site: Site, tmp_path: Path, body: bytes, message: str) -> None:
    site.serve("/rows", body, kind="application/json")

    error = refusal(tmp_path, f"{site.url}/rows")

    assert error.message.startswith(f"http {site.url}/rows: {message}")


def test_a_page_about_the_data_is_not_the_data(site: Site, tmp_path: Path) -> None:
    site.serve("/rides.csv", b"<html>", kind="text/html; charset=utf-8")

    assert str(refusal(tmp_path, f"{site.url}/rides.csv")) == (
        f"http {site.url}/rides.csv: expected CSV, Parquet, NDJSON or JSON, got text/html\n"
        "  hint: is it the address of the data, or of a page about them?"
    )


def test_a_server_that_is_well_again_is_asked_again(site: Site, tmp_path: Path) -> None:
    site.serve("/bad", b"", status=503)
    site.truncate("/short")
    site.serve("/good")
    site.in_turn("/rides", "/bad", "/short", "/good")

    _, folder = get(tmp_path, f"{site.url}/rides")

    assert (folder / "rows.csv").read_bytes() == CSV
    assert len(site.asked) == 3


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("500", "HTTP 500 Internal Server Error"),
        ("truncated", "it ends after 61 of 71 bytes"),
        ("silent", "timed out"),
        ("dripping", "it takes longer than 1.5 s"),
        ("closed", "Remote end closed connection without response"),
    ],
)
def test_a_server_that_stays_ill_is_unavailable(
    site: Site, tmp_path: Path, fault: str, reason: str
) -> None:
    site.serve("/500", b"", status=500)
    site.truncate("/truncated")
    site.hang("/silent", seconds=0.8)
    site.drip("/dripping", seconds=3)
    site.answers["/closed"] = lambda handler: handler.connection.close()

    error = refusal(tmp_path, f"{site.url}/{fault}")

    assert type(error) is Unavailable
    assert str(error) == (
        f"http {site.url}/{fault} does not answer as it should, in 3 attempts: {reason}\n"
        "  hint: is the server well, and the address right?"
    )
    assert len(site.asked) == 3


def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    error = refusal(tmp_path, "http://127.0.0.1:1/rides.csv")

    assert type(error) is Unavailable
    assert "in 3 attempts: [Errno 111] Connection refused" in error.message


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (404, NotFound, "404 Not Found"),
        (401, InvalidInput, "401 Unauthorized"),
        (403, InvalidInput, "403 Forbidden"),
        (206, InvalidInput, "206 Partial Content"),
    ],
)
def test_an_answer_that_will_not_change_is_believed(
    site: Site, tmp_path: Path, status: int, kind: type[Cd4mlError], said: str
) -> None:
    site.serve("/rides", status=status)

    error = refusal(tmp_path, f"{site.url}/rides")

    assert type(error) is kind
    assert error.message == f"http {site.url}/rides: the server answers {said}"
    assert len(site.asked) == 1


@pytest.mark.parametrize("says", ["length", "nothing"])
def test_an_answer_that_is_too_long_is_cut(site: Site, tmp_path: Path, says: str) -> None:
    more = {} if says == "length" else {"content_length": ""}
    site.serve("/rides", b"x" * 1_100_000, **more)

    error = refusal(tmp_path, f"{site.url}/rides", at_most_mb=1)

    assert str(error) == (
        f"http {site.url}/rides: the answer is longer than 1 MB\n"
        "  hint: at_most_mb in cd4ml.toml raises the limit"
    )


def test_a_compressed_answer_that_nobody_asked_for_is_refused(site: Site, tmp_path: Path) -> None:
    site.serve("/rides", content_encoding="gzip")

    assert refusal(tmp_path, f"{site.url}/rides").message == (
        f"http {site.url}/rides: it answers in gzip, which was not asked for"
    )


def test_redirects_are_followed_and_a_circle_is_left(site: Site, tmp_path: Path) -> None:
    site.serve("/old", b"", status=302, location="/new.csv")
    site.serve("/new.csv", kind="application/octet-stream")
    site.serve("/a", b"", status=301, location="/b")
    site.serve("/b", b"", status=307, location="/a")

    _, folder = get(tmp_path, f"{site.url}/old")

    assert (folder / "rows.csv").read_bytes() == CSV
    assert str(refusal(tmp_path, f"{site.url}/a")) == (
        f"http {site.url}/a: it redirects without end (2 times)\n"
        "  hint: correct `url`: the address of the data themselves"
    )


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x"])
def test_redirects_stay_on_the_web(site: Site, tmp_path: Path, target: str) -> None:
    site.serve("/rides", b"", status=302, location=target)

    error = refusal(tmp_path, f"{site.url}/rides")

    assert error.message == f"http {site.url}/rides: expected an address that begins with https://"


def test_another_machine_cannot_send_us_to_this_one(site: Site, tmp_path: Path) -> None:
    """127.1 is this machine too, under a name that does not look like it."""
    site.serve("/rides", b"", status=302, location=f"{site.url}/secrets.csv")
    site.serve("/secrets.csv")
    other = f"{site.url.replace('127.0.0.1', '127.1')}/rides"

    error = refusal(tmp_path, other, plain_http=True)

    assert error.message == f"http {other}: another machine redirects to this one"
    assert [path for path, _ in site.asked] == ["/rides"]


def test_secrets_come_from_the_environment_and_go_to_nobody_else(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIDES_TOKEN", "very-secret")
    headers = {"Authorization": "Bearer env:RIDES_TOKEN", "X-Api-Key": "env:RIDES_TOKEN"}
    with website() as other:
        other.serve("/rides.csv")
        site.serve("/rides", b"", status=302, location=f"{other.url}/rides.csv")

        get(tmp_path, f"{site.url}/rides", headers=headers)

        sent, elsewhere = site.asked[0][1], other.asked[0][1]
    assert (sent["authorization"], sent["x-api-key"]) == ("Bearer very-secret", "very-secret")
    assert "very-secret" not in str(elsewhere)


def test_a_variable_that_is_missing_or_no_line_is_named(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Authorization": "Bearer env:RIDES_TOKEN"}
    error = refusal(tmp_path, f"{site.url}/rides", headers=headers)
    monkeypatch.setenv("RIDES_TOKEN", "two\nlines")
    broken = refusal(tmp_path, f"{site.url}/rides", headers=headers)

    assert type(error) is ConfigurationError
    assert error.message == (
        "the environment variable RIDES_TOKEN is not set, and 'Authorization' names it"
    )
    assert broken.message == "expected one line of printable text for 'Authorization'"
    assert site.asked == []


@pytest.mark.parametrize("url", ["http://example.org/x.csv", "http://10.0.0.7/x.csv"])
def test_an_open_connection_to_another_machine_has_to_be_allowed(tmp_path: Path, url: str) -> None:
    assert str(refusal(tmp_path, url)) == (
        f"http {url}: http:// lets everybody on the way read and change the rows\n"
        "  hint: use https://, or say plain_http = true"
    )


def test_a_certificate_that_nobody_knows_is_not_believed(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Our own server does not speak TLS at all; that it is not spoken to without is the point."""
    with website() as site:
        site.serve("/rides.csv")
        limits = Limits(at_most=1000, waits_s=())

        with pytest.raises(Unavailable, match=r"in 1 attempts: .*SSL"):
            fetch(
                site.url.replace("http", "https") + "/rides.csv",
                tmp_path / "x",
                headers={},
                limits=limits,
                what="http x",
            )

        assert site.asked == []


def test_a_password_in_an_address_goes_to_nobody(site: Site, tmp_path: Path) -> None:
    secret = site.url.replace("//", "//ann:SECRET@")
    site.serve("/there", status=302, location=f"{secret}/x.csv")

    for url in (f"{secret}/x.csv", f"{site.url}/there"):
        told = str(refusal(tmp_path, url))
        assert told.endswith(
            ": it leads to an address with a user and password in it\n"
            "  hint: say who asks in `headers`, with env:NAME for what is secret"
        )
        assert "SECRET" not in told
    assert [path for path, _ in site.asked] == ["/there"]
