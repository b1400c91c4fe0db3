from pathlib import Path

from cd4ml.models.manifest import Manifest, Parity
from cd4ml.serving.last_known import LastKnown
from cd4ml.store.blobs import Blobs, open_blobs


def packaged(blobs: Blobs) -> tuple[str, str]:
    """A model of three small parts; its address and that of one part."""
    parts = {name: blobs.put(name.encode()) for name in ("model.onnx", "contract.json")}
    parts["probes.json"] = blobs.put(b"{}")
    manifest = Manifest(
        kind="onnx",
        files=parts,
        parity=Parity(n_rows=1, n_probes=0, tolerance=1e-5),
        libraries={},
        features=(),
    )
    return blobs.put_record(manifest), parts["model.onnx"]


def test_a_part_that_was_damaged_here_is_fetched_again(tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path / "store"))
    artifact, part = packaged(blobs)
    known = LastKnown(tmp_path / "memory")
    known.fetch(blobs, artifact)
    copy = known.blobs.path(part)
    copy.chmod(0o644)
    copy.write_bytes(b"something else")

    known.fetch(blobs, artifact)

    assert known.blobs.get(part) == b"model.onnx"
