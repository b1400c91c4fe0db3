"""Requests, emergencies and tokens on the command line."""

from pathlib import Path

import pytest

from cd4ml.cli import main
from cd4ml.cli.commands.releases import _duration
from tests.cli.shell import Capture, Shell
from tests.cli.test_commands import in_settings
from tests.starter import MANAGER


def test_a_release_is_sent_back_asked_for_again_and_withdrawn(shell: Shell) -> None:
    said = shell("release request-changes release/2 --reason", "say more", by=MANAGER)
    assert said == (
        "release/2  diagnosis/1 to production: changes requested\n"
        "  hint: cd4ml release again release/2 --reason ... (by ann)\n"
    )
    assert "bo asks for changes: say more; ann has to ask again" in shell("release show 2")
    assert "awaiting approval" in shell("release again release/2 --reason said")
    details = shell("release show 2")
    assert "request changes by bo" in details
    assert "evidence: verdict/1 pass" in details
    assert "withdrawn" in shell("release withdraw release/2 --reason early")
    shell("approve release/2 --reason good", by=MANAGER)
    assert shell.code == 1


def test_what_was_looked_at_is_said_with_the_approval(shell: Shell) -> None:
    content = shell.json("release show 2")["release"]["content"].removeprefix("blake3:")[:12]
    assert content in shell("release show 2")
    shell("approve release/2 --reason good --content 000000000000", by=MANAGER)
    assert shell.code == 3
    shell(f"approve release/2 --reason good --content {content}", by=MANAGER)
    assert shell.code == 0


def test_who_approves_is_told_what_it_still_waits_for(shell: Shell, folder: Path) -> None:
    shell("release withdraw release/2 --reason later")
    in_settings(folder, "approvals = 1", "approvals = 2")
    with (folder / "cd4ml.toml").open("a") as file:
        file.write(
            '\n[[environments.production.freeze]]\nfrom = "2000-01-01"\nuntil = "2999-01-01"\n'
        )
    shell("people add cy --role release-manager")
    shell("release diagnosis/1 --to production")

    assert shell("approve release/3 --reason good", by=MANAGER) == (
        "release/3  diagnosis/1 to production: awaiting approval\n"
        "  hint: cd4ml approve release/3 --reason ... (by somebody else)\n"
        "  waits for 1 approval by release-manager\n"
    )
    agreed, why = shell("approve release/3 --reason good", by="cy").splitlines()
    assert agreed == "release/3  diagnosis/1 to production: agreed to"
    assert why.startswith("  frozen ")


def test_an_emergency_goes_at_once_and_is_reviewed(shell: Shell, folder: Path) -> None:
    in_settings(folder, "[environments.production]", "[environments.production]\nworse_by = 0.5")
    shell("release diagnosis/1 --to production --emergency --reason burns", by=MANAGER)
    assert shell.code == 3
    assert shell.error.startswith(
        "error: bo may not release diagnosis/1 to production in an emergency: the policy allows"
        " none there\n  hint: [environments.production.emergency] with roles, in cd4ml.toml"
    )
    with (folder / "cd4ml.toml").open("a") as file:
        file.write('\n[environments.production.emergency]\nroles = ["release-manager"]\n')
    shell("release abort release/2 --reason burns")
    shell("people add cy --role release-manager")

    said = shell("release diagnosis/1 --to production --emergency --reason burns", by=MANAGER)

    assert said == (
        "release/3  diagnosis/1 to production: released, an emergency\n"
        "  hint: cd4ml release review release/3 --reason ... (by somebody else)\n"
    )
    assert "release/3 was an emergency that nobody has reviewed" in shell("status")
    assert shell("release review release/3 --reason", "it did burn", by="cy") == (
        "release/3  diagnosis/1 to production: released, an emergency\n"
    )
    assert "nobody has reviewed" not in shell("status")
    assert "released, an" in shell("release list")


def test_from_request_to_undo(shell: Shell) -> None:
    shell("approve release/2 --reason", "the first", by=MANAGER)
    shell("run --set diagnosis.strength=0.5")
    shell("gate run/2")
    shell("release diagnosis/2 --to staging")
    assert "awaiting approval" in shell("release diagnosis/2 --to production")
    shown = shell("release show release/4")
    assert "evidence: verdict/2 pass, 3 of 3 findings passed, beside diagnosis/1" in shown
    assert "- diagnosis.strength: 1.0 -> 0.5" in shown
    said = shell("approve release/4 --reason better", by=MANAGER)
    assert said == "release/4  diagnosis/2 to production: released\n"

    back = shell("undo --in production --reason", "worse for small ones")

    assert back.startswith("release/2  diagnosis/1 to production: released\n")
    assert "instead of               release/4" in back
    assert " since release/4" in back
    told = shell.json("audit log release/4")[0]
    assert (told["action"], told["details"]["restored"]) == ("release.undone", "release/2")
    assert 0 < told["details"]["took_s"] < 10


def test_a_token_says_what_it_is_good_for(shell: Shell) -> None:
    shell("token create bo")
    assert shell.code == 2
    assert shell.error == (
        "error: cd4ml token create: what may be done with it? say one --scope or more\n"
        "  hint: for example --scope push:flights; --scope all is everything\n"
    )
    made = shell("token create bo --scope push:flights --scope read --until 2090-01-01")
    assert "may      push:flights, read" in made
    assert "until    2090-01-01 00:00 UTC" in made
    shell("token create bo --scope fly")
    assert shell.error.startswith("error: there is no scope 'fly'")
    assert "push:flights," in shell("token list")
    assert "revoked" in shell("token revoke 1", by=MANAGER)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "0 s"), (0.25, "0.25 s"), (59.0, "59 s"), (61.0, "1 min 1 s"), (90061.0, "1 d 1 h")],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert _duration(seconds) == words


def test_the_ledger_is_signed_exported_and_verified(
    shell: Shell, folder: Path, tmp_path: Path
) -> None:
    assert "nothing of it is signed, so it could be another one" in shell("audit verify")
    shell("audit checkpoint")
    assert shell.error.startswith("error: there is no key to sign the ledger with")
    shell("audit key", by=MANAGER)
    assert shell.code == 3
    made = shell.json("audit key")
    assert made["is_new"] is True
    assert made["id"] in shell("audit key")
    sequence = shell.json("audit checkpoint")["sequence"]
    assert f"signed until    entry {sequence}, at " in shell("audit verify")

    file = tmp_path / "ledger.jsonl"
    assert f"{file}: {sequence + 1} entries, 1 checkpoint" in " ".join(
        shell("audit export", str(file)).split()
    )
    assert "the key is the file's own word" in shell("audit verify", str(file))
    pinned = shell("audit verify", str(file), "--key", made["public"])
    assert pinned.startswith(f"the ledger of starter holds: {sequence + 1} entries")
    assert "own word" not in pinned
    shell("audit verify", str(file), "--checkpoint", str(file))
    assert shell.code == 2
    copy = next(folder.glob(".cd4ml/blobs/checkpoints/*/*.json"))
    assert "the ledger holds" in shell("audit verify --checkpoint", str(copy))
    shell("audit export", str(file))
    assert shell.error == f"error: {file} is there already\n  hint: give it another name\n"


def test_an_export_verifies_where_no_project_is(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    file = tmp_path / "ledger.jsonl"
    shell("audit export", str(file))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.delenv("CD4ML_PROJECT", raising=False)

    assert main(["audit", "verify", str(file)]) == 0
    assert "the ledger of starter holds" in capsys.readouterr().out


def test_who_says_no_roles_takes_none_away(shell: Shell) -> None:
    shell("people add bo")
    assert (shell.code, shell.error) == (
        1,
        "error: bo works here already, as release-manager: which roles to have now?\n"
        "  hint: --role says all of them, --no-role takes them away\n",
    )
    assert shell.json("people add bo --no-role")["roles"] == []
    assert shell.json("people add bo --role release-manager")["roles"] == ["release-manager"]
    shell("people add bo --role reader --no-role")
    assert shell.code == 2


def test_an_empty_content_approves_nothing(shell: Shell) -> None:
    shell("approve release/2 --reason good --content", "", by=MANAGER)
    assert shell.error.startswith(
        "error: approving release/2: the content that was looked at is empty\n"
    )
    assert shell.json("release show 2")["release"]["state"] == "awaiting_approval"


def test_what_only_a_freeze_holds_up_waits_for_nobody(shell: Shell, folder: Path) -> None:
    with (folder / "cd4ml.toml").open("a") as file:
        file.write(
            '[[environments.production.freeze]]\nfrom = "2000-01-01"\nuntil = "2999-01-01"\n'
        )

    assert "(by somebody else)" in shell("release show 2")
    shell("approve release/2 --reason good", by=MANAGER)
    shown = shell("release show 2")

    assert "diagnosis/1 to production: agreed to" in shown
    assert "somebody else" not in shown


def test_figures_are_of_models_and_stretches_that_there_are(shell: Shell) -> None:
    shell("metrics --model zz")
    assert shell.error == "error: no model named 'zz'\n  hint: known: diagnosis\n"
    shell("metrics --by year")
    assert shell.error == (
        "error: cd4ml metrics: --by cannot be 'year'\n  hint: it can be day, week, month, all\n"
    )
    assert " a week" not in shell("metrics")  # a minute is none


def test_who_left_acts_no_more(shell: Shell) -> None:
    shell("people remove bo")
    assert shell.code == 2
    assert shell.json("people remove bo --reason left")["removed_at"] is not None
    assert "removed" in shell("people list")
    shell("approve release/2 --reason good", by=MANAGER)
    assert shell.error.startswith("error: bo works on this project no more, since ")
