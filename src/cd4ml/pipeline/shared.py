"""What a project's functions change: when they run, reading cannot tell.

A table that functions fill, a name that they replace: whoever uses one of these cannot be
said to be unchanged while any file of the project changes. What the top level of a module
changes is no part of this: that happens once, when it is imported (`pipeline.effects`).
"""

from __future__ import annotations

from cd4ml.pipeline.code import Statement
from cd4ml.pipeline.sources import Sources

Name = tuple[str, str]  # module, name in it


def shared_names(sources: Sources) -> set[Name]:
    """Everything that is changed inside a function."""
    shared: set[Name] = set()
    for module in sources.modules():
        for statement in filter(lambda each: each.is_definition, module.statements):
            for chain in statement.changed:
                if chain[0] in module.bound:
                    shared.add((module.name, chain[0]))
                shared.update(_elsewhere(chain, statement, sources))
    return shared


def _elsewhere(chain: tuple[str, ...], statement: Statement, sources: Sources) -> list[Name]:
    """What a dotted name means in other modules of the project."""
    found = []
    local = [statement.imports[chain[0]]] if chain[0] in statement.imports else []
    for source in (*local, *statement.module.imports.get(chain[0], [])):
        path = (*source.module.split("."), *([source.name] if source.name else []), *chain[1:])
        if sources.has(path[0]):
            module, rest = sources.resolve(path, len(source.module.split(".")))
            found += [(module.name, rest[0])] if module is not None and rest else []
    return found
