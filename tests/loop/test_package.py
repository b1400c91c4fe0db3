"""A version leaves the project, and answers elsewhere as its endpoint does."""

import json
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from cd4ml.errors import InvalidInput, NotFound, Refused
from cd4ml.loop.candidate import runtime_of
from cd4ml.loop.package import TakenAway, write_context, write_wheel
from cd4ml.models.contract import CompiledContract
from cd4ml.models.frames import to_rows
from cd4ml.models.violations import violations_of
from cd4ml.records.contract import Contract, Field
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.lineage import Edge
from cd4ml.serving.packaging.requirements import locked, own_locks
from cd4ml.serving.packaging.typed import row_type
from cd4ml.serving.request import RequestReader, RequestRefused
from cd4ml.store import rows
from tests.apart import bare, environment_of, installed, said
from tests.models.builders import CONTRACT, ROW, bitset_boosted, boosted, flights, fragile, logistic
from tests.models.registered import Registered
from tests.services.processes import free_ports
from tests.serving.builders import until

ASK = """
import json, sys
from dataclasses import asdict
import delay_model as model

def told(row):
    try:
        return model.predict(row)
    except model.ContractViolated as error:
        names = ("field", "path", "expected", "got")
        found = [[getattr(each, name) for name in names] for each in error.violations]
        return [str(error), *found]

rows = json.loads(sys.argv[1])
print(json.dumps({
    "one by one": [told(row) for row in rows],
    "together": model.predict_many([row for row in rows if not isinstance(told(row), list)]),
    "none": model.predict_many([]),
    "apart": asdict(model.predict(rows[0], contributions=True)),
    "contract": model.contract()["name"],
    "ref": [model.MODEL, model.NUMBER, model.ARTIFACT],
    "loaded": sorted({name.partition(".")[0] for name in sys.modules}),
}))
"""

BAD: list[Any] = [
    ROW | {"carrier": "ZZ", "hour": 24, "gate": "B12"},
    {"carrier": "AA"},
    ROW | {"wind": "8", "temp": True},
    ROW | {"hour": 17.5},
    5,
]


class Away(NamedTuple):
    """What was written, and where it is installed."""

    python: Path
    site: Path
    taken: TakenAway


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Any]:
    """delay/1 is compiled, delay/2 native."""
    made = Registered(tmp_path_factory.mktemp("registered") / "project", sqlite_template)
    made.version(boosted())
    made.version(bitset_boosted())
    made.point("champion", 1)
    yield made
    made.project.close()


@pytest.fixture(scope="module")
def context(registered: Registered) -> Path:
    """The build context of delay/1."""
    to = registered.folder / "dist"
    write_context(registered.project, "delay@champion", to=to, actor="ann")
    return to / "delay-model-1"


@pytest.fixture(scope="module")
def python(context: Path) -> Path:
    """Where the Dockerfile's first install command was run, and nothing else."""
    words = install_commands(context)[0]
    assert words[-2:] == ["-r", "requirements.txt"]
    kept = (context / "requirements.txt").read_text()
    return environment_of(kept, install=tuple(words[:-2]))


def install_commands(context: Path) -> list[list[str]]:
    """What the Dockerfile has pip install, command by command."""
    text = (context / "Dockerfile").read_text().replace("\\\n", "")
    run = next(line for line in text.splitlines() if line.startswith("RUN "))
    commands = [each.split() for each in run.removeprefix("RUN ").split("&&")]
    assert all(words[:2] == ["pip", "install"] for words in commands)
    return [words[2:] for words in commands]


@pytest.fixture(scope="module")
def away(registered: Registered, python: Path) -> Away:
    """delay/1 installed where there is no cd4ml."""
    folder = registered.folder / "away"
    taken = write_wheel(registered.project, "delay/1", to=folder, actor="ann")
    return Away(python, installed(python, Path(taken.files[0]), folder / "prefix"), taken)


def sample(n: int = 40) -> list[dict[str, Any]]:
    edges = [ROW | {"dest": None, "temp": None}, ROW | {"dest": "None"}, ROW | {"dest": "XYZ"}]
    return [*to_rows(CONTRACT, flights().head(n)), *edges, ROW | {"hour": 17.0}]


def as_endpoint_says(row: Any) -> list[Any]:
    """The message and the violations of the endpoint's refusal."""
    with pytest.raises(RequestRefused) as refusal:
        RequestReader(CompiledContract(CONTRACT)).read(json.dumps(row).encode())
    found = [[v.field, v.path, v.expected, v.got] for v in refusal.value.violations]
    return [refusal.value.message, *found]


def test_a_wheel_answers_as_the_endpoint_does_without_cd4ml(
    registered: Registered, away: Away
) -> None:
    good = sample()
    version = registered.registered(1)

    answer = said(away.python, away.site, ASK, json.dumps([*good, *BAD]))

    expected = runtime_of(registered.project, version).score(good)
    assert answer["one by one"][: len(good)] == expected
    assert answer["together"] == expected
    assert answer["one by one"][len(good) :] == [as_endpoint_says(row) for row in BAD]
    assert answer["none"] == []
    assert (answer["apart"]["method"], answer["apart"]["answer"]) == ("trees", expected[0])
    assert len(answer["apart"]["contributions"]) == len(ROW)
    assert answer["contract"] == "delay"
    assert answer["ref"] == ["delay", 1, version.artifact]
    assert not {"cd4ml", "msgspec", "polars", "sklearn", "uvicorn"} & set(answer["loaded"])


def test_a_wheel_needs_onnxruntime_and_numpy_only(away: Away) -> None:
    assert [each.partition(">=")[0] for each in away.taken.requires] == ["onnxruntime", "numpy"]


def test_the_same_version_gives_the_same_bytes(
    registered: Registered, away: Away, tmp_path: Path
) -> None:
    again = write_wheel(registered.project, "delay@champion", to=tmp_path, actor="bo")

    assert again.address == away.taken.address
    assert Path(again.files[0]).read_bytes() == Path(away.taken.files[0]).read_bytes()
    assert Path(again.files[0]).name == "delay_model-1-py3-none-any.whl"
    assert [path.name for path in tmp_path.iterdir()] == ["delay_model-1-py3-none-any.whl"]


def test_it_is_on_record_who_took_a_version_away(registered: Registered, away: Away) -> None:
    version = registered.registered(1)
    with registered.project.database.read() as connection:
        entries = rows.find(connection, LedgerEntry, action="model.taken away")
        edges = rows.find(connection, Edge, child=away.taken.address)

    assert {(entry.subject, entry.actor) for entry in entries} >= {("delay/1", "ann")}
    assert entries[-1].details["wheel"] == away.taken.address
    assert [(edge.parent, edge.role) for edge in edges] == [(version.artifact, "packaged from")]


TYPED = """
from delay_model import Explained, Row, predict, predict_many

row: Row = {"carrier": "AA", "dest": None, "hour": 17, "temp": 40.5, "wind": 8}
answer: float = predict(row)
answers: list[float] = predict_many([row])
apart: Explained = predict(row, contributions=True)
parts: list[tuple[str, float]] = [(each.field, each.amount) for each in apart.contributions]
"""
MISTYPED = """
from delay_model import Row, predict

row: Row = {"carrier": "ZZ", "dest": "BOS", "hour": "17", "temp": 40.5, "wind": 8}
less: Row = {"carrier": "AA", "dest": "BOS", "hour": 17, "temp": 40.5}
answer: str = predict(row)
"""


def test_type_checkers_help_who_calls_it(away: Away, tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(TYPED)
    (tmp_path / "bad.py").write_text(MISTYPED)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "good.py", "bad.py"]
    checked = subprocess.run(
        [*command, "--cache-dir", str(tmp_path)],
        env=bare(away.site, MYPYPATH=str(away.site)) | {"PYTHONPATH": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    lines = checked.stdout.splitlines()
    assert not [line for line in lines if not line.startswith("bad.py:")], checked.stdout
    codes = sorted(line.rpartition("[")[2].rstrip("]") for line in lines)
    assert codes == ["assignment", "typeddict-item", "typeddict-item", "typeddict-item"]


def test_a_damaged_installation_is_not_loaded(away: Away, tmp_path: Path) -> None:
    shutil.copytree(away.site, tmp_path / "site")
    model = tmp_path / "site" / "delay_model" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    program = """
import json, delay_model
try:
    delay_model.contract()
except delay_model.Damaged as error:
    print(json.dumps(str(error)))
"""

    assert said(away.python, tmp_path / "site", program) == (
        "model.onnx of the model delay/1 is not what was packaged; install it again"
    )


def test_a_native_model_is_pinned_to_the_libraries_it_was_tried_with(
    registered: Registered, tmp_path: Path
) -> None:
    taken = write_wheel(registered.project, "delay/2", to=tmp_path, actor="ann")
    roots = [each.partition("==")[0] for each in taken.requires]
    kept = "\n".join(locked(roots, {}))
    python = environment_of(kept, install=("--no-deps",))
    site = installed(python, Path(taken.files[0]), tmp_path / "prefix")

    answer = said(python, site, ASK, json.dumps([*sample(), *BAD]))

    expected = runtime_of(registered.project, registered.registered(2)).score(sample())
    assert {"numpy", "polars", "scikit-learn"} <= set(roots)
    assert all("==" in each for each in taken.requires)
    # the endpoint asks the trees alone, which add up in another order
    assert answer["together"] == pytest.approx(expected, rel=1e-12)
    assert answer["one by one"][-len(BAD) :] == [as_endpoint_says(row) for row in BAD]
    assert "cd4ml" not in answer["loaded"]


def test_code_that_no_distribution_brings_is_not_left_behind_silently(
    registered: Registered, tmp_path: Path
) -> None:
    contract = Contract(name="delay", fields=CONTRACT.fields)
    number = registered.version(fragile(), contract=contract).number

    with pytest.raises(Refused) as refusal:
        write_wheel(registered.project, f"delay/{number}", to=tmp_path, actor="ann")

    assert str(refusal.value) == (
        "the estimator has classes of the module 'tests', which no distribution brings\n"
        "  hint: a wheel takes none of the project's own code: put it into a package, install it"
    )
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_or_cannot_be_meant_is_refused(
    registered: Registered, tmp_path: Path
) -> None:
    project = registered.project
    with pytest.raises(NotFound):
        write_wheel(project, "delay/99", to=tmp_path, actor="ann")
    with pytest.raises(InvalidInput, match="expected a name of letters, digits and '-'"):
        write_wheel(project, "delay/1", to=tmp_path, name="../x", actor="ann")
    for name, owner in (
        ("numpy", "the distribution numpy, which it needs"),
        ("google", "the distribution protobuf, which it needs"),
        ("uvicorn", "the distribution uvicorn, which it needs"),
        ("cd4ml", "the distribution cd4ml, which it needs"),
        ("json", "Python's own library"),
    ):
        with pytest.raises(InvalidInput) as refusal:
            write_wheel(project, "delay/1", to=tmp_path, name=name, actor="ann")
        assert str(refusal.value) == (
            f"the name {name!r} is that of {owner}: the model would take its place\n"
            "  hint: name it: --name delay-model"
        )
    with pytest.raises(InvalidInput, match="expected a name of letters, digits and '-'"):
        write_wheel(project, "delay/1", to=tmp_path, name="class", actor="ann")
    with pytest.raises(NotFound) as unknown:
        write_wheel(project, "nope@champion", to=tmp_path, actor="ann")
    assert str(unknown.value) == "no model named 'nope'\n  hint: known: delay"
    with pytest.raises(NotFound) as pointless:
        write_wheel(project, "delay@nope", to=tmp_path, actor="ann")
    assert str(pointless.value) == ("no alias named 'delay@nope'\n  hint: known: delay@champion")
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="is a file"):
        write_wheel(project, "delay/1", to=tmp_path / "file", actor="ann")


def test_a_row_type_cannot_be_broken_by_what_people_call_things() -> None:
    fields = (
        Field('"""', "string", categories=('"', "\n'''"), description='ends """\n\x0cimport os'),
        Field("class", "number", unit="m\nimport os", nullable=True),
        Field("b\\", "boolean", nullable=True, optional=True),
        Field("at", "datetime"),
    )
    names: dict[str, Any] = {}

    exec(  # noqa: S102 - what a wheel would run
        "from datetime import datetime\nfrom typing import *\n"
        + row_type(Contract(name="c", fields=fields)),
        names,
    )

    assert names["Row"].__required_keys__ == {'"""', "class", "at"}
    assert names["Row"].__optional_keys__ == {"b\\"}


def test_a_build_context_is_locked_with_hashes(context: Path) -> None:
    text = (context / "requirements.txt").read_text()

    assert sorted(path.name for path in context.iterdir()) == [
        ".dockerignore",
        "Dockerfile",
        "delay_model-1-py3-none-any.whl",
        "requirements.txt",
        "serve",
    ]
    assert own_locks()
    for line in text.replace("\\\n", " ").splitlines():
        assert line.startswith("#") or "==" in line
    assert "onnxruntime==" in text
    assert "uvicorn==" in text
    assert "scikit-learn" not in text
    assert "--hash=sha256:" in text


@pytest.fixture(scope="module")
def site(context: Path, python: Path) -> Path:
    """A prefix in which the Dockerfile's install commands were run."""
    wheel = install_commands(context)[1][-1]
    return installed(python, context / wheel, context.parent / "container")


@pytest.fixture(scope="module")
def container(context: Path, python: Path, site: Path) -> Iterator[httpx.Client]:
    """The start command, run there."""
    with started(context, python, site) as client:
        yield client


@contextmanager
def started(context: Path, python: Path, site: Path, **more: str) -> Iterator[httpx.Client]:
    """The start command of a context, once it answers."""
    port = free_ports(1)
    variables = {"SAGEMAKER_BIND_TO_PORT": str(port), "CD4ML_HOST": "127.0.0.1", **more}
    path = f"{python.parent}:{bare(site)['PATH']}"
    with subprocess.Popen(
        [context / "serve"], env=bare(site, **variables, PATH=path), cwd=site
    ) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
                until(lambda: answers(client))
                yield client
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) in (0, -signal.SIGTERM)


def test_a_wheel_in_the_model_folder_answers_in_place_of_the_one_installed(
    registered: Registered, context: Path, python: Path, site: Path, tmp_path: Path
) -> None:
    version = registered.version(logistic())
    write_wheel(registered.project, version.ref, to=tmp_path, actor="ann")

    with started(context, python, site, CD4ML_MODEL_DIR=str(tmp_path)) as client:
        answer = client.post("/predict", json=ROW).json()["predictions"][0]

    expected = runtime_of(registered.project, version).score([ROW])[0]
    assert (answer["number"], answer["score"]) == (version.number, expected)


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/ping").status_code == 200
    except httpx.TransportError:
        return False


def test_a_container_answers_as_sagemaker_asks(
    registered: Registered, container: httpx.Client
) -> None:
    version = registered.registered(1)
    score = runtime_of(registered.project, version).score([ROW])[0]
    expected = {"score": score, "model": "delay", "number": 1, "artifact": version.artifact}
    split = {"columns": list(ROW), "data": [list(ROW.values())]}

    one = container.post("/predict", json=ROW)
    assert one.json() == {"predictions": [expected]}
    answer = {"predictions": [score], "model_version": ["delay/1"]}
    forms: list[dict[str, Any]] = [
        ROW,
        {"rows": [ROW]},
        {"instances": [ROW]},
        {"dataframe_records": [ROW]},
        {"dataframe_split": split},
        {"inputs": [ROW]},
        {"inputs": ROW},
        {"inputs": {name: [value] for name, value in ROW.items()}},
        {"inputs": {name: [[value]] for name, value in ROW.items()}},
    ]
    for form in forms:
        assert container.post("/invocations", json=form).json() == answer
    assert container.get("/contract").json()["name"] == "delay"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "the body is not JSON"),
        (b"\xff", 400, "the body is not JSON"),
        (b"[" * 100_000, 400, "the body is not JSON"),
        (b"5", 422, "expected an object with a row, or with rows"),
        (b'{"rows": []}', 422, "expected a list of at least one row at $.rows"),
        (b'{"rows": [5]}', 422, "the request does not keep the contract 'delay': 1 violation"),
        (b'{"hour": 1, "hour": 2}', 422, "the name 'hour' stands more than once in one object"),
        (b'{"dataframe_split": {}}', 422, "dataframe_split needs columns and data, which are"),
        (
            b'{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}',
            422,
            "each row of dataframe_split needs 1 values",
        ),
        (b'{"rows": [%s]}' % b",".join([b"{}"] * 1001), 413, "the request has 1001 rows"),
        (
            b'{"inputs": {"a": [1], "b": [1, 2]}}',
            400,
            "the columns of inputs have different lengths",
        ),
        (
            b'{"rows": [{}], "explian": true}',
            422,
            "expected rows, and explain, got 'explian' beside them",
        ),
        (b'{"rows": [{}], "explain": 1}', 422, "expected explain to be true or false, got '1'"),
        (b'{"inputs": 5}', 422, "expected a list of at least one row at $.inputs"),
        (
            b'{"rows": [], "inputs": []}',
            400,
            "expected one of rows, instances, dataframe_records, inputs, dataframe_split, got rows and",
        ),
        (b'{"wind": NaN}', 422, "the request does not keep the contract 'delay': 5 violations"),
    ],
)
def test_a_container_refuses_what_it_cannot_answer(
    container: httpx.Client, body: bytes, status: int, message: str
) -> None:
    refused = container.post("/invocations", content=body)

    assert refused.status_code == status
    assert refused.json()["error"].startswith(message)
    assert refused.json()["hint"] == "send exactly the fields that GET /contract lists"


def test_what_is_said_of_a_violation_does_not_depend_on_the_way(container: httpx.Client) -> None:
    row = ROW | {"hour": 24}
    found = violations_of(CONTRACT.fields, row, "$.rows[0]")

    refused = container.post("/invocations", json={"rows": [row]}).json()

    assert refused["violations"] == [msgspec.to_builtins(each) for each in found]


def test_a_wheel_names_its_files(away: Away) -> None:
    with zipfile.ZipFile(away.taken.files[0]) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        texts = {name: archive.read(name).decode() for name in names if name.endswith(".py")}

    assert "delay_model/py.typed" in names
    assert not [name for name, text in texts.items() if "import cd4ml" in text]
    assert not [name for name, text in texts.items() if "from cd4ml" in text]


def test_a_container_takes_lines_as_batch_transform_sends_them(
    registered: Registered, container: httpx.Client
) -> None:
    rows = [ROW, ROW | {"dest": None, "temp": None}, ROW | {"dest": "a, b", "hour": 5}]
    expected = runtime_of(registered.project, registered.registered(1)).score(rows)
    plain = b'AA,BOS,17,40.5,8.0\nAA,,17,,8.0\nAA,"a, b",5,40.5,8.0\n'
    named = b"hour,carrier,dest,wind,temp\r\n17,AA,BOS,8.0,40.5\r\n"
    lines = "\n".join(json.dumps(row) for row in rows)

    asked = container.post("/invocations", content=plain, headers={"content-type": "text/csv"})
    assert (asked.headers["content-type"], asked.headers[ATTRIBUTES]) == (
        "text/csv",
        "cd4ml-model=delay/1",
    )
    assert [float(line) for line in asked.text.splitlines()] == expected

    one = container.post("/invocations", content=named, headers={"content-type": "text/csv"})
    assert [float(line) for line in one.text.splitlines()] == expected[:1]

    kinds = {"content-type": "application/jsonlines; charset=utf-8", "accept": "text/csv"}
    assert container.post("/invocations", content=lines, headers=kinds).text == asked.text
    kinds["accept"] = "*/*"
    answered = container.post("/invocations", content=lines, headers=kinds)
    assert [json.loads(line)["score"] for line in answered.text.splitlines()] == expected
    kinds["accept"] = "text/csv;q=0.5, application/json"
    told = container.post("/invocations", content=lines, headers=kinds).json()
    assert told["predictions"] == expected


def test_what_each_field_adds_is_said_in_json_or_not_at_all(container: httpx.Client) -> None:
    line, query = b"AA,BOS,17,40.5,8.0\n", {"contributions": "1"}
    sent = {"content-type": "text/csv"}

    told = container.post("/invocations", content=line, params=query, headers=sent).json()
    refused = container.post(
        "/invocations", content=line, params=query, headers=sent | {"accept": "text/csv"}
    )

    assert len(told["explanations"]) == len(told["predictions"]) == 1
    assert refused.status_code == 406
    assert refused.json()["error"] == (
        "what each field adds is said in JSON, and text/csv is asked for"
    )


def test_a_container_reads_no_body_that_is_said_to_be_compressed(container: httpx.Client) -> None:
    refused = container.post("/invocations", json=ROW, headers={"content-encoding": "gzip"})

    assert refused.status_code == 415
    assert refused.json()["error"] == "the body is compressed (gzip), which is not read"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_container_reads_json_in_utf_8_only(container: httpx.Client, encoding: str) -> None:
    refused = container.post("/invocations", content=json.dumps(ROW).encode(encoding))

    assert refused.status_code == 400
    assert refused.json()["error"].startswith("the body is not JSON: ")


@pytest.mark.parametrize(
    ("kind", "body", "status", "message"),
    [
        (
            "text/csv",
            b"AA,BOS\n",
            400,
            "the body is not CSV in UTF-8: line 1 has 2 values for 5 columns",
        ),
        ("text/csv", b"\xff", 400, "the body is not CSV in UTF-8: 'utf-8' codec can't decode"),
        ("text/csv", b"", 422, "expected a line with a row at least, got none"),
        ("text/csv", b'"', 400, "the body is not CSV in UTF-8: "),
        (
            "text/csv",
            b"AA,BOS,five,40.5,8.0\n",
            422,
            "the request does not keep the contract 'delay': 1 violation",
        ),
        ("application/jsonlines", b"{}\n{", 400, "the body is not JSON"),
        ("application/jsonlines", b"\n\n", 422, "expected a line with a row at least, got none"),
    ],
)
def test_lines_that_cannot_be_read_are_refused_in_json(
    container: httpx.Client, kind: str, body: bytes, status: int, message: str
) -> None:
    refused = container.post("/invocations", content=body, headers={"content-type": kind})

    assert (refused.status_code, refused.headers["content-type"]) == (status, "application/json")
    assert refused.json()["error"].startswith(message)


ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"


def test_a_container_is_only_told_to_serve(context: Path, python: Path, site: Path) -> None:
    path = f"{python.parent}:{bare(site)['PATH']}"

    done = subprocess.run(
        [python, "-m", "delay_model", "train"],
        env=bare(site, PATH=path),
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (1, "usage: python -m delay_model serve\n")


def test_sagemakers_own_variable_names_the_folder_of_the_model(
    registered: Registered, context: Path, python: Path, site: Path, tmp_path: Path
) -> None:
    version = registered.version(logistic(c=0.1))
    write_wheel(registered.project, version.ref, to=tmp_path, actor="ann")

    with started(context, python, site, SM_MODEL_DIR=str(tmp_path)) as client:
        assert client.get("/ping").json() == {"model": "delay", "number": version.number}
        answer = client.post("/invocations", json=ROW)

    assert answer.headers[ATTRIBUTES] == f"cd4ml-model={version.ref}"
    assert answer.json()["model_version"] == [version.ref]


def refused_start(context: Path, python: Path, site: Path, **variables: str) -> str:
    """What a container says that does not start."""
    done = subprocess.run(
        [context / "serve"],
        env=bare(site, **variables, PATH=f"{python.parent}:{bare(site)['PATH']}"),
        cwd=site,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr.strip()


def test_a_container_with_a_model_folder_that_is_no_good_does_not_start(
    registered: Registered, context: Path, python: Path, site: Path, tmp_path: Path
) -> None:
    def said_with(**variables: str) -> str:
        return refused_start(context, python, site, **variables)

    for name in ("CD4ML_MODEL_DIR", "SM_MODEL_DIR"):
        away = tmp_path / "away"
        assert (
            said_with(**{name: str(away)}) == f"{name} names the folder {away}, which is not there"
        )
    (torn := tmp_path / "torn").mkdir()
    whole = (context / "delay_model-1-py3-none-any.whl").read_bytes()
    (torn / "delay.whl").write_bytes(whole[: len(whole) // 2])
    assert said_with(CD4ML_MODEL_DIR=str(torn)) == (
        f"the wheel {torn / 'delay.whl'} cannot be unpacked: File is not a zip file; is it damaged?"
        " copy it again"
    )
    taken = write_wheel(registered.project, "delay/1", to=tmp_path / "o", name="other", actor="ann")
    assert said_with(CD4ML_MODEL_DIR=str(tmp_path / "o")) == (
        f"the wheel {taken.files[0]} has no module delay_model: package it under the same name"
    )
    shutil.copy(taken.files[0], torn)
    assert said_with(CD4ML_MODEL_DIR=str(torn)) == (
        f"expected one wheel in {torn}, got delay.whl, other-1-py3-none-any.whl"
    )


def test_a_container_whose_model_is_damaged_never_says_it_is_well(
    registered: Registered, context: Path, python: Path, site: Path, tmp_path: Path
) -> None:
    shutil.copytree(site, tmp_path / "site")
    (tmp_path / "site" / "delay_model" / "model.onnx").write_bytes(b"gone")
    port = free_ports(1)
    variables = {"SAGEMAKER_BIND_TO_PORT": str(port), "CD4ML_HOST": "127.0.0.1"}
    path = f"{python.parent}:{bare(site)['PATH']}"

    done = subprocess.run(
        [context / "serve"],
        env=bare(tmp_path / "site", **variables, PATH=path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode != 0
    assert "model.onnx of the model delay/1 is not what was packaged" in done.stderr
