import getpass
import json
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from cd4ml.cli import main
from cd4ml.loop import status
from tests.starter import ADMIN

Capture = pytest.CaptureFixture[str]


def test_an_error_is_its_message_and_hint_on_standard_error(
    tmp_path: Path, capsys: Capture
) -> None:
    code = main(["status", "--project", str(tmp_path)])

    assert code == 1
    assert capsys.readouterr() == (
        "",
        f"error: no cd4ml.toml in {tmp_path} or above it\n"
        "  hint: cd4ml init NAME lays out a new project\n",
    )


def test_an_error_is_json_for_machines(tmp_path: Path, capsys: Capture) -> None:
    code = main(["status", "--project", str(tmp_path), "--json"])

    out, err = capsys.readouterr()
    assert (code, out) == (1, "")
    assert json.loads(err) == {
        "error": f"no cd4ml.toml in {tmp_path} or above it",
        "hint": "cd4ml init NAME lays out a new project",
    }


def test_words_that_are_no_command_leave_with_2(capsys: Capture) -> None:
    code = main(["--json", "fly"])

    assert code == 2
    assert json.loads(capsys.readouterr().err)["error"] == "cd4ml: no command named 'fly'"


def test_help_and_version_leave_with_0(capsys: Capture) -> None:
    for words in (["--help"], ["--version"], ["release", "--help"], ["release", "start", "--help"]):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 0

    assert "cd4ml 0.1.0" in capsys.readouterr().out


def test_a_bug_is_one_line_and_its_traceback_is_kept(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(_project: object) -> NoReturn:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr(status, "status", break_down)

    code = main(["status", "--project", str(folder)])

    out, err = capsys.readouterr()
    (kept,) = (folder / ".cd4ml" / "errors").iterdir()
    assert (code, out) == (1, "")
    assert err == (
        "error: ZeroDivisionError: two\n"
        f"  hint: this is a bug of cd4ml; the traceback is in {kept}\n"
    )
    assert "break_down" in kept.read_text()


def test_a_bug_outside_a_project_keeps_its_traceback_too(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(_folder: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr("cd4ml.loop.open_project", break_down)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    assert main(["status"]) == 1
    assert "the traceback is in" in capsys.readouterr().err
    assert len(list(tmp_path.glob("cd4ml-errors-*/*.txt"))) == 1


def test_a_bug_is_told_where_the_project_s_own_folder_cannot_be_written(
    folder: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(_project: object) -> NoReturn:
        raise ZeroDivisionError("two")

    monkeypatch.setattr(status, "status", break_down)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (folder / ".cd4ml" / "errors").write_text("a file, where a folder should be")

    assert main(["status", "--project", str(folder)]) == 1
    (kept,) = tmp_path.glob("cd4ml-errors-*/*.txt")
    assert capsys.readouterr().err == (
        f"error: ZeroDivisionError: two\n"
        f"  hint: this is a bug of cd4ml; the traceback is in {kept}\n"
    )


def test_ctrl_c_is_quiet(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_project: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(status, "status", interrupt)

    assert main(["status", "--project", str(folder)]) == 130
    assert capsys.readouterr() == ("", "")


def test_an_error_cannot_steer_the_terminal(tmp_path: Path, capsys: Capture) -> None:
    main(["status", "--project", str(tmp_path / "a\x1b[2Jb")])

    assert "a\ufffd[2Jb" in capsys.readouterr().err


def test_who_acts_is_what_was_typed_else_the_environment_else_the_login(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["people", "add", "cy", "--project", str(folder), "--json"]
    monkeypatch.setattr(getpass, "getuser", lambda: "logged-in")

    def actor(*more: str) -> str:
        main([*words, *more])
        out, err = capsys.readouterr()
        return str(json.loads(out)["added_by"] if out else json.loads(err)["error"])

    assert actor("--as", ADMIN) == ADMIN
    monkeypatch.setenv("CD4ML_ACTOR", "from-environment")
    assert "from-environment" in actor()
    monkeypatch.delenv("CD4ML_ACTOR")
    assert "logged-in" in actor()


def test_a_user_without_a_name_has_to_say_who_acts(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> NoReturn:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nobody)

    assert main(["retrain", "--reason", "spring", "--project", str(folder)]) == 1
    assert capsys.readouterr().err == (
        "error: this user has no login name\n  hint: say who acts: --as NAME, or CD4ML_ACTOR\n"
    )


def test_the_console_script_reads_the_command_line(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["cd4ml", "fly"])

    assert main() == 2
    assert "no command named 'fly'" in capsys.readouterr().err
