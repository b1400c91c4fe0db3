"""Asks with Triton's own client: `python triton_client.py HOST:PORT ROWS-IN-JSON`."""

import json
import sys

import numpy as np

NUMPY = {"BYTES": object, "INT64": np.int64, "FP64": np.float64}


def main() -> None:
    import tritonclient.http as triton  # only this client's own environment has it

    address, rows = sys.argv[1], json.loads(sys.argv[2])
    client = triton.InferenceServerClient(address)
    known = client.get_model_metadata("delay")
    said = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready() and client.is_model_ready("delay"),
    }
    for is_binary in (True, False):
        inputs = []
        for each in known["inputs"]:
            values = [row[each["name"]] for row in rows]
            given = triton.InferInput(each["name"], [len(rows)], each["datatype"])
            array = np.array(values, NUMPY[each["datatype"]])
            given.set_data_from_numpy(array, binary_data=is_binary)
            inputs.append(given)
        output = known["outputs"][0]["name"]
        wanted = triton.InferRequestedOutput(output, binary_data=is_binary)
        answered = client.infer("delay", inputs, outputs=[wanted], request_id="seven")
        said[f"binary={is_binary}"] = answered.as_numpy(output).tolist()
    said["all outputs"] = client.infer("delay", inputs).as_numpy(output).tolist()
    try:
        client.infer("fares", inputs)
    except triton.InferenceServerException as error:
        said["refused"] = str(error)
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
