"""The Open Inference Protocol, version 2, over HTTP: what Triton's and KServe's clients speak.

Health, metadata, inference with JSON and binary tensors, statistics, and the model repository (the protocol's
specification with Triton's extensions ``binary_tensor_data``, ``statistics``, ``model_repository`` and ``sequence``).
Its routes are plain ASGI: around a model that does nothing, a request must cost little more than the socket. Errors
have the shape that those clients read, ``{"error": "..."}``.
"""
