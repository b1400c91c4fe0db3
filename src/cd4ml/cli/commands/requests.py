"""What becomes of a request besides yes and no: changes, a second asking, the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from collections.abc import Callable

    from cd4ml.cli.screen import Screen
    from cd4ml.loop import Project
    from cd4ml.records.release import Release

    Decide = Callable[..., Release]


def add_to(nouns: Commands) -> None:
    """`release request-changes|again|withdraw|review`."""
    _add(
        nouns,
        "request-changes",
        request_changes,
        "let a release wait until its requester asks again; approvals before no longer count",
    )
    _add(nouns, "again", again, "ask for a release again, after changes were requested of it")
    _add(nouns, "withdraw", withdraw, "take a request back before it begins")
    _add(
        nouns,
        "review",
        review,
        "look at an emergency release afterwards: somebody else than who released it",
    )


def request_changes(given: Given) -> Answer[Release]:
    """Ask for changes."""
    from cd4ml.loop.govern import request_changes as send_back

    return _decided(given, send_back)


def again(given: Given) -> Answer[Release]:
    """Ask again."""
    from cd4ml.loop.govern import ask_again

    return _decided(given, ask_again)


def withdraw(given: Given) -> Answer[Release]:
    """Take a request back."""
    from cd4ml.loop.govern import withdraw as take_back

    return _decided(given, take_back)


def review(given: Given) -> Answer[Release]:
    """Review an emergency."""
    from cd4ml.loop.govern import review as look_at

    return _decided(given, look_at)


_AGREED = (
    "frozen ",
    "release/",
    "it has to be in charge in ",
)  # what is waited for once all agreed


def show_release(screen: Screen, release: Release, waits: str = "") -> None:
    """A release in a line, and what it needs of somebody; `waits` is what it waits for."""
    from cd4ml.cli.screen import words

    what = f"{release.model}/{release.version} to {release.environment}"
    mark = ", an emergency" if release.is_emergency else ""
    is_waiting = release.state == "awaiting_approval"
    is_agreed = waits.startswith(_AGREED)
    state = "agreed to" if is_waiting and is_agreed else words(release.state)
    screen.title(f"{release.ref}  {what}: {state}{mark}")
    if is_waiting and not is_agreed and not release.is_emergency:
        screen.hint(f"cd4ml approve {release.ref} --reason ... (by somebody else)")
    if release.state == "changes_requested":
        screen.hint(f"cd4ml release again {release.ref} --reason ... (by {release.requested_by})")
    if release.needs_review:
        screen.hint(f"cd4ml release review {release.ref} --reason ... (by somebody else)")


def _add(nouns: Commands, name: str, run: Callable[[Given], Answer[Release]], what: str) -> None:
    parser = nouns.add(name, run, what)
    parser.add_argument("release", metavar="release/NUMBER")
    parser.add_argument("--reason", required=True, help="why, for the ledger and the next reader")


def _decided(given: Given, decide: Decide) -> Answer[Release]:
    project: Project = given.project
    words = given.words
    release = decide(project, words.release, reason=words.reason, actor=given.actor)
    return Answer(release, show_release)
