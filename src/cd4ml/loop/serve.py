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
    workers: int = 0,
) -> None:
    """Serve what is released in an environment until the process is told to end.

    With `needs_token` only to who shows a token with the scope `predict`; with `workers` by so many
    processes, which this one starts and replaces.

    Raises:
        NotFound: If `cd4ml.toml` names no such environment.
        Unavailable: If the port is taken, or no worker can begin to answer.
    """
    settings_of(project.settings.environments, environment)
    if workers:
        from cd4ml.serving.supervisor import supervise

        supervise(
            project,
            environment=environment,
            n_workers=workers,
            host=host,
            port=port,
            needs_token=needs_token,
        )
        return
    from cd4ml.serving.server import serve as run_server

    run_server(project, environment=environment, host=host, port=port, needs_token=needs_token)
