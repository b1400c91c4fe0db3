"""Writes docs/reference from the code: commands, settings, HTTP API. With --check it only compares.

A reference that is written by hand is wrong within a month; this one fails `make check` instead.
"""

import ast
import difflib
import inspect
import io
import re
import sys
import textwrap
import tokenize
from argparse import SUPPRESS, Action
from collections.abc import Callable, Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from cd4ml.api.actor import ACTOR
from cd4ml.api.app import KEY, MAX_BODY
from cd4ml.api.bodies import Asked
from cd4ml.api.endpoint import Receiving
from cd4ml.api.routes import ENDPOINTS
from cd4ml.cli.commands import FAMILIES
from cd4ml.cli.words import Entry, language
from cd4ml.records import settings
from cd4ml.records.gate import DEFAULT_KIND, KIND, KINDS_OF_GATE, kind_of
from cd4ml.records.metric_gate import MetricGate
from cd4ml.records.rollout import RolloutStep
from cd4ml.records.settings import Settings

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
GENERATED = "<!-- Written by tools/generate_reference.py; change the code, then run it. -->\n\n"


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them; returns an exit code."""
    is_check = arguments == ["--check"]
    stale = [name for name, write in PAGES.items() if not _is_kept(name, write(), is_check)]
    for name in stale:
        print(f"docs/reference/{name} is stale; run: python tools/generate_reference.py")
    return 1 if stale else 0


def _is_kept(name: str, text: str, is_check: bool) -> bool:
    path = FOLDER / name
    before = path.read_text() if path.exists() else ""
    if not is_check:
        FOLDER.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return True
    lines = difflib.unified_diff(before.splitlines(), text.splitlines(), "kept", "now", n=0)
    for line in list(lines)[:12]:
        print(line.rstrip())
    return before == text


# --- commands -------------------------------------------------------------------------------


def commands() -> str:
    """Every command with its options."""
    known = language(FAMILIES)
    text = "# Commands\n\n" + GENERATED
    text += "Every command takes the shared options, before or after its name.\n\n"
    text += _table(("option", "what"), map(_option, _options(known.parser._actions)))
    text += (
        "\nOn a terminal answers are as wide as that. In a pipe or a file a row, an entry or a fact is"
        " one line, however\nlong, unless the variable COLUMNS says how wide they may be.\n"
    )
    text += "\nExit codes:\n\n" + _table(("code", "when"), _EXIT_CODES) + "\n"
    text += _table(
        ("command", "what"),
        ((f"[`cd4ml {entry.words}`](#{_anchor(entry)})", entry.summary) for entry in known.entries),
    )
    return text + "".join(_command(entry) for entry in known.entries)


_EXIT_CODES = (
    ("0", "done"),
    ("1", "an error, which the message explains"),
    ("2", "the words are no command"),
    ("3", "refused by a gate, or an approval or role is missing"),
    ("4", "inconclusive: measured, undecided"),
    ("130", "ended by Ctrl-C"),
)


def _command(entry: Entry) -> str:
    own = [action for action in entry.parser._actions if not _is_shared(action)]
    words = [f"cd4ml {entry.words}", *map(_usage, own)]
    text = f"\n## cd4ml {entry.words}\n\n```text\n{' '.join(words)}\n```\n\n"
    text += (entry.parser.description or "") + "\n"
    rows = [_option(action) for action in own]
    return text + ("\n" + _table(("option", "what"), rows) if rows else "")


def _options(actions: list[Action]) -> Iterator[Action]:
    return (action for action in actions if action.option_strings and action.dest != "help")


def _is_shared(action: Action) -> bool:
    return action.dest in ("help", "json", "actor", "project")


def _usage(action: Action) -> str:
    value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
    if action.option_strings:
        words = f"{action.option_strings[0]} {value}".strip()
        return words if action.required else f"[{words}]"
    forms = {"?": f"[{value}]", "*": f"[{value} ...]"}
    return forms.get(str(action.nargs), value)


def _option(action: Action) -> tuple[str, str]:
    value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
    name = " ".join([*action.option_strings[:1], value]).strip()
    what = "" if action.help in (None, SUPPRESS) else str(action.help)
    return f"`{name}`", what + (" (required)" if action.required and action.option_strings else "")


def _anchor(entry: Entry) -> str:
    return f"cd4ml {entry.words}".replace(" ", "-")


# --- settings -------------------------------------------------------------------------------


def settings_page() -> str:
    """Every key of cd4ml.toml."""
    text = "# Settings: `cd4ml.toml`\n\n" + GENERATED
    text += (
        "The project's policy, reviewed like code. Keys that are not listed here, values of"
        " another type and impossible combinations are errors with file, place and remedy."
        " Editors check the file as you type with [the JSON schema](cd4ml.schema.json): put"
        " `#:schema` and its path on the first line.\n"
    )
    for name, kind in _SECTIONS:
        text += f"\n## `{name}`\n\n{_sentences(kind)}\n\n{_keys(kind)}"
    return text


def _gate_section(kind: type[msgspec.Struct]) -> tuple[str, type[msgspec.Struct]]:
    name = kind_of(kind)
    return ("[[gate]]" if name == DEFAULT_KIND else f'[[gate]] kind = "{name}"', kind)


_SECTIONS: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    ("[project]", settings.ProjectSettings),
    ("[store]", settings.StoreSettings),
    ("[run]", settings.RunSettings),
    ("[prices]", settings.PriceSettings),
    ("[data.NAME]", settings.DataSettings),
    ("[model]", settings.ModelSettings),
    *(_gate_section(kind) for kind in KINDS_OF_GATE),
    ("[environments.NAME]", settings.EnvironmentSettings),
    ("rollout = [ ... ]", RolloutStep),
    ("[[environments.NAME.freeze]]", settings.FreezeSettings),
    ("[environments.NAME.emergency]", settings.EmergencySettings),
    ("[monitoring]", settings.MonitoringSettings),
    ("[retrain]", settings.RetrainSettings),
    ("[lineage]", settings.LineageSettings),
    ("[search.NAME]", settings.SearchSettings),
    ("[webhooks.NAME]", settings.WebhookSettings),
    ("[serving]", settings.ServingSettings),
    ("[capture]", settings.CaptureSettings),
    ("[replicas]", settings.ReplicaSettings),
    ("[audit]", settings.AuditSettings),
    ("[rehearsal]", settings.RehearsalSettings),
)


def _keys(kind: type[msgspec.Struct]) -> str:
    comments = field_comments(kind)
    rows = (
        (
            f"`{field.encode_name}`",
            type_in_words(field.type),
            "required" if field.required else _default(field),
            comments.get(field.name, ""),
        )
        for field in msgspec.structs.fields(kind)
    )
    return _table(("key", "type", "default", ""), rows)


def _default(field: msgspec.structs.FieldInfo) -> str:
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None or value in ("", (), {}):
        return ""
    return f"`{msgspec.json.encode(value).decode()}`"


def type_in_words(kind: Any) -> str:
    """A type as people say it.

    Examples:
        >>> type_in_words(tuple[str, ...]), type_in_words(Literal["a", "b"] | None)
        ('list of text', '`"a"` or `"b"`')
    """
    plain = {
        str: "text",
        int: "whole number",
        float: "number",
        bool: "`true` or `false`",
        Any: "any value",
    }
    if kind in plain:
        return plain[kind]
    origin, inner = get_origin(kind), [each for each in get_args(kind) if each is not Ellipsis]
    if origin is Literal:
        return " or ".join(
            f'`"{value}"`' if isinstance(value, str) else f"`{value}`" for value in inner
        )
    if origin in (Union, UnionType):
        return " or ".join(type_in_words(each) for each in inner if each is not type(None))
    if origin in (tuple, list):
        return f"list of {type_in_words(inner[0])}"
    if origin is dict:
        return f"table of {type_in_words(inner[1])} by name"
    return _BELOW.get(kind, str(kind.__name__))


_BELOW: dict[Any, str] = {
    RolloutStep: "steps, see below",
    settings.FreezeSettings: "windows, see below",
    settings.EmergencySettings: "table, see below",
}


def field_comments(kind: type[msgspec.Struct]) -> dict[str, str]:
    """What the source says of a field on its own line, after `#`."""
    source = textwrap.dedent(inspect.getsource(kind))
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    body = ast.parse(source).body[0]
    fields = body.body if isinstance(body, ast.ClassDef) else []
    return {
        node.target.id: comments[node.end_lineno]
        for node in fields
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        if node.end_lineno in comments
    }


def schema() -> str:
    """The JSON schema of cd4ml.toml, for editors."""
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    written = described | msgspec.json.schema(Settings)
    for _, kind in _SECTIONS:
        section = written["$defs"][kind.__name__]
        section["description"] = _sentences(kind)
        for name, comment in field_comments(kind).items():
            section["properties"][name]["description"] = comment
    by_default = written["$defs"][MetricGate.__name__]
    by_default["required"].remove(KIND)
    sorted_keys = msgspec.json.encode(written, order="sorted")
    return msgspec.json.format(sorted_keys, indent=2).decode() + "\n"


# --- HTTP API -------------------------------------------------------------------------------


def api() -> str:
    """Every endpoint with its fields."""
    text = "# HTTP API\n\n" + GENERATED + _API_RULES
    for each in ENDPOINTS:
        path = each.path.replace(":path", "")
        text += f"\n## {each.method} /api{path}\n\n{each.summary}\n"
        if isinstance(each, Receiving):
            text += _received(each)
        if msgspec.structs.fields(each.asks):
            text += f"\n{_sentences(each.asks)}\n\n"
            text += _table(("field", "in", "type", ""), _fields(each.method, path, each.asks))
    return text


_API_RULES = f"""\
`cd4ml up` answers on `http://127.0.0.1:8400/api`. Answers are JSON: what the use-case returns, the
same as `--json` on the command line. An error is `{{"error": ..., "hint": ...}}` with a status that
says its kind: 400 no JSON, 401 no actor or no valid token, 403 refused, 404 not found, 409 conflict or inconclusive,
413 too long, 415 another content type, 422 a wrong value, 503 a store does not answer.

A POST needs the header `{ACTOR}` with the name of who acts (percent-encoded where it is not ASCII),
`content-type: application/json`, and a JSON object of at most {MAX_BODY // 1_000_000} MB. Fields
that are not listed are errors. In place of that header programs show a token
(`authorization: Bearer SECRET`, of `cd4ml token create NAME`) and act as its owner, as far as its scopes go; with `cd4ml up --tokens` everybody does. The server answers only under loopback names and those given with
`cd4ml up --allow-host`.
"""


def _received(each: Receiving) -> str:
    kinds = ", ".join(f"`{kind}`" for kind in each.takes)
    return (
        f"\nNeeds a token (`authorization: Bearer SECRET`) and the header `{KEY}`, which names"
        f" this\nbody: the same one under the same key is taken in once. The body is {kinds}.\n"
    )


def _fields(method: str, path: str, asks: type[Asked]) -> Iterator[tuple[str, ...]]:
    for field in msgspec.structs.fields(asks):
        place = "body" if method == "POST" else "query"
        place = "path" if f"{{{field.name}}}" in path else place
        need = "required" if field.required else f"default {_default(field) or 'empty'}"
        yield f"`{field.name}`", place, type_in_words(field.type), need


# --- Markdown -------------------------------------------------------------------------------


def _sentences(kind: type) -> str:
    """A class's docstring, without the name of the section it may begin with."""
    text = re.sub(r"^`\[+[^`]*`: ", "", inspect.cleandoc(kind.__doc__ or ""))
    return text[:1].upper() + text[1:]


def _table(columns: tuple[str, ...], rows: Any) -> str:
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "".join("| " + " | ".join(_cell(value) for value in line) + " |\n" for line in lines)


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": commands,
    "settings.md": settings_page,
    "cd4ml.schema.json": schema,
    "api.md": api,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
