"""What MLflow's clients send about registered models and their versions: see `messages`."""

from __future__ import annotations

import msgspec

from cd4ml.engines.mlflow.entities import KeyValue
from cd4ml.engines.mlflow.messages import Message


class CreateRegisteredModel(Message, frozen=True, kw_only=True):
    """A new name for versions."""

    name: str
    tags: list[KeyValue] = msgspec.field(default_factory=list)
    description: str = ""


class ModelByName(Message, frozen=True, kw_only=True):
    """One registered model."""

    name: str


class RenameModel(ModelByName, frozen=True, kw_only=True):
    """Another name for a registered model."""

    new_name: str = ""


class UpdateModel(ModelByName, frozen=True, kw_only=True):
    """What a registered model is for."""

    description: str = ""


class LatestVersions(ModelByName, frozen=True, kw_only=True):
    """The newest versions of a registered model."""

    stages: list[str] = msgspec.field(default_factory=list)


class ModelTag(ModelByName, frozen=True, kw_only=True):
    """A tag of a registered model."""

    key: str
    value: str = ""


class AliasAsked(ModelByName, frozen=True, kw_only=True):
    """A movable name of one version."""

    alias: str


class SetAlias(AliasAsked, frozen=True, kw_only=True):
    """Point an alias at a version."""

    version: str


class CreateModelVersion(ModelByName, frozen=True, kw_only=True):
    """A new version, made of the files at `source`."""

    source: str
    run_id: str = ""
    tags: list[KeyValue] = msgspec.field(default_factory=list)
    run_link: str = ""
    description: str = ""
    model_id: str = ""


class VersionAsked(ModelByName, frozen=True, kw_only=True):
    """One version of a registered model."""

    version: str


class UpdateVersion(VersionAsked, frozen=True, kw_only=True):
    """What a version is."""

    description: str = ""


class VersionTag(VersionAsked, frozen=True, kw_only=True):
    """A tag of a version."""

    key: str
    value: str = ""
