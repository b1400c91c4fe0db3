"""The command line as a process: how long it takes, and how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from cd4ml.loop import Project
from cd4ml.loop.promote import approve
from cd4ml.loop.retrain import ask
from cd4ml.records.job import Job
from cd4ml.store import rows
from tests.starter import ADMIN, MANAGER

CD4ML = [sys.executable, "-m", "cd4ml"]


def run(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [*CD4ML, *words], capture_output=True, text=True, timeout=60, **options
    )


def test_help_costs_less_than_two_fifths_of_a_second() -> None:
    program = (
        "import sys, time; from cd4ml.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(time.process_time(), file=sys.stderr)"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert float(ran.stderr) < 0.4


@pytest.mark.parametrize("heavy", ["polars", "sqlalchemy", "sklearn", "rich", "starlette", "numpy"])
def test_nothing_heavy_is_loaded_before_a_command_runs(heavy: str) -> None:
    program = f"import sys, cd4ml.cli; sys.exit({heavy!r} in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_closed_pipe_is_quiet(folder: Path) -> None:
    words = [*CD4ML, "audit", "log", "--project", str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # as `| head -0` does
        error = process.stderr.read()

    assert error == b""
    assert process.returncode == 141


def test_the_answer_for_machines_is_all_there_is_on_standard_output(folder: Path) -> None:
    ran = run("compare", "--json", cwd=folder)

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)[0]["run"]["number"] == 1
    assert ran.stderr == ""


def test_what_a_pipeline_prints_is_kept_out_of_the_answer_for_machines(folder: Path) -> None:
    module = folder / "pipeline.py"
    noisy = module.read_text().replace(
        "    features = training",
        "    print('from a step')\n    import os\n    os.system('echo from a child')\n"
        "    features = training",
    )
    module.write_text(f"{noisy}\nprint('while it is imported')\n")

    once = run("--as", ADMIN, "run", "--json", cwd=folder)
    grid = run("--as", ADMIN, "run", "--grid", "diagnosis.strength=2.0", "--json", cwd=folder)
    gate = run("--as", ADMIN, "gate", "run/2", "--json", cwd=folder)

    assert json.loads(once.stdout)["run"]["number"] == 2
    assert json.loads(grid.stdout)["runs"][0]["run"]["number"] == 3
    assert json.loads(gate.stdout)["verdict"]["run"] == 2
    for ran in (once, grid):
        for said in ("from a step", "from a child", "while it is imported"):
            assert said in ran.stderr


def up(folder: Path, *words: str) -> tuple[subprocess.Popen[str], str]:
    """A control plane on a free port, and its address."""
    process = subprocess.Popen(
        [*CD4ML, "up", "--port", "0", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://[\w.]+:\d+", line)
    assert found is not None, (line, process.communicate())
    return process, found[0]


@pytest.mark.parametrize(("ended_by", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_control_plane_answers_until_it_is_told_to_end(
    folder: Path, ended_by: int, code: int
) -> None:
    process, address = up(folder)
    try:
        page = httpx.get(address, timeout=20)
        api = httpx.get(f"{address}/api/status", timeout=20)
    finally:
        process.send_signal(ended_by)
        _, error = process.communicate(timeout=20)

    assert (page.status_code, api.status_code) == (200, 200)
    assert (process.returncode, error) == (code, "")


@pytest.mark.parametrize(("ended_by", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_an_endpoint_says_how_it_was_ended(folder: Path, ended_by: int, code: int) -> None:
    process = subprocess.Popen(
        [*CD4ML, "serve", "--in", "staging", "--port", "0"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "answers with plan" not in process.stderr.readline():
        assert process.poll() is None

    process.send_signal(ended_by)
    _, error = process.communicate(timeout=20)

    assert process.returncode == code
    assert "Traceback" not in error


@pytest.mark.parametrize("words", [[], ["--workers", "1"]], ids=["alone", "workers"])
@pytest.mark.parametrize("pause_s", [0.02, 0.1, 0.2])
def test_a_second_ctrl_c_ends_an_endpoint_without_a_traceback(
    folder: Path, words: list[str], pause_s: float
) -> None:
    command = [*CD4ML, "serve", "--in", "staging", "--port", "0", *words]
    ready = "accepts connections" if words else "answers with plan"
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as ran:
        assert ran.stderr is not None
        while ready not in ran.stderr.readline():
            assert ran.poll() is None
        ran.send_signal(signal.SIGINT)
        time.sleep(pause_s)
        ran.send_signal(signal.SIGINT)
        error = ran.stderr.read()

    assert "Traceback" not in error, error
    assert ran.returncode in (0, 130, -signal.SIGINT)


def test_an_endpoint_of_workers_ends_when_they_have_ended(folder: Path) -> None:
    words = ["serve", "--in", "staging", "--port", "0", "--workers", "1"]
    with subprocess.Popen([*CD4ML, *words], cwd=folder, stderr=subprocess.PIPE, text=True) as ran:
        assert ran.stderr is not None
        while "worker 1 (process" not in ran.stderr.readline():
            assert ran.poll() is None
        ran.terminate()
        error = ran.stderr.read()

    assert ran.returncode == 0
    assert "staging ends: requests in flight are finished" in error
    assert "Traceback" not in error


def test_no_workers_are_no_endpoint(folder: Path) -> None:
    none = run("serve", "--in", "staging", "--workers", "0", cwd=folder)

    assert none.returncode == 2
    assert none.stderr == (
        "error: cd4ml serve: argument --workers: expected 1 to 256 processes, got '0'\n"
        "  hint: cd4ml serve --help\n"
    )


def test_a_port_that_is_taken_is_an_error_with_a_remedy(folder: Path) -> None:
    process, address = up(folder, "--without-work")
    try:
        second = run("up", "--port", address.rpartition(":")[2], cwd=folder)
    finally:
        process.terminate()
        process.communicate(timeout=20)

    assert second.returncode == 1
    assert re.fullmatch(
        r"error: cannot listen on 127\.0\.0\.1 port \d+: Address already in use\n"
        r"  hint: choose another one with --port\n",
        second.stderr,
    )


def test_background_work_is_done_beside_the_console(folder: Path, project: Project) -> None:
    approve(project, "release/2", reason="good", actor=MANAGER)
    ask(project, reason="spring", actor=ADMIN)

    process, _ = up(folder)
    try:
        deadline = time.monotonic() + 30
        while state_of_job(project) in ("queued", "running"):
            assert time.monotonic() < deadline, "nobody did the job"
            time.sleep(0.1)
    finally:
        process.terminate()
        process.communicate(timeout=20)

    assert state_of_job(project) == "failed"  # production has shown nothing yet


def state_of_job(project: Project) -> str:
    with project.database.read() as connection:
        return rows.get(connection, Job, 1).state


def test_listening_beyond_the_usual_addresses_warns(folder: Path) -> None:
    process, _ = up(folder, "--host", "127.0.0.2", "--without-work")  # still this machine
    try:
        process.terminate()
        _, error = process.communicate(timeout=20)
    finally:
        process.kill()

    assert "whoever reaches this address can act as anybody" in error


def test_an_environment_without_color_or_home_is_enough(folder: Path) -> None:
    bare = {"PATH": os.environ["PATH"], "CD4ML_ACTOR": ADMIN}

    ran = run("status", cwd=folder, env=bare)

    assert ran.returncode == 0, ran.stderr
    assert "\x1b" not in ran.stdout


def test_a_pipe_gets_each_row_in_one_line_and_whole(folder: Path) -> None:
    variables = {k: v for k, v in os.environ.items() if k != "COLUMNS"} | {"CD4ML_ACTOR": ADMIN}
    note = "for the nightly export of the flights of yesterday " * 3 + "to the warehouse"
    scopes = ["read", "data", "predict:production", "push:patients", "track", "gate", "model"]
    words = [word for scope in scopes for word in ("--scope", scope)]

    made = run("token", "create", ADMIN, *words, "--note", note, cwd=folder, env=variables)
    listed = run("token", "list", cwd=folder, env=variables)
    log = run("log", "show", cwd=folder, env=variables)

    said = [line.rstrip() for line in made.stdout.splitlines()]
    assert said[2:4] == [f"  for      {note}", f"  may      {', '.join(scopes)}"]
    (line,) = [line for line in listed.stdout.splitlines() if note in line]
    assert ", ".join(scopes) in line
    place = folder.resolve() / ".cd4ml" / "blobs" / "tables" / "predictions"
    assert [line for line in log.stdout.splitlines() if str(place) in line]
