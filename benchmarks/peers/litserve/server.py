"""LitServe with one ONNX file; MODEL_BATCH rows at most are put together, 1: none."""

from __future__ import annotations

import argparse
import os

import litserve
import numpy as np
import onnxruntime

BATCH = int(os.environ["MODEL_BATCH"])
WAIT = 0.005  # s that a batch is waited for


class Served(litserve.LitAPI):
    def setup(self, device: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ["MODEL_THREADS"])
        self.session = onnxruntime.InferenceSession(os.environ["MODEL_FILE"], options,
                                                    providers=["CPUExecutionProvider"])

    def decode_request(self, request: dict) -> np.ndarray:
        return np.asarray(request["input"], np.float32)

    def batch(self, inputs: list) -> np.ndarray:
        return np.concatenate(inputs)

    def predict(self, rows: np.ndarray) -> np.ndarray:
        [found] = self.session.run(None, {"x": rows})
        return found

    def unbatch(self, output: np.ndarray) -> list:
        return list(output[:, None])

    def encode_response(self, output: np.ndarray) -> dict:
        return {"output": output.tolist()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    api = Served(max_batch_size=BATCH, batch_timeout=WAIT) if BATCH > 1 else Served()
    server = litserve.LitServer(api, accelerator="cpu", fast_queue=os.environ["MODEL_FAST_QUEUE"] == "1")
    server.run(host="127.0.0.1", port=parser.parse_args().port, log_level="warning", generate_client_file=False)
