"""MLflow's scoring server with one ONNX file, started by MLflow's own command with MODEL_WORKERS processes."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import mlflow.onnx
import onnx

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port")
    port = parser.parse_args().port
    folder = Path(tempfile.mkdtemp(dir=os.environ["MODEL_FOLDER"]))
    mlflow.onnx.save_model(onnx.load(os.environ["MODEL_FILE"]), folder / "model", pip_requirements=[],
                           onnx_execution_providers=["CPUExecutionProvider"], onnx_session_options={
                               "intra_op_num_threads": int(os.environ["MODEL_THREADS"])})
    os.chdir(folder)
    program = Path(sys.executable).parent / "mlflow"
    os.environ["PATH"] = f"{program.parent}:{os.environ['PATH']}"
    os.execv(program, [str(program), "models", "serve", "--model-uri", str(folder / "model"), "--env-manager", "local",
                       "--host", "127.0.0.1", "--port", port, "--workers", os.environ["MODEL_WORKERS"]])
