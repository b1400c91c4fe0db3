"""What a project's code changes where reading it cannot tell when.

A table that functions fill, a function that another module replaces: whoever uses one
of these cannot be said to be unchanged while any file of the project changes.
"""

from __future__ import annotations

from cd4ml.pipeline.code import Module, Statement, decorators_of
from cd4ml.pipeline.sources import Sources

Name = tuple[str, str]  # module, name in it


def shared_names(sources: Sources) -> set[Name]:
    """Everything that is changed inside a function, or from another module than its own.

    What a module's top level changes of its own is not listed: that is read in order.
    """
    shared: set[Name] = set()
    for module in sources.modules():
        for statement in module.statements:
            for chain in statement.changed:
                if statement.is_definition and chain[0] in module.bound:
                    shared.add((module.name, chain[0]))
                shared.update(_elsewhere(chain, statement, sources))
            for chain in decorators_of(statement.node):
                owners = _elsewhere(chain, statement, sources) if chain else []
                shared.update(owner for owner in owners if not _is_function(owner, chain, sources))
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


def _is_function(owner: Name, chain: tuple[str, ...], sources: Sources) -> bool:
    """Whether a decorator is a plain function, which can change nothing but what it names."""
    module, name = owner
    home: Module | None = sources.module(module)
    bound = home.bound.get(name, []) if home else []
    return chain[-1] == name and bool(bound) and all(each.is_definition for each in bound)
