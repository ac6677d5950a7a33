"""What other people do meanwhile: uploads of a large file and conversions, one after the other, until stdin ends.

`python -m benchmarks.platform.busy BASE MODEL`; then it writes as JSON how much came of it.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import httpx
import numpy as np

SIZE = 500_000_000  # bytes of the upload
RATE = 125_000_000  # bytes/s: what a link of 1 Gbit/s brings
PART = 8 << 20  # bytes
OVER = ("done", "failed", "cancelled")
OFFSET = "application/offset+octet-stream"


class Busy:
    def __init__(self, base: str, model: str) -> None:
        self.base, self.model = base, model
        self.over = threading.Event()
        self.told: dict[str, Any] = {"bytes": 0, "uploads": 0, "conversions": 0, "errors": []}

    def run(self) -> None:
        threads = [threading.Thread(target=self._until, args=(work,)) for work in (self._upload, self._convert)]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        self.over.set()
        for thread in threads:
            thread.join()
        print(json.dumps(self.told))

    def _until(self, work: Any) -> None:
        with httpx.Client(base_url=self.base, timeout=60) as http:
            while not self.over.is_set():
                try:
                    work(http)
                except (httpx.HTTPError, KeyError, ValueError) as error:
                    self.told["errors"].append(f"{type(error).__name__}: {error}"[:200])
                    self.over.wait(1)

    def _upload(self, http: httpx.Client) -> None:
        part = np.random.default_rng(4).bytes(PART)
        upload = http.post("/v1/uploads", json={"name": "large.bin", "size": SIZE}).raise_for_status().json()["id"]
        begun, offset = time.monotonic(), 0
        while offset < SIZE and not self.over.is_set():
            piece = part[: SIZE - offset]
            http.patch(f"/v1/uploads/{upload}", content=piece, headers={
                "Upload-Offset": str(offset), "Content-Type": OFFSET}).raise_for_status()
            offset += len(piece)
            self.told["bytes"] += len(piece)
            self.over.wait(max(0.0, begun + offset / RATE - time.monotonic()))
        self.told["uploads"] += offset == SIZE
        http.delete(f"/v1/uploads/{upload}")

    def _convert(self, http: httpx.Client) -> None:
        path = f"/v1/hub/models/{self.model}/versions/1/conversions"
        job = http.post(path, json={"kind": "int8"}).raise_for_status().json()["id"]
        while (seen := http.get(f"/v1/jobs/{job}").raise_for_status().json())["state"] not in OVER:
            if self.over.wait(0.3):
                http.post(f"/v1/jobs/{job}/cancel")
                return
        self.told["conversions"] += seen["state"] == "done"
        if seen["state"] == "failed":
            raise ValueError(str(seen["error"]))


if __name__ == "__main__":
    Busy(*sys.argv[1:]).run()
