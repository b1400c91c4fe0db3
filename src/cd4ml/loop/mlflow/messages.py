"""What MLflow's clients send, for the faces: see `engines.mlflow.messages`."""

from __future__ import annotations

from cd4ml.engines.mlflow.messages import *  # noqa: F403 - the same names, one floor up
from cd4ml.engines.mlflow.registry_messages import *  # noqa: F403
