"""Answer requests for an environment, in this process."""

from __future__ import annotations

from cd4ml.release.environments import settings_of
from cd4ml.store.project import Project


def serve(
    project: Project,
    *,
    environment: str,
    host: str = "127.0.0.1",
    port: int = 8401,
    needs_token: bool = False,
) -> None:
    """Serve what is released in an environment until the process is told to end.

    With `needs_token` only to who shows a token with the scope `predict`.

    Raises:
        NotFound: If `cd4ml.toml` names no such environment.
        Unavailable: If the port is taken.
    """
    from cd4ml.serving.server import serve as run_server

    settings_of(project.settings.environments, environment)
    run_server(project, environment=environment, host=host, port=port, needs_token=needs_token)
