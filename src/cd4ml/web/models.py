"""The pages of models: verdicts on candidates, versions and their cards."""

from __future__ import annotations

from starlette.requests import Request

from cd4ml.loop import Project
from cd4ml.loop.card import card
from cd4ml.loop.evaluate import verdict_about, verdict_of, verdicts
from cd4ml.loop.registry import alias_history, models, version_of
from cd4ml.loop.releases import releases
from cd4ml.loop.why import why
from cd4ml.web.card import card_values
from cd4ml.web.page import Values


def all_verdicts(project: Project, _: Request) -> Values:
    """Every verdict, newest first: candidates that were refused are remembered too."""
    return {"verdicts": verdicts(project)[::-1]}


def verdict(project: Project, request: Request) -> Values:
    """One verdict: what was asked, what came."""
    return {"verdict": verdict_of(project, request.path_params["number"])}


def all_models(project: Project, _: Request) -> Values:
    """Every version of every model, newest first."""
    return {"models": models(project)[::-1]}


def model(project: Project, request: Request) -> Values:
    """One version: the findings it passed, and where it was released."""
    ref = f"{request.path_params['model']}/{request.path_params['number']}"
    found = version_of(project, ref)
    version = found.version
    return {
        "summary": found,
        "verdict": verdict_about(project, ref),
        "moves": [
            move
            for move in alias_history(project, version.model)
            if version.number in (move.left, move.to)
        ],
        "releases": [
            release
            for release in releases(project)
            if (release.model, release.version) == (version.model, version.number)
        ],
        "explanation": why(project, ref),
        "environments": list(project.settings.environments),
        "has_emergencies": any(each.emergency for each in project.settings.environments.values()),
    }


def model_card(project: Project, request: Request) -> Values:
    """All that the records know about one version, and what people wrote of its use."""
    return card_values(
        card(project, f"{request.path_params['model']}/{request.path_params['number']}")
    )
