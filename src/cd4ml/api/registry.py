"""What the API answers about registered models: each calls its use-case and nothing else.

Trusting pickles is not among them: who answers for code that runs here does so at a shell.
"""

from __future__ import annotations

from cd4ml.api import bodies
from cd4ml.api.endpoint import Acting, Endpoint, Reading
from cd4ml.loop import Project


def models(project: Project, _: bodies.Nothing) -> object:
    """All versions."""
    from cd4ml.loop.registry import models as every

    return every(project)


def registered(project: Project, _: bodies.Nothing) -> object:
    """All registered models."""
    from cd4ml.loop.registry import registered as every

    return every(project)


def card(project: Project, asked: bodies.Ref) -> object:
    """The card of a version."""
    from cd4ml.loop.card import card as look

    return look(project, asked.ref)


def contract(project: Project, asked: bodies.Ref) -> object:
    """The contract of a version or a run."""
    from cd4ml.loop.model_contracts import contract_behind

    return contract_behind(project, asked.ref, takes_files=False)


def contracts(project: Project, asked: bodies.TwoContracts) -> object:
    """Two contracts, and the version that their changes need."""
    from cd4ml.loop.model_contracts import compared

    return compared(project, asked.old, asked.new, takes_files=False)


def history(project: Project, asked: bodies.Ref) -> object:
    """The moves of aliases."""
    from cd4ml.loop.registry import alias_history

    return alias_history(project, asked.ref)


def graduate(project: Project, asked: bodies.Graduate, actor: str) -> object:
    """A run becomes a version."""
    from cd4ml.loop.graduate import graduate as make

    return make(
        project,
        asked.run,
        model=asked.model,
        step=asked.step,
        rows_of=asked.rows,
        description=asked.description,
        tags=asked.tags,
        why=asked.why,
        actor=actor,
    )


def package(project: Project, asked: bodies.Ref, actor: str) -> object:
    """A version can answer."""
    from cd4ml.loop.graduate import package_version

    return package_version(project, asked.ref, actor=actor)


def set_alias(project: Project, asked: bodies.AliasAsked, actor: str) -> object:
    """An alias moves."""
    from cd4ml.loop.registry import set_alias as move

    return move(
        project, asked.ref, asked.alias, expected=asked.expected, why=asked.why, actor=actor
    )


def remove_alias(project: Project, asked: bodies.UnaliasAsked, actor: str) -> object:
    """An alias goes."""
    from cd4ml.loop.registry import remove_alias as take

    return take(project, asked.ref, expected=asked.expected, why=asked.why, actor=actor)


def describe(project: Project, asked: bodies.Describe, actor: str) -> object:
    """A description and tags."""
    from cd4ml.loop.registry import describe as say
    from cd4ml.loop.registry import tag

    if asked.description is not None:
        say(project, asked.ref, asked.description, actor=actor)
    if asked.tags:
        tag(project, asked.ref, asked.tags, actor=actor)
    return {"ref": asked.ref}


def delete(project: Project, asked: bodies.RefAndWhy, actor: str) -> object:
    """Something is hidden."""
    from cd4ml.loop.registry import delete as hide

    return hide(project, asked.ref, why=asked.why, actor=actor)


def restore(project: Project, asked: bodies.RefAndWhy, actor: str) -> object:
    """Something is there again."""
    from cd4ml.loop.registry import restore as bring_back

    return bring_back(project, asked.ref, why=asked.why, actor=actor)


MODELS: tuple[Endpoint, ...] = (
    Reading("/models", bodies.Nothing, models, "Models and their versions."),
    Reading("/models/registered", bodies.Nothing, registered, "Registered models."),
    Reading("/models/card/{ref:path}", bodies.Ref, card, "The card of a version."),
    Reading("/models/contract/{ref:path}", bodies.Ref, contract, "What requests keep."),
    Reading("/models/contracts", bodies.TwoContracts, contracts, "What a contract breaks."),
    Reading("/models/history/{ref:path}", bodies.Ref, history, "Moves of aliases."),
    Acting("/models/graduate", bodies.Graduate, graduate, "Make a run's model a version."),
    Acting("/models/package", bodies.Ref, package, "Make what a version answers with."),
    Acting("/models/alias", bodies.AliasAsked, set_alias, "Point an alias at a version."),
    Acting("/models/unalias", bodies.UnaliasAsked, remove_alias, "Take an alias away."),
    Acting("/models/describe", bodies.Describe, describe, "Describe and tag."),
    Acting("/models/delete", bodies.RefAndWhy, delete, "Hide a version or a model."),
    Acting("/models/restore", bodies.RefAndWhy, restore, "Bring it back."),
)
