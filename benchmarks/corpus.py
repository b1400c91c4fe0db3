"""Files of random bytes to make versions of, always the same ones."""

from __future__ import annotations

import os
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from blake3 import blake3

N_FOLDERS, N_IN_FOLDER, FILE_BYTES = 20, 1000, 20_000
N_FEW = 1000
BIG_BYTES, BLOCK_BYTES = 2_000_000_000, 16_000_000
CHUNK = 256  # files that a thread hashes at a time


def many(folder: Path) -> None:
    """20,000 files of 20 kB, in 20 folders."""
    numbers = random.Random(0)
    for i in range(N_FOLDERS):
        inner = folder / f"class_{i:02d}"
        inner.mkdir(parents=True)
        for j in range(N_IN_FOLDER):
            (inner / f"image_{j:04d}.jpg").write_bytes(numbers.randbytes(FILE_BYTES))


def few(folder: Path, of: Path) -> None:
    """Every twentieth of the many, side by side in a folder."""
    folder.mkdir(parents=True)
    for path in sorted(of.rglob("*.jpg"))[:: N_FOLDERS * N_IN_FOLDER // N_FEW]:
        shutil.copy(path, folder / f"{path.parent.name}_{path.name}")


def change_one(folder: Path, numbers: random.Random) -> None:
    """Other bytes of the same length in one of the many."""
    (folder / "class_07" / "image_0050.jpg").write_bytes(numbers.randbytes(FILE_BYTES))


def big(path: Path) -> None:
    """One file of 2 GB."""
    numbers = random.Random(1)
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        for _ in range(BIG_BYTES // BLOCK_BYTES):
            file.write(numbers.randbytes(BLOCK_BYTES))


def hashed(folder: Path) -> list[bytes]:
    """One BLAKE3 read of all files of a folder, mapped into memory, by a thread a core."""
    paths = [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names]
    chunks = [paths[i : i + CHUNK] for i in range(0, len(paths), CHUNK)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return [digest for some in threads.map(_digests, chunks) for digest in some]


def _digests(paths: list[str]) -> list[bytes]:
    return [blake3().update_mmap(path).digest() for path in paths]
