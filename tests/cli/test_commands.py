"""Every command once, in the order of the loop, through the function the script calls."""

from pathlib import Path

import pytest

from cd4ml.cli.commands import FAMILIES, services
from cd4ml.cli.words import language
from cd4ml.loop import Project
from cd4ml.store import rows
from tests.cli.shell import Shell
from tests.starter import MANAGER, alert, measured

Capture = pytest.CaptureFixture[str]


def test_a_project_is_laid_out(tmp_path: Path, capsys: Capture) -> None:
    shell = Shell(tmp_path / "new", capsys)

    said = shell(f"init {tmp_path / 'new'}")

    assert shell.code == 0
    assert "cd4ml.toml" in said
    assert "cd4ml run" in said
    assert "no dataset yet: cd4ml data add NAME" in shell("status")
    assert shell.json(f"init {tmp_path / 'new'}")["error"].endswith("is not an empty folder")


def test_a_folder_of_files_is_a_dataset_in_three_commands(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / "tom.png").write_bytes(b"not really")
    shell = Shell(tmp_path, capsys)

    assert "cd4ml data adopt NAME" in shell(f"init --bare {tmp_path}")
    assert "described in cd4ml.toml as [data.cats]" in shell("data adopt cats cats")
    assert "cats@1" in shell("data list cat")
    assert "data" in shell("status")
    shell(f"init --bare {tmp_path} --example flights")
    assert shell.code == 2


def test_a_note_on_files_that_are_known_is_not_dropped_in_silence(shell: Shell) -> None:
    assert "hint" not in shell("data add patients")
    assert "hint: patients@1 has had these files before, and keeps its own note" in shell(
        "data add patients --note", "the first ones"
    )


def test_data_is_registered_and_found(shell: Shell) -> None:
    assert "patients@1" in shell("data add patients")
    assert "569" in shell("data list")
    assert "patients" not in shell("data list nothing-like-it")
    assert "mean_radius" in shell("data show patients@1")
    assert shell.json("data show patients")["version"]["number"] == 1


def test_versions_are_named_laid_out_and_checked(shell: Shell, tmp_path: Path) -> None:
    assert shell("data tag patients@1 first") == "patients@first is patients@1\n"
    assert "first" in shell("data log patients")
    said = shell(f"data checkout patients@first --to {tmp_path / 'out'}")
    assert said.startswith("patients@1: 1 file, ")
    path = shell.json("data get patients@first data/patients.csv")
    laid_out = (tmp_path / "out" / "data" / "patients.csv").read_bytes()
    assert Path(path).read_bytes() == laid_out
    assert shell("data untag patients first") == "patients has no tag first now\n"
    assert shell("data verify patients@1").startswith("1 file of 1 version read, ")
    assert shell.json("data verify")["damaged"] == []
    Path(path).chmod(0o644)
    Path(path).write_bytes(laid_out.replace(b"1", b"2", 1))
    said = shell("data verify patients@1")
    assert shell.code == 1
    assert "is not what was stored" in said
    assert shell("data gc --dry-run").startswith("0 versions would be removed")
    shell("data gc --keep 0")
    assert "at least the newest version" in shell.error


def test_data_is_shown_as_of_a_moment(shell: Shell) -> None:
    assert "569 of 569 rows had arrived by 2999-12-31 00:00 UTC" in shell(
        "data show patients --as-of 2999-12-31"
    )
    assert "569 of 569 rows had" in shell("data show patients@1 --as-of 2013-01-01T09:30")
    assert shell.json("data show patients --as-of 2999-12-31")["n_known"] == 569
    assert (
        "had no version on 2013-01-01"
        in shell.json("data show patients --as-of 2013-01-01")["error"]
    )
    assert shell.code == 1
    assert "expected a day like" in shell.json("data show patients --as-of soon")["error"]
    assert shell.code == 2


def test_a_run_is_made_of_what_was_known(shell: Shell) -> None:
    assert "run/2 finished" in shell("run --as-of 2999-12-31")
    assert shell.json("run --as-of 2999-12-31")["run"]["as_of"] == "2999-12-31T00:00:00Z"
    assert "data as of" in shell("compare run/1 run/2")
    assert "had no version on 2013-01-01" in shell.json("run --as-of 2013-01-01")["error"]
    assert "expected a day like" in shell.json("run --as-of soon")["error"]
    assert shell.code == 2


def test_a_contract_is_suggested_reviewed_and_checked(shell: Shell, folder: Path) -> None:
    suggested = shell("data suggest patients")
    assert shell.code == 0, shell.error
    assert suggested.startswith("# Suggested from 569 rows of patients@")
    (folder / "patients.toml").write_text(suggested)
    in_settings(folder, "[data.patients]\n", '[data.patients]\ncontract = "patients.toml"\n')
    assert "data/patients.csv keeps all " in shell("data check patients")
    assert shell.code == 0
    (folder / "patients.odcs.yaml").write_text(shell("data contract patients --form odcs"))
    assert "name: mean_radius" in (folder / "patients.odcs.yaml").read_text()
    assert shell("data contract patients.odcs.yaml").partition("\n")[2] == shell(
        "data contract patients"
    )
    assert shell.json("data contract patients").startswith('name = "patients"')


def test_a_broken_contract_is_an_exit_code_of_3(shell: Shell, folder: Path) -> None:
    limit = 'name = "p"\nopen = true\n[field.mean_radius]\ntype = "number"\nmaximum = 20\n'
    (folder / "patients.toml").write_text(limit)
    in_settings(folder, "[data.patients]\n", '[data.patients]\ncontract = "patients.toml"\n')

    said = shell("data check patients")

    assert shell.code == 3
    assert said.startswith("data/patients.csv breaks 1 of ")
    assert "mean_radius at most 20" in said
    assert "mean_radius is number" not in said
    assert "mean_radius is number" in shell("data check patients --all")
    assert shell.json("data check patients")["outcome"] == "fail"
    assert "breaks 1 of" in shell("data check patients@1")


def test_what_is_set_aside_is_named(shell: Shell, folder: Path) -> None:
    limit = 'name = "p"\nopen = true\n[field.mean_radius]\ntype = "number"\nmaximum = 20\n'
    (folder / "patients.toml").write_text(limit)
    policy = 'contract = "patients.toml"\non_violation = "quarantine"\n'
    in_settings(folder, "[data.patients]\n", f"[data.patients]\n{policy}")

    said = shell("data add patients")

    assert shell.code == 0, shell.error
    assert "rows set aside: patients_quarantine@1" in said
    assert "set aside" in shell("data show patients")
    names = [entry["dataset"]["name"] for entry in shell.json("data list")]
    assert names == ["patients", "patients_quarantine"]


def test_a_run_is_compared_with_another(shell: Shell) -> None:
    assert "run/2 finished" in shell("run --set diagnosis.strength=0.5 --experiment softer")
    assert "softer" in shell("compare")
    assert "run/1" not in shell("compare --experiment softer")
    said = shell("compare run/1 2")
    assert "parameter diagnosis.strength" in said
    assert "*" in said
    assert shell("compare 1 1") == "run/1, run/1 do not differ\n"
    assert shell.json("compare --best auc --limit 1")[0]["metrics"]["auc"] > 0.9


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        ("compare --best nope", "no run has the metric 'nope'", "known: auc"),
        (
            "compare --search 99",
            "no run belongs to the search 99",
            "cd4ml compare lists the runs",
        ),
        (
            "compare --experiment nope",
            "no run belongs to the experiment 'nope'",
            "cd4ml compare lists the runs",
        ),
        (
            "serve --in production --port abc",
            "cd4ml serve: argument --port: expected a port from 0 to 65535, got 'abc'",
            "cd4ml serve --help",
        ),
        (
            "serve --in production --on ray --workers 2",
            "--workers are processes of this machine, and --on ray has replicas on a cluster",
            "--min-replicas and --max-replicas say how many",
        ),
        (
            "serve --in production --max-replicas 2",
            "--min-replicas and --max-replicas are of a Ray cluster, and --on ray is not said",
            "--workers says how many processes of this machine answer",
        ),
        (
            "demo --months x",
            "cd4ml demo: argument --months: expected 1 to 11 months, got x",
            "cd4ml demo --help",
        ),
    ],
)
def test_what_is_not_known_is_said(shell: Shell, words: str, error: str, hint: str) -> None:
    assert shell.json(words) == {"error": error, "hint": hint}
    assert shell.code in (1, 2)


@pytest.mark.parametrize("words", ["serve --in production", "serve --in production --on ray"])
def test_a_variable_that_is_no_port_is_named(
    words: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "abc")

    assert shell.json(words) == {
        "error": "the variable SAGEMAKER_BIND_TO_PORT: expected a port from 0 to 65535, got 'abc'",
        "hint": "correct it, or say --port",
    }
    assert shell.code == 2


@pytest.mark.parametrize(
    ("words", "port", "host"),
    [
        ("", "", "127.0.0.1"),
        ("", "8080", "0.0.0.0"),
        ("--port 9000", "8080", "0.0.0.0"),
        ("--host 127.0.0.2", "8080", "127.0.0.2"),
    ],
)
def test_where_sagemaker_names_the_port_an_endpoint_is_heard_from_outside(
    words: str, port: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", port)
    typed = language(FAMILIES).parser.parse_args(["serve", "--in", "production", *words.split()])

    assert services._endpoint_host(typed) == host


def test_a_run_takes_only_what_the_pipeline_knows(shell: Shell) -> None:
    shell("run --set diagnosis.strnegth=0.5")
    assert shell.code == 1
    assert "strnegth" in shell.error
    assert shell.json("run --data patients=patients@9")["error"]
    assert shell.json("run --trials 3")["error"] == "cd4ml run: --trials needs --grid"
    assert shell.json("run --grid diagnosis.strength=0.1 --in-process")["error"] == (
        "cd4ml run: --in-process is for one run, not for --grid"
    )
    for option in ("--trials", "--workers"):
        shell(f"run --grid diagnosis.strength=0.1 {option} 0")
        assert (shell.code, shell.error.splitlines()[0]) == (
            2,
            f"error: cd4ml run: argument {option}: expected a number from 1 to 1,000,000, got '0'",
        )
    assert shell.code == 2


@pytest.mark.slow
def test_a_run_shows_what_its_steps_print_and_keeps_it(
    shell: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CD4ML_EXECUTOR", "processes")
    pipeline = folder / "pipeline.py"
    text = pipeline.read_text()
    first_line = "    features = training.drop(TARGET)"
    assert first_line in text
    pipeline.write_text(text.replace(first_line, f'    print("learns")\n{first_line}'))

    shell("run --workers 2")
    assert (shell.code, shell.error) == (0, "diagnosis | learns\n")
    ref = shell.json("compare")[0]["run"]["number"]
    said = shell(f"show {ref}")
    assert f"run/{ref} finished" in said
    assert f"cd4ml logs run/{ref}" in said
    assert shell(f"logs {ref}") == "diagnosis | learns\n"
    assert shell(f"logs {ref} diagnosis") == "learns\n"
    assert shell(f"logs {ref} evaluation") == "\n"
    shell(f"logs {ref} dignosis")
    assert shell.error.splitlines()[0] == f"error: run/{ref} has no step named 'dignosis'"
    found = shell.json(f"show {ref}")
    assert found["run"]["hardware"]["cpus"] >= 1
    diagnosis = next(step for step in found["steps"] if step["step"] == "diagnosis")
    assert (diagnosis["attempts"], diagnosis["peak_memory"] > 10**7) == (1, True)

    shell("run --in-process --set diagnosis.strength=0.5")
    assert (shell.code, shell.error) == (0, "")


@pytest.mark.slow
def test_a_search_is_several_runs(shell: Shell) -> None:
    said = shell("run --grid diagnosis.strength=0.1,1.0 --workers 1 --experiment strength")

    assert shell.code == 0, shell.error
    assert "2 finished" in said
    assert len(shell.json("compare --experiment strength")) == 2


def test_a_gate_says_why(shell: Shell) -> None:
    assert "run/1 was accepted as diagnosis/1" in shell("gate run/1")
    assert shell.code == 0
    assert "verdict/1" in shell("gate list")
    assert "auc at least 0.9" in shell("gate show verdict/1")
    assert "diagnosis/1" in shell("model list")


def test_the_weakest_slices_of_a_verdict_are_shown(shell: Shell) -> None:
    said = shell("gate slices verdict/1 --metric brier --min-rows 20")

    assert shell.code == 0, shell.error
    assert said.startswith("verdict/1: brier = 0.0")
    found = shell.json("gate slices 1 --metric brier --min-rows 20 --most 2")
    assert (found["verdict"], found["metric"], found["slices"]) == ("verdict/1", "brier", [])
    assert "slices is worse beyond chance" in said
    shell("gate slices verdict/1 --metric acc")
    assert shell.error.startswith(
        "error: there is no measure named 'acc'\n  hint: known: accuracy, "
    )
    shell("gate slices verdict/1 --metric mape")
    assert shell.error.splitlines()[0] == "error: the rows of verdict/1 do not define mape"


def test_a_gate_refuses_with_3(shell: Shell, folder: Path) -> None:
    in_settings(folder, "at_least = 0.9", "at_least = 0.999")

    said = shell("gate run/1")

    assert shell.code == 3
    assert said.startswith("run/1 was not accepted: 1 of 3 findings failed\n  - auc = 0.99")
    assert "hint: cd4ml gate show verdict/2" in said
    assert shell.json("gate run/1")["verdict"]["number"] == 2
    assert shell.code == 3


def test_a_gate_that_cannot_decide_leaves_with_4(shell: Shell, folder: Path) -> None:
    in_settings(
        folder, "no_worse_than = { champion = 0.01 }", 'no_worse_than = {"diagnosis/1" = 0.00001}'
    )
    shell("run --set diagnosis.strength=0.2")

    said = shell("gate run/2")

    assert shell.code == 4
    assert said.startswith("run/2 was not accepted: 1 of 3 findings is inconclusive")


def in_settings(folder: Path, old: str, new: str) -> None:
    settings = folder / "cd4ml.toml"
    assert old in settings.read_text()
    settings.write_text(settings.read_text().replace(old, new))


def test_a_release_waits_for_somebody_else(shell: Shell) -> None:
    assert "awaiting approval" in shell("release list")
    shell("approve release/2 --reason mine")
    assert shell.code == 3
    assert shell.error == (
        "error: ann may not approve release/2: who requests a release does not approve it\n"
        "  hint: somebody else with the role release-manager has to\n"
    )
    said = shell("approve release/2 --reason", "looks good", by=MANAGER)
    assert said == "release/2  diagnosis/1 to production: released\n"
    details = shell("release show 2")
    assert "approve by bo" in details
    assert "looks good" in details
    assert "diagnosis/1 champion 100 %" in details


def test_a_release_is_rejected_aborted_and_undone(shell: Shell) -> None:
    shell("abort release/2 --reason x")
    assert shell.code == 2
    assert "rejected" in shell("reject release/2 --reason early", by=MANAGER)
    shell("release abort release/2 --reason late", by=MANAGER)
    assert shell.code == 1
    shell("undo --in production --reason back", by=MANAGER)
    assert shell.error.startswith("error: nothing is in charge in production")
    assert "release/3" in shell("release diagnosis/1 --to production --reason again")
    assert shell.json("release show release/3")["release"]["reason"] == "again"


def test_a_standing_approval_needs_its_bounds(shell: Shell) -> None:
    words = "approve --standing --model diagnosis --to production --reason retrained"
    shell(words, by=MANAGER)
    assert shell.code == 2
    said = shell(f"{words} --until 2090-01-01", by=MANAGER)
    assert "until 2090-01-01 00:00 UTC" in " ".join(said.split())
    shell("approve --reason x", by=MANAGER)
    assert shell.code == 2
    assert "which release?" in shell.error
    shell("approve --standing --model m --to production --until banana --reason x", by=MANAGER)
    assert "expected a day like 2026-12-31, or 2026-12-31T14:00, got 'banana'" in shell.error
    said = shell("revoke standing-approval/1 --reason over", by=MANAGER)
    assert "given because" in said
    assert said.endswith("  revoked: over\n")


def test_production_is_monitored(shell: Shell, project: Project) -> None:
    with project.database.write() as connection:
        rows.insert(connection, measured(2, 0.63))
        rows.insert(connection, alert("temp drifts"))

    said = shell("monitor")

    assert "2013-02-01" in said
    assert "alert/1 2013-03-01 00:00 drift: temp drifts" in said
    assert shell.json("monitor --in staging")["windows"] == []


def test_labels_are_taken_in_from_a_file(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    row = "013d8e5703600000079bc16a0000ac7e,1,2013-02-02T06:00:00Z"
    file.write_text(f"prediction_id,value,labelled_at\n{row}\n")

    assert shell(f"label {file}").startswith("1 label\n")
    assert "had been taken in before" in shell(f"label {file}")
    shell(f"label {tmp_path / 'none.csv'}")
    assert shell.code == 1


def test_a_search_in_which_nothing_finished_leaves_with_1(shell: Shell) -> None:
    said = shell("run --grid diagnosis.strength=-1.0,-2.0 --workers 1")

    assert shell.code == 1
    assert "2 failed" in said


def test_a_retraining_that_failed_leaves_with_1(shell: Shell) -> None:
    shell("approve release/2 --reason good", by=MANAGER)
    shell("retrain --reason spring")

    said = shell("work")

    assert shell.code == 1
    assert "job/1 retrain failed" in said
    assert shell("work") == "0 answers collected\n"
    assert shell.code == 0


def test_a_retraining_is_asked_for_and_worked_on(shell: Shell) -> None:
    shell("retrain --reason spring")
    assert shell.error.startswith("error: no version is in charge yet")
    shell("approve release/2 --reason good", by=MANAGER)
    assert "job/1 retrain: queued" in shell("retrain --reason spring")
    assert "job/1 retrain" in shell("work")
    assert "job/1" not in shell("work")


def test_a_program_gets_a_token(shell: Shell) -> None:
    said = shell("token create bo --scope push:flights --note", "nightly load")
    secret = said.split("secret")[1].split()[0]
    assert secret.startswith("cd4ml_")
    assert "nightly load" in shell("token list")
    assert secret not in shell("token list")
    assert shell.json("token revoke 1", by=MANAGER)["revoked_at"] is not None
    shell("token create ann --scope all", by=MANAGER)
    assert shell.code == 3


def test_a_source_is_read_and_what_was_read_by_itself_is_listed(shell: Shell, folder: Path) -> None:
    in_settings(
        folder,
        "[data.patients]",
        '[data.people]\nsource = "sql"\nconnection = "sqlite:///.cd4ml/cd4ml.db"\n'
        'query = "SELECT name FROM actors ORDER BY name"\nevery = "week"\n\n[data.patients]',
    )
    assert "people@1" in shell("data pull people --note", "the first")
    assert shell("data pulls") == ""
    assert "done: people@1" in shell("work")
    assert "people  done" in shell("data pulls people")
    shell("data pull nobody")
    assert shell.error.startswith("error: no dataset named 'nobody' in cd4ml.toml")


def test_history_explains_and_holds(shell: Shell) -> None:
    assert "diagnosis/1" in shell("why diagnosis/1")
    assert "the ledger holds" in shell("audit verify")
    assert "release.requested" in shell("audit log release/2")
    assert len(shell.json("audit log --limit 2")) == 2
    shell("why nonsense")
    assert shell.code == 1


def test_people_are_added_by_an_admin(shell: Shell) -> None:
    said = shell("people add cy --role reader --role release-manager")
    assert "reader, release-manager" in said
    assert "hint: nothing in cd4ml.toml asks for the role reader yet" in said
    assert "asks for the role release-manager" not in said
    assert "reader, writer" in shell("people add cy --role reader --role writer")
    assert MANAGER in shell("people list")
    shell("people add dee", by=MANAGER)
    assert shell.code == 3


def test_an_endpoint_needs_a_known_environment(shell: Shell) -> None:
    shell("serve --in nowhere")

    assert shell.code == 1
    assert "nowhere" in shell.error


def test_a_demo_is_at_most_a_year(shell: Shell) -> None:
    shell("demo --months 12")

    assert shell.code == 2
    assert shell.error.splitlines()[0] == (
        "error: cd4ml demo: argument --months: expected 1 to 11 months, got 12"
    )


READINGS = ["status", "data list", "compare", "gate list", "model list", "release list"]


@pytest.mark.parametrize("words", [*READINGS, "people list", "audit log", "audit verify"])
@pytest.mark.parametrize("columns", ["80", "120"])
def test_what_is_shown_fits_the_terminal(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, words: str, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    said = shell(words)

    assert max(len(line.rstrip()) for line in said.splitlines()) <= int(columns)


def test_every_command_is_tried_here_or_beside() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    elsewhere = {"gate judge", "release start"}  # their short forms are

    for entry in language(FAMILIES).entries:
        assert entry.words in elsewhere or entry.words in tests, entry.words
