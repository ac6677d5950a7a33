"""What our server is held against: starlette and uvicorn and nothing else, which read the same request and answer the
same. `python -m benchmarks.platform.bare PORT`."""

from __future__ import annotations

import json
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .asked import HEADER


async def predict(request: Request) -> Response:
    body = await request.json()
    return JSONResponse({"output": body["input"]})


async def infer(request: Request) -> Response:
    body, length = await request.body(), request.headers.get(HEADER)
    told = json.loads(body if length is None else body[: int(length)])
    [given] = told["inputs"]
    answer = {"model_name": request.path_params["name"], "model_version": "1", "outputs": [
        {"name": "y", "datatype": given["datatype"], "shape": given["shape"]}]}
    if length is None:
        answer["outputs"][0]["data"] = given["data"]
        return JSONResponse(answer)
    values = body[int(length) :]
    answer["outputs"][0]["parameters"] = {"binary_data_size": len(values)}
    head = json.dumps(answer).encode()
    return Response(head + values, media_type="application/octet-stream", headers={HEADER: str(len(head))})


app = Starlette(routes=[Route("/predict/{name}", predict, methods=["POST"]),
                        Route("/v2/models/{name}/infer", infer, methods=["POST"])])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", log_level="warning",
                access_log=False, timeout_keep_alive=30)
