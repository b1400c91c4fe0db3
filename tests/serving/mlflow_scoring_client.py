"""Asks with MLflow's own client of scoring servers: `python ... PORT ROWS-IN-JSON`."""

import json
import sys


def main() -> None:
    # only this client's own environment has these
    import pandas as pd
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    port, rows = int(sys.argv[1]), json.loads(sys.argv[2])
    client = ScoringServerClient("127.0.0.1", port)
    client.wait_server_ready(timeout=10)
    answered = client.invoke(pd.DataFrame(rows))
    said = {
        "version": client.get_version(),
        "scores": answered.get_predictions().iloc[:, 0].tolist(),
    }
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
