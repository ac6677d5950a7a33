"""The three ways in which a network is asked by REST."""

from __future__ import annotations

import json

from .callers import Request
from .networks import Network

HEADER = "Inference-Header-Content-Length"  # bytes of JSON before the binary data
TYPES = {"float32": "FP32", "int64": "INT64"}


def short(name: str, network: Network) -> Request:
    """POST /predict."""
    return Request.of(f"/predict/{name}", {"input": network.one().tolist()})


def v2(name: str, network: Network) -> Request:
    """The Open Inference Protocol in JSON."""
    row = network.one()
    return Request.of(f"/v2/models/{name}/infer", {"inputs": [
        {"name": "x", "datatype": TYPES[network.dtype], "shape": list(row.shape), "data": row.ravel().tolist()}]})


def binary(name: str, network: Network) -> Request:
    """The same with raw bytes, there and back."""
    row = network.one()
    head = json.dumps({"inputs": [{"name": "x", "datatype": TYPES[network.dtype], "shape": list(row.shape),
                                   "parameters": {"binary_data_size": row.nbytes}}],
                       "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}).encode()
    return Request(f"/v2/models/{name}/infer", head + row.tobytes(),
                   {"Content-Type": "application/octet-stream", HEADER: str(len(head))})


WAYS = {"/predict": short, "/v2, JSON": v2, "/v2, binary": binary}
