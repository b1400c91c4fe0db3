"""A build context: a Dockerfile, the wheel, and everything it needs with its hashes."""

from __future__ import annotations

import sys

from cd4ml.serving.packaging.contents import Contents
from cd4ml.serving.packaging.requirements import SERVED_BY, Hashes, locked

_PORT = 8080


def context_of(contents: Contents, wheel: str, hashes: Hashes) -> dict[str, str]:
    """The files of a build context beside the wheel: name -> text.

    Args:
        contents: What is in the wheel.
        wheel: Its file name.
        hashes: Of the distributions' files, as far as they are known.

    Raises:
        ConfigurationError: If something that it needs is not installed here.
    """
    roots = [each.replace(">", "=").partition("=")[0] for each in contents.requires]
    lines = locked([*roots, *SERVED_BY], hashes)
    has_all = all("--hash=" in line for line in lines)
    return {
        "requirements.txt": "\n".join([*_head(lines), *lines, ""]),
        "Dockerfile": _dockerfile(contents, wheel, has_all=has_all),
        "serve": f'#!/bin/sh\nexec python -m {contents.module} serve "$@"\n',
        ".dockerignore": f"*\n!{wheel}\n!requirements.txt\n!serve\n",
    }


def without_hash(requirements: str) -> list[str]:
    r"""The requirements of a context that no hash is known for.

    Examples:
        >>> without_hash("# as locked\nnumpy==2.2.0 \\\n    --hash=sha256:aa\nmine==0.1\n")
        ['mine==0.1']
    """
    lines = requirements.replace("\\\n", " ").splitlines()
    return [line for line in lines if line and not line.startswith("#") and "--hash=" not in line]


def _head(lines: list[str]) -> list[str]:
    missing = [line for line in lines if "--hash=" not in line]
    if not missing:
        return []
    return [f"# without a hash, as no lock file of the project has one: {', '.join(missing)}"]


def _dockerfile(contents: Contents, wheel: str, *, has_all: bool) -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    strict = " --require-hashes" if has_all else ""
    return f"""\
# {contents.distribution} {contents.version}: `serve` answers /ping and /invocations on port {_PORT}
FROM python:{version}-slim
WORKDIR /opt/model
COPY requirements.txt {wheel} ./
RUN pip install --no-cache-dir --no-deps{strict} -r requirements.txt \\
 && pip install --no-cache-dir --no-deps --no-index {wheel}
COPY --chmod=755 serve /usr/local/bin/serve
ENV PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1
USER 65534
EXPOSE {_PORT}
CMD ["serve"]
"""
