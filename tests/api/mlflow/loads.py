"""Loads a model by its address and answers rows: a program for the client's own environment."""

import json
import sys


def main(url: str, model: str, rows: str) -> None:
    import mlflow
    import pandas as pd

    mlflow.set_tracking_uri(url)
    loaded = mlflow.pyfunc.load_model(model)
    print(json.dumps([float(each) for each in loaded.predict(pd.DataFrame(json.loads(rows)))]))


if __name__ == "__main__":
    main(*sys.argv[1:])
