"""A page on which people try an endpoint: a form by the contract, the answer, and why."""

from __future__ import annotations

from collections.abc import Collection
from importlib.resources import files
from typing import Any

from cd4ml.models.leniency import is_lenient
from cd4ml.models.violations import expected_of, is_closed
from cd4ml.records.contract import Field
from cd4ml.serving.endpoint import Endpoint
from cd4ml.serving.schemas import example_of

_FILES = ("try.html", "try.css", "try.js")
_HIDDEN = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}  # JSON within a script


def try_page(
    endpoint: Endpoint, *, needs_token: bool = False, private: Collection[str] = ()
) -> str:
    """The page, whole: style and script are in it, and nothing else is fetched but answers.

    Args:
        endpoint: With the contract, and a row of those that its model was packaged with.
        needs_token: Whether the form has to ask for one.
        private: Fields of which no value of a row is shown.
    """
    import msgspec
    from jinja2 import Environment

    contract = endpoint.contract.contract
    html, css, script = (
        files("cd4ml.serving").joinpath("page", name).read_text("utf-8") for name in _FILES
    )
    # a row of the training data is not for those who may not ask
    shown = {} if needs_token else endpoint.example
    example = example_of(contract, shown, private)
    known = {"names": list(contract.names), "example": example, "label": _label(endpoint)}
    data = msgspec.json.encode(known).decode()
    for character, escape in _HIDDEN.items():
        data = data.replace(character, escape)
    page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(html)
    return page.render(
        css=css,
        script=script,
        data=data,
        contract=contract,
        plan=endpoint.plan,
        versions=_versions(endpoint),
        fields=[
            _control(field, example.get(field.name), is_private=field.name in private)
            for field in contract.fields
        ],
        unexplained=_unexplained(endpoint),
        needs_token=needs_token,
    )


def _label(endpoint: Endpoint) -> str:
    output = endpoint.contract.contract.output
    return output.name if output else "score"


def _versions(endpoint: Endpoint) -> list[dict[str, Any]]:
    return [
        {
            "ref": arm.ref,
            "role": arm.role,
            "weight": f"{arm.weight_percent:g}" if arm.role == "canary" else "",
            "kind": endpoint.runtimes[arm.artifact].kind,
        }
        for arm in endpoint.plan.arms
    ]


def _unexplained(endpoint: Endpoint) -> str:
    """Why contributions are not offered; "" if they are."""
    asked = (endpoint.champion, endpoint.canary)
    slow = [each for each in asked if each is not None and each.explainer is None]
    return endpoint.runtimes[slow[0].arm.artifact].unexplained if slow else ""


def _control(field: Field, value: Any, *, is_private: bool) -> dict[str, Any]:
    """What the form has for a field. A closed list is a choice, unless it forgives other texts."""
    is_choice = field.type == "boolean" or (is_closed(field) and field.on_unknown == "refuse")
    choices = ("true", "false") if field.type == "boolean" else field.categories
    return {
        "name": field.name,
        "type": field.type,
        "unit": field.unit,
        "words": expected_of(field),
        "description": field.description,
        "policy": _policy(field) if is_lenient(field) else "",
        "choices": choices if is_choice else (),
        "hints": () if is_choice or is_private else field.categories,
        "value": _text(value),
        "step": "1" if field.type == "integer" else "any",
        "can_be_null": field.nullable or field.on_null != "refuse",
        "is_optional": field.optional,
    }


def _policy(field: Field) -> str:
    parts = []
    if field.on_null != "refuse" and not field.nullable:
        parts.append(f"null is {_done(field, field.on_null)}")
    if field.on_unknown != "refuse":
        parts.append(f"other texts are {_done(field, field.on_unknown)}")
    if field.on_outside != "refuse":
        parts.append(f"values beyond are {_done(field, field.on_outside)}")
    return ", ".join(parts)


def _done(field: Field, policy: str) -> str:
    if policy == "default":
        return f"taken for {_text(field.default)}"
    return {"warn": "taken with a warning", "clip": "clipped"}[policy]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
