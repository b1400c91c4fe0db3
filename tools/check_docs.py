"""Fails where the documentation and the code disagree.

The reference is what the code says now; relative links and their anchors lead somewhere;
commands that a page mentions exist, and every command is in the reference; blocks of Python
and TOML can be read.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from cd4ml.cli.commands import FAMILIES
from cd4ml.cli.words import language, spell_out

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "tools" / "generate_reference.py"


class Block(NamedTuple):
    """A fenced block: its language, the line it begins on, and its text."""

    language: str
    line: int
    text: str


def main() -> int:
    """Print every disagreement; returns an exit code."""
    failures = [failure for page in pages(ROOT) for failure in check_page(page, ROOT)]
    for failure in failures:
        print(failure)
    is_stale = subprocess.run([sys.executable, REFERENCE, "--check"], check=False).returncode
    return 1 if failures or is_stale else 0


def pages(root: Path) -> list[Path]:
    """Every Markdown page: those beside the README, of the docs, and of the examples."""
    found = [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("examples/**/*.md")]
    return sorted(found)


def check_page(page: Path, root: Path) -> Iterator[str]:
    """What is wrong with one page, each as "file:line: what"."""
    text = page.read_text()
    name = page.relative_to(root)
    checks = (check_links(text, page), check_commands(text), check_blocks(text))
    for line, problem in (each for check in checks for each in check):
        yield f"{name}:{line}: {problem}"


# --- links ----------------------------------------------------------------------------------

_LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(([^)\s]+)(?: \"[^\"]*\")?\)|(?:src|href)=\"([^\"]+)\"")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def check_links(text: str, page: Path) -> Iterator[tuple[int, str]]:
    """Relative links that lead nowhere."""
    for number, line in _prose(text):
        for found in _LINK.finditer(re.sub(r"`[^`]*`", lambda code: "." * len(code[0]), line)):
            target = line[found.start(1) : found.end(1)] or line[found.start(2) : found.end(2)]
            if not re.match(r"[a-z]+:", target) and (problem := _broken(target, page)):
                yield number, problem


def _broken(target: str, page: Path) -> str:
    path, _, anchor = unquote(target).partition("#")
    goal = (page.parent / path).resolve() if path else page
    if not goal.exists():
        return f"the link {target} leads to no file"
    if anchor and goal.suffix == ".md" and anchor not in anchors(goal.read_text()):
        return f"the link {target} leads to no heading"
    return ""


def anchors(text: str) -> set[str]:
    """The anchors that the headings of a page have.

    Examples:
        >>> anchors("# Settings: `cd4ml.toml`")
        {'settings-cd4mltoml'}
    """
    headings = (heading.lower().strip() for heading in _HEADING.findall(text))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


# --- commands -------------------------------------------------------------------------------

_TYPED = re.compile(r"(?:^\$ |`)(?:[A-Z0-9_]+=\S+ )*cd4ml ((?:--?\w[\w-]*|[\w./@-]+)[^`\n]*)")


def check_commands(text: str) -> Iterator[tuple[int, str]]:
    """Mentions of commands that do not exist."""
    for number, line in enumerate(text.splitlines(), 1):
        for found in _TYPED.finditer(line):
            words = found[1].split()
            if words[0].startswith("-") or words[0].isupper():  # options, or `cd4ml VERB`
                continue
            if not is_command(words):
                yield number, f"there is no command `cd4ml {' '.join(words[:2])}`"


def is_command(words: list[str]) -> bool:
    """Whether the words begin with a command; a noun alone is one too.

    Examples:
        >>> is_command(["gate", "run/3"]), is_command(["data", "add"]), is_command(["fly"])
        (True, True, False)
    """
    known = {tuple(entry.words.split()) for entry in language(FAMILIES).entries}
    nouns = {command[0] for command in known if len(command) > 1}
    spelled = spell_out(words)
    if spelled[0] in nouns:
        return len(spelled) == 1 or tuple(spelled[:2]) in known or not spelled[1].isalpha()
    return (spelled[0],) in known


# --- blocks ---------------------------------------------------------------------------------


def check_blocks(text: str) -> Iterator[tuple[int, str]]:
    """Blocks of Python that do not compile, and of TOML that cannot be read."""
    for block in blocks(text):
        try:
            if block.language == "python":
                compile(block.text, "block", "exec")
            if block.language == "toml":
                tomllib.loads(block.text)
        except (SyntaxError, tomllib.TOMLDecodeError) as error:
            yield block.line, f"the {block.language} block cannot be read: {error}"


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page."""
    lines = text.splitlines()
    opened: Block | None = None
    for number, line in enumerate(lines, 1):
        if opened is None and line.startswith("```"):
            opened = Block(line.removeprefix("```").strip(), number, "")
        elif opened is not None and line.startswith("```"):
            yield opened._replace(text="\n".join(lines[opened.line : number - 1]))
            opened = None


def _prose(text: str) -> Iterator[tuple[int, str]]:
    is_code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield number, line


if __name__ == "__main__":
    sys.exit(main())
