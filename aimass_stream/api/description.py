"""openapi.json, whole: what FastAPI knows, and the routes that it does not, because they are plain ASGI."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from .groups import grouped
from .oip.tensors import BYTES, DTYPES

JSON = "application/json"
BINARY = "application/octet-stream"
NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}, "description": "a model's name"}
VERSION = {"name": "version", "in": "path", "required": True, "schema": {"type": "string"}}
HEADER = {"name": "Inference-Header-Content-Length", "in": "header", "schema": {"type": "integer", "minimum": 0},
          "description": "bytes of JSON before the binary data; 0: the body is the data of the only input"}

OBJECT = {"type": "object"}
SHAPE = {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": 16}
DATATYPE = {"type": "string", "enum": [*DTYPES, BYTES]}
SCHEMAS: dict[str, Any] = {
    "OipError": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
    "OipInput": {
        "type": "object", "required": ["name", "shape", "datatype"],
        "properties": {"name": {"type": "string"}, "shape": SHAPE, "datatype": DATATYPE,
                       "data": {"type": "array", "items": {}, "description": "flat, or nested as the shape says"},
                       "parameters": {"type": "object", "properties": {
                           "binary_data_size": {"type": "integer", "minimum": 0}}}}},
    "OipRequest": {
        "type": "object", "required": ["inputs"],
        "properties": {
            "id": {"type": "string", "maxLength": 256},
            "inputs": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/OipInput"}},
            "outputs": {"type": "array", "items": {
                "type": "object", "required": ["name"], "properties": {
                    "name": {"type": "string"},
                    "parameters": {"type": "object", "properties": {"binary_data": {"type": "boolean"}}}}}},
            "parameters": {"type": "object", "properties": {
                "binary_data_output": {"type": "boolean"},
                "timeout": {"type": "integer", "minimum": 0, "description": "µs"},
                "sequence_id": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
                "sequence_start": {"type": "boolean"}, "sequence_end": {"type": "boolean"}}}}},
    "OipResponse": {
        "type": "object", "required": ["model_name", "model_version", "outputs"],
        "properties": {"model_name": {"type": "string"}, "model_version": {"type": "string"}, "id": {"type": "string"},
                       "parameters": OBJECT,
                       "outputs": {"type": "array", "items": {
                           "type": "object", "required": ["name", "shape", "datatype"], "properties": {
                               "name": {"type": "string"}, "shape": SHAPE, "datatype": DATATYPE,
                               "data": {"type": "array", "items": {}}, "parameters": OBJECT}}}}}}


def describe(app: FastAPI) -> None:
    """Make openapi.json now: it takes longer than the event loop may be held."""
    whole = app.openapi()
    whole["paths"] |= _paths()
    whole["x-tagGroups"] = grouped()
    whole.setdefault("components", {}).setdefault("schemas", {}).update(SCHEMAS)


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {
        "/v2": _get("server metadata", "Name, version and extensions"),
        "/v2/health/live": _get("server live", "The server is there", secured=False),
        "/v2/health/ready": _get("server ready", "The server takes requests", secured=False),
        "/v2/models/stats": _get("statistics", "Counts and times of the requests for each model"),
        "/v2/repository/index": _post("repository index", "All models with their states", OBJECT | {"properties": {
            "ready": {"type": "boolean", "description": "only those that are loaded"}}}, []),
        "/v2/repository/models/{name}/load": _post("load a model", "Take a model into service", OBJECT, [NAME]),
        "/v2/repository/models/{name}/unload": _post("unload a model", "Take a model out of service", OBJECT, [NAME])}
    for path, parameters in (("/v2/models/{name}", [NAME]),
                             ("/v2/models/{name}/versions/{version}", [NAME, VERSION])):
        paths[path] = _get("model metadata", "Versions, inputs and outputs; free axes are -1", parameters)
        paths[f"{path}/ready"] = _get("model ready", "The model takes requests", parameters)
        paths[f"{path}/stats"] = _get("model statistics", "Counts and times of its requests", parameters)
        paths[f"{path}/infer"] = _infer(parameters)
    return paths


def _operation(summary: str, description: str, parameters: list[Any], answer: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary.capitalize(), "description": description, "tags": ["open inference protocol"],
            "parameters": parameters, "responses": {
                "200": {"description": description, "content": {JSON: {"schema": answer}}},
                "4XX": {"description": "What was wrong with the request", "content": {JSON: {"schema": {
                    "$ref": "#/components/schemas/OipError"}}}},
                "503": {"description": "The server is stopping, or the model takes no requests", "content": {JSON: {
                    "schema": {"$ref": "#/components/schemas/OipError"}}}}}}


def _get(summary: str, description: str, parameters: list[Any] | None = None, *,
         secured: bool = True) -> dict[str, Any]:
    operation = _operation(summary, description, parameters or [], OBJECT)
    return {"get": operation | ({"security": [{"HTTPBearer": []}]} if secured else {})}


def _post(summary: str, description: str, body: dict[str, Any], parameters: list[Any]) -> dict[str, Any]:
    operation = _operation(summary, description, parameters, {})
    return {"post": operation | {"security": [{"HTTPBearer": []}],
                                 "requestBody": {"content": {JSON: {"schema": body}}}}}


def _infer(parameters: list[Any]) -> dict[str, Any]:
    operation = _operation("inference", "Run a model", [*parameters, HEADER],
                           {"$ref": "#/components/schemas/OipResponse"})
    operation["responses"]["200"]["content"][BINARY] = {"schema": {"type": "string", "format": "binary"}}
    request = {JSON: {"schema": {"$ref": "#/components/schemas/OipRequest"}},
               BINARY: {"schema": {"type": "string", "format": "binary"}}}
    return {"post": operation | {"security": [{"HTTPBearer": []}],
                                 "requestBody": {"required": True, "content": request}}}
