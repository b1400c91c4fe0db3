"""A walk through a project's code: from one function to all it reaches."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cd4ml.pipeline.code import Import, Module, Statement
from cd4ml.pipeline.command_call import (
    code_patterns,
    command_call,
    is_script,
    program_words,
    without_parameters,
)
from cd4ml.pipeline.deciding import in_one_order, whole, without_what_decides_nothing
from cd4ml.pipeline.file_names import reads_tables
from cd4ml.pipeline.named_folders import digest_of_folder, folders_named
from cd4ml.pipeline.sources import Sources
from cd4ml.pipeline.unseen import (
    ASKING,
    EVERYWHERE,
    EXPANDED,
    KEEPING,
    SHELLS,
    UNSEEN_ATTRIBUTES,
    UNSEEN_IMPORTS,
    UNSEEN_NAMES,
    VARIABLE,
    told_or_filled,
    variables_in,
)

if TYPE_CHECKING:
    from cd4ml.pipeline.touched import Touching


class Walk:
    """One walk through the project's code, from one function to all it reaches."""

    def __init__(
        self,
        sources: Sources,
        shared: set[tuple[str, str]],
        effects: Sequence[Touching] = (),
        *,
        enters: bool = True,
    ) -> None:
        self.sources = sources
        self.shared = shared
        self._effects = list(effects)  # that were not reached yet
        self._changing: set[str] = set()  # modules of those that were
        self._enters = enters  # whether what importing a module does is followed
        self.unseen: set[str] = set()
        self.statements: dict[tuple[str, int], Statement] = {}
        self._root: Statement | None = None
        self._waiting: list[Statement] = []  # reached, not read yet
        self._followed: set[tuple[str, tuple[str, ...]]] = set()
        self._bindings: set[str] = set()
        self._entered: set[str] = set()
        self._looked_for: set[str] = set()
        self.foreign: set[str] = set()  # modules of Python, and of others
        self.is_beyond = False  # whether code is reached that imports what it likes
        self._strings: set[str] = set()
        self._folders: set[tuple[str, Path]] = set()  # texts that may name some, and beside what
        self._is_asking = False  # whether the environment is mentioned
        self.reads_tables = False  # and whoever does may look through folders
        self.remembers = False  # whether something reached keeps results of functions
        self.variables: set[str] = set()  # of the environment, by name
        self._stars: set[tuple[str, str]] = set()
        self.files: dict[str, str] = {}
        self.meant: dict[str, str] = {}  # files that may be meant; "" for what is not there
        self.absent: set[Path] = set()

    def start(self, module: str, function: str) -> None:
        """Follow a top-level function to all it reaches."""
        home = self.sources.module(module)
        bound = home.bound.get(function, []) if home else []
        call = command_call(bound[0].node, home) if home and bound else None
        if home is not None and call is not None:
            self._start_command(bound[0], call)
            return
        if home is None or not bound or not bound[0].is_definition:
            self._cannot_see(f"where {function} is defined")
            return
        self._root = without_what_decides_nothing(bound[0])
        self._enter(home)
        self._read(self._root)
        if len(bound) > 1 or (module, function) in self.shared:
            self._follow_name(home, (function,))
        self._read_waiting()
        self._take_effects()
        if self._is_asking:  # every name in sight may be the one that is asked for
            self.variables |= {text for text in self._strings if VARIABLE.fullmatch(text)}
            self.variables |= {n for text in self._strings for n in EXPANDED.findall(text)}
        if not SHELLS.isdisjoint(
            self.unseen
        ):  # which put values of variables into what they are told
            self.variables |= set[str]().union(*map(variables_in, self._strings))
        if self.reads_tables:
            self._take_folders()

    def follow(self, statement: Statement) -> None:
        """Follow a statement to all it reaches."""
        self._read(statement)
        self._read_waiting()

    def _take_effects(self) -> None:
        """Take in what may have changed something that was reached, until nothing is left."""
        while found := [each for each in self._effects if each.concerns(self.statements)]:
            self._effects = [each for each in self._effects if each not in found]
            for each in found:
                self._changing.add(each.statement.module.name)
                self._visit(each.statement)
            self._read_waiting()

    def _start_command(self, statement: Statement, call: ast.Call) -> None:
        """A program that is a step: the words that start it, and the files that it is made of."""
        self.is_beyond = True  # nobody sees what it imports
        self._root = Statement(
            without_parameters(statement.node, call), statement.module, statement.index
        )
        self._enter(statement.module)
        self._read(self._root)
        named = self.sources.files_in(program_words(call))
        patterns = code_patterns(call)
        own = self.sources.everything() if patterns is None else self.sources.matching(patterns)
        for path in {*named, *own}:
            self.files[str(path.relative_to(self.sources.folder))] = self.sources.digest(path)
        scripts = {*named, *(each for each in own if patterns is not None or is_script(each))}
        texts = [*program_words(call), *(p.read_text("utf-8", errors="replace") for p in scripts)]
        self.variables |= set[str]().union(*map(variables_in, texts))
        self._read_waiting()

    def code(self) -> dict[str, Any]:
        """The code that was reached, in one order whatever the way; files stand in `files`."""
        return {
            "root": self._root.text if self._root else "",
            "code": self._texts(),
            "imports": sorted(self._bindings),
            **({"order": self._order()} if len(self._changing) > 1 else {}),
        }

    def _order(self) -> dict[str, list[str]]:
        """The order of imports, where more than one module changes something."""
        return {
            module.name: [name for each in module.statements for name in each.in_order]
            for module in self.sources.modules()
        }

    def take_everything(self) -> None:
        """Count every file of the project, without comments, formatting and docstrings.

        Code that reads source or docstrings gets them counted as well.
        """
        address = (
            self.sources.digest
            if self.unseen
            & {"__doc__", "sys._getframe", "inspect", "linecache", "pydoc", "tokenize"}
            else whole
        )
        for path in self.sources.files():
            self.files[str(path.relative_to(self.sources.folder))] = address(path)
        for module in self.sources.modules():
            for name in module.modules:
                self._enter_import(name)
        self._read_waiting()

    def _texts(self) -> dict[str, Any]:
        by_module: dict[str, list[Statement]] = {}
        for (module, _), statement in sorted(self.statements.items()):
            by_module.setdefault(module, []).append(statement)
        return {
            module: in_one_order(found, is_plain=module not in self._changing)
            for module, found in by_module.items()
        }

    def _cannot_see(self, what: str) -> None:
        self.unseen.add(what)

    def _visit(self, statement: Statement) -> None:
        key = (statement.module.name, statement.index)
        if key not in self.statements:
            self.statements[key] = statement
            self._waiting.append(statement)

    def _read_waiting(self) -> None:
        # a queue, not a recursion: code may call through more functions than Python's stack has room for
        while self._waiting:
            statement = self._waiting.pop()
            self._enter(statement.module)
            self._read(statement)
            for name in statement.names:  # whatever else binds or changes the same name
                self._follow_name(statement.module, (name,))

    def _read(self, statement: Statement) -> None:
        self._look_for_unseen(statement)
        for name in statement.modules:
            self._enter_import(name)
        for source in statement.members:
            self._follow_import(source, ())
        for chain in statement.chains:
            if chain[0] in statement.imports:
                self._follow_import(statement.imports[chain[0]], chain[1:])
            self._follow_name(statement.module, chain)
            if chain[0] not in statement.imports:
                self._follow_stars(statement.module, chain[0])
        for text in statement.strings:
            self._take_file(text, statement.module)
        for path in self.sources.named_files.made_up(statement):
            self.files[str(path.relative_to(self.sources.folder))] = self.sources.digest(path)
        for path in self.sources.named_files.perhaps(statement):
            self.meant[str(path.relative_to(self.sources.folder))] = self.sources.digest_now(path)
        self.variables |= statement.variables
        self._strings |= statement.strings
        words = statement.attributes | {chain[0] for chain in statement.chains}
        self._is_asking = self._is_asking or not ASKING.isdisjoint(words)
        self.remembers = self.remembers or not KEEPING.isdisjoint(words)
        self._folders |= {(text, statement.module.path.parent) for text in statement.folders}
        self.reads_tables = self.reads_tables or reads_tables(words)

    def _look_for_unseen(self, statement: Statement) -> None:
        found = UNSEEN_ATTRIBUTES & statement.attributes
        found |= UNSEEN_NAMES & {chain[0] for chain in statement.chains}
        if self._enters:  # else what these call has been followed
            found |= told_or_filled(statement.node, statement.names)
        if found:
            self._cannot_see(min(found))

    def _follow_name(self, module: Module, chain: tuple[str, ...]) -> None:
        name = chain[0]
        if (module.name, chain) in self._followed:
            return
        self._followed.add((module.name, chain))
        if (module.name, name) in self.shared:
            self._cannot_see(f"what changes {module.name}.{name}")
        for statement in module.bound.get(name, []):
            self._visit(statement)
        for source in module.imports.get(name, []):
            self._is_asking = self._is_asking or source.name in ASKING
            self._bindings.add(f"{module.name}.{name} = {source.module}:{source.name}")
            self._follow_import(source, chain[1:])

    def _follow_stars(self, module: Module, name: str) -> None:
        """`from source import *`: the whole file counts for every name it may bind."""
        is_bound = name in module.bound or name in module.imports or name in EVERYWHERE
        for source in module.stars:
            star = self.sources.module(source)
            if star is None or (source, name) in self._stars:
                continue
            if (submodule := self.sources.module(f"{source}.{name}")) is not None:
                self._take_module(submodule)
            self._stars.add((source, name))
            if name in star.bound or name in star.imports or not is_bound:
                self._take_module(star)
                self._follow_stars(star, name)

    def _follow_import(self, source: Import, rest: tuple[str, ...]) -> None:
        path = (*source.module.split("."), *([source.name] if source.name else []), *rest)
        for unseen in UNSEEN_IMPORTS.intersection((path[0], ".".join(path[:2]))):
            self._cannot_see(unseen)
        if not self.sources.has(path[0]):
            self._enter_import(path[0])
            return
        module, rest = self.sources.resolve(path, len(source.module.split(".")))
        if module is None:
            self._enter_import(source.module)
            if not self.sources.compiled(source.module):
                self._cannot_see(".".join(path))
            return
        self._enter(module)
        if not rest:
            self._take_module(module)  # the module itself is handed on: anything in it may be used
        elif rest[0] in module.bound or rest[0] in module.imports:
            self._follow_name(module, rest)
        elif not module.stars and not rest[0].startswith("__"):
            self._cannot_see(f"{module.name}.{rest[0]}")

    def _enter(self, module: Module) -> None:
        """A module that is imported: what importing it does counts."""
        if module.name in self._entered:
            return
        self._entered.add(module.name)
        if not self._enters:
            return
        self._enter_import(module.name)  # and the packages above it
        for statement in module.statements:
            if not statement.is_definition:
                for name in statement.modules:
                    self._enter_import(name)

    def _enter_import(self, name: str) -> None:
        parts = name.split(".")
        if not self.sources.has(parts[0]):
            self._enter_foreign(parts[0])
            return
        for length in range(1, len(parts) + 1):
            module = self.sources.module(".".join(parts[:length]))
            if module is not None:
                self._enter(module)
        for path in self.sources.compiled(name):
            self.files[str(path.relative_to(self.sources.folder))] = self.sources.digest(path)
            self.is_beyond = True

    def _enter_foreign(self, name: str) -> None:
        """A module of somebody else: installed ones are in the environment's address."""
        if name in self._looked_for:
            return
        self._looked_for.add(name)
        self.foreign.add(name)
        for path in self.sources.elsewhere(name):
            self.files[str(path)] = whole(path)
            self.is_beyond = True
        if self.sources.is_known(name):
            return
        self.foreign.discard(name)
        if not self.sources.does_without(name):
            self._cannot_see(f"import {name}")

    def _take_module(self, module: Module) -> None:
        self._enter(module)
        for statement in module.statements:
            self._visit(statement)

    def _take_folders(self) -> None:
        folder = self.sources.folder
        for text, beside in self._folders:
            for name in folders_named(folder, text, beside):
                self.meant[name] = digest_of_folder(folder / name)

    def _take_file(self, text: str, module: Module) -> None:
        """A string that names a file of the project: its content counts."""
        for path in self.sources.named_files.named(text, module.path):
            if path.is_file():
                self.files[str(path.relative_to(self.sources.folder))] = self.sources.digest(path)
            else:
                self.absent.add(path)
