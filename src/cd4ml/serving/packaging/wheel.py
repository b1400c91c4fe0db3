"""Wheels: the same files give the same bytes, on every machine."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping, Sequence

_FIRST = (1980, 1, 1, 0, 0, 0)  # the earliest moment that a ZIP file can name
_READABLE = 0o100644 << 16


def wheel_name(distribution: str, version: str) -> str:
    """The file name of a pure wheel (PEP 427).

    Examples:
        >>> wheel_name("delay-model", "3")
        'delay_model-3-py3-none-any.whl'
    """
    return f"{_escaped(distribution)}-{version}-py3-none-any.whl"


def wheel(
    files: Mapping[str, bytes],
    *,
    distribution: str,
    version: str,
    summary: str,
    description: str,
    requires: Sequence[str],
) -> bytes:
    """A wheel with these files. Nothing is compressed: what compresses differs by machine.

    Args:
        files: Path within the wheel -> content.
        distribution: What it is installed as.
        version: As PEP 440 takes it.
        summary: One line.
        description: In Markdown.
        requires: Requirements, as PEP 508 writes them.
    """
    folder = f"{_escaped(distribution)}-{version}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {distribution}",
        f"Version: {version}",
        f"Summary: {summary}",
        "Requires-Python: >=3.11",
        *(f"Requires-Dist: {each}" for each in requires),
        "Description-Content-Type: text/markdown",
        "",
        description,
    ]
    tags = "Wheel-Version: 1.0\nGenerator: cd4ml\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    content = dict(sorted(files.items()))
    content[f"{folder}/METADATA"] = "\n".join(metadata).encode()
    content[f"{folder}/WHEEL"] = tags.encode()
    content[f"{folder}/RECORD"] = _record(content, f"{folder}/RECORD")
    return _zipped(content)


def _record(content: Mapping[str, bytes], own: str) -> bytes:
    lines = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in content.items()]
    return "\n".join([*lines, f"{own},,", ""]).encode()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _zipped(content: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, data in content.items():
            entry = zipfile.ZipInfo(path, _FIRST)
            entry.external_attr = _READABLE
            entry.create_system = 3  # Unix, wherever it is written
            archive.writestr(entry, data)
    return buffer.getvalue()


def _escaped(distribution: str) -> str:
    return re.sub(r"[-_.]+", "_", distribution).lower()
