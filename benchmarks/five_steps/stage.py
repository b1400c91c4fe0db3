"""One of the five steps as a program, for engines whose steps are programs."""

import json
import pickle
import sys
from pathlib import Path

import polars as pl
import work


def main(name: str, *paths: str) -> None:
    """Read the inputs, do the step, write the output, which is the last path."""
    *inputs, output = map(Path, paths)
    if name == "load":
        work.load(inputs[0]).write_parquet(output)
    elif name == "clean":
        work.clean(pl.read_parquet(inputs[0])).write_parquet(output)
    elif name == "features":
        work.features(pl.read_parquet(inputs[0])).write_parquet(output)
    elif name == "fit":
        output.write_bytes(pickle.dumps(work.fit(pl.read_parquet(inputs[0]))))
    elif name == "evaluate":
        model = pickle.loads(inputs[0].read_bytes())  # noqa: S301 - written by the step before
        output.write_text(json.dumps(work.evaluate(model, pl.read_parquet(inputs[1]))))


if __name__ == "__main__":
    main(*sys.argv[1:])
