"""Clients that write as fast as they are answered and note what was acknowledged; and the look around after a start.

Each model has one writer, so that the numbers of its versions are known beforehand.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from . import networks
from .ledger import Ledger

PART = 128 * 1024  # bytes of an upload's parts
SIZES = (100_000, 1_500_000)  # bytes of a file, from and to
MODELS = 2
OPEN_JOBS = 2  # of one lane at once
REVOKED = 0.8  # of keys; nobody may have more than 100
KEYS = 40  # that are looked at after a start
GONE = (httpx.TransportError, asyncio.CancelledError)
OVER = ("done", "failed", "cancelled")
OFFSET = "application/offset+octet-stream"


class Unexpected(Exception):
    """The server answered what it should not have."""


class Writers:
    def __init__(self, seed: int, ledger: Ledger) -> None:
        self.random, self.ledger = random.Random(seed), ledger
        self.marks: dict[str, float] = {}  # what a version answers, by its name
        self.contents: dict[str, bytes] = {}  # of uploads that are not whole
        self.secrets: dict[str, str] = {}  # of keys, by their ids
        self.ended: Counter[str] = Counter()  # jobs by their last state
        self.lost_workers = 0  # jobs that three kills in a row ended, as documented
        self.repeats = 0  # jobs that were begun more than once
        self.strange: list[str] = []
        self._last: dict[str, int] = {}  # version's number, by model
        self._counter = 0

    async def write(self, base: str, until: Callable[[], bool]) -> None:
        """Ends when the server does, or when `until` says so."""
        async with httpx.AsyncClient(base_url=base, timeout=60) as http:
            work = [self._again(until, lambda number=number: self._version(http, f"m{number}"))  # type: ignore[misc]
                    for number in range(MODELS)]
            await asyncio.gather(*work, self._again(until, lambda: self._key(http)),
                                 self._again(until, lambda: self._title(http)),
                                 self._again(until, lambda: self._job(http)))

    async def _again(self, until: Callable[[], bool], step: Callable[[], Awaitable[None]]) -> None:
        try:
            while not until() and not self.strange:
                await step()
        except httpx.TransportError:
            return  # it was killed
        except Unexpected as error:
            self.strange.append(str(error))

    async def _ask(self, http: httpx.AsyncClient, method: str, path: str, *, wanted: tuple[int, ...] = (),
                   **options: Any) -> Any:
        reply = await http.request(method, path, **options)
        if reply.is_error and reply.status_code not in wanted:
            raise Unexpected(f"{method} {path}: {reply.status_code} {reply.text[:200]}")
        return reply

    # models ----------------------------------------------------------------------------------------

    async def _version(self, http: httpx.AsyncClient, model: str) -> None:
        """Upload a file in parts, make a version of it, deploy it once it is ready, or an older one; delete the oldest.
        """
        if model not in self.ledger.of("model"):
            self.ledger.begin("model", model, model)
            await self._ask(http, "POST", "/v1/hub/models", json={"name": model, "visibility": "public"}, wanted=(409,))
            self.ledger.done("model", model, model)
        self._counter += 1
        mark = float(self._counter)
        content = networks.padded(networks.no_op(mark), self.random.randint(*SIZES), self._counter)
        upload = await self._upload(http, content)
        number = self._last.get(model, 0) + 1
        served, sha256 = f"{model}@{number}", hashlib.sha256(content).hexdigest()
        self.marks[served] = mark
        self.ledger.begin("version", served, sha256)
        made = (await self._ask(http, "POST", f"/v1/hub/models/{model}/versions",
                                json={"uploads": {"model.onnx": upload}})).json()
        if made["number"] != number:
            raise Unexpected(f"{served} became number {made['number']}")
        self.ledger.done("version", served, sha256)
        self._last[model] = number
        await self._deployed(http, model, number)
        await self._pruned(http, model)

    async def _upload(self, http: httpx.AsyncClient, content: bytes) -> str:
        upload: str = (await self._ask(http, "POST", "/v1/uploads", json={
            "name": "model.onnx", "size": len(content)})).json()["id"]
        self.ledger.done("upload", upload, 0)
        self.contents[upload] = content
        await self.go_on(http, upload, 0)
        return upload

    async def go_on(self, http: httpx.AsyncClient, upload: str, offset: int) -> None:
        """From there to the end; then it has to be what was sent."""
        content = self.contents[upload]
        for begin in range(offset, len(content), PART):
            end = min(len(content), begin + PART)
            self.ledger.begin("upload", upload, end)
            reply = await self._ask(http, "PATCH", f"/v1/uploads/{upload}", content=content[begin:end], headers={
                "Upload-Offset": str(begin), "Content-Type": OFFSET})
            self.ledger.done("upload", upload, int(reply.headers["Upload-Offset"]))
        if reply.headers.get("Upload-SHA256") != hashlib.sha256(content).hexdigest():
            self.ledger.lost.append(f"upload {upload} is something else than what was sent")

    async def _deployed(self, http: httpx.AsyncClient, model: str, number: int) -> None:
        await self._checked(http, model, number)
        for _ in range(3):
            await self._lead(http, model, self.random.choice([number, *self._ready(model)]))

    async def _checked(self, http: httpx.AsyncClient, model: str, number: int) -> None:
        while True:
            seen = (await self._ask(http, "GET", f"/v1/hub/models/{model}/versions/{number}")).json()
            if seen["state"] == "ready":
                return
            if seen["state"] != "checking":
                raise Unexpected(f"{model}@{number} is {seen['state']}: {seen['reason']}")
            await asyncio.sleep(0.1)

    def _ready(self, model: str) -> list[int]:
        """Versions that were deployed before."""
        return [int(served.partition("@")[2]) for served in self.ledger.of("version")
                if served.startswith(f"{model}@") and served in self.ledger.of("tried")]

    async def _lead(self, http: httpx.AsyncClient, model: str, number: int) -> None:
        self.ledger.begin("alias", model, number)
        await self._ask(http, "PUT", f"/v1/hub/models/{model}/aliases/production", json={"version": number})
        self.ledger.done("alias", model, number)
        await self.answers(http, model, number)
        self.ledger.done("tried", f"{model}@{number}", True)

    async def answers(self, http: httpx.AsyncClient, model: str, number: int) -> None:
        reply = await self._ask(http, "POST", f"/predict/{model}", json={"input": [[0.0] * networks.NUMBERS]})
        if reply.json()["output"][0][0] != self.marks[f"{model}@{number}"]:
            self.ledger.orphan(f"{model}@{number} is deployed, and another one answers")

    async def _pruned(self, http: httpx.AsyncClient, model: str) -> None:
        """Delete the oldest version of several, unless it is deployed."""
        there = sorted(int(each.partition("@")[2]) for each in self.ledger.of("version")
                       if each.startswith(f"{model}@"))
        if len(there) < 4 or there[0] == self.ledger.of("alias").get(model):
            return
        served = f"{model}@{there[0]}"
        self.ledger.begin("version", served, None)
        await self._ask(http, "DELETE", f"/v1/hub/models/{model}/versions/{there[0]}")
        self.ledger.done("version", served, None)

    # other things ----------------------------------------------------------------------------------

    async def _title(self, http: httpx.AsyncClient) -> None:
        await asyncio.sleep(0.05)
        for model in self.ledger.of("model"):
            self._counter += 1
            title = f"Model {self._counter}"
            self.ledger.begin("title", model, title)
            await self._ask(http, "PATCH", f"/v1/hub/models/{model}", json={"title": title})
            self.ledger.done("title", model, title)

    async def _key(self, http: httpx.AsyncClient) -> None:
        await asyncio.sleep(0.05)
        made = (await self._ask(http, "POST", "/v1/keys", json={"title": "k"})).json()
        self.secrets[made["id"]] = made["key"]
        self.ledger.done("key", made["id"], "good")
        if self.random.random() < REVOKED:
            self.ledger.begin("key", made["id"], "revoked")
            await self._ask(http, "DELETE", f"/v1/keys/{made['id']}")
            self.ledger.done("key", made["id"], "revoked")

    async def _job(self, http: httpx.AsyncClient) -> None:
        """A version in eight bits, as a conversion; one more once there are few."""
        await asyncio.sleep(0.1)
        for job in list(self.ledger.of("job")):
            await self.look(http, job)
        if len(self.ledger.of("job")) >= OPEN_JOBS or "weights" not in self.ledger.of("model"):
            return
        self._counter += 1
        reply = await self._ask(http, "POST", "/v1/hub/models/weights/versions/1/conversions", json={"kind": "int8"},
                                headers={"Idempotency-Key": f"job {self._counter}"}, wanted=(429,))
        if reply.status_code != 429:
            self.ledger.done("job", reply.json()["id"], "there")

    async def look(self, http: httpx.AsyncClient, job: str) -> None:
        """Forget a job that has ended, with how."""
        seen = (await self._ask(http, "GET", f"/v1/jobs/{job}")).json()
        if seen["state"] in OVER:
            self.ended[seen["state"]] += 1
            self.repeats += seen["attempts"] > 1
            worn = seen["attempts"] >= 3 and seen["state"] == "failed" and "worker was lost" in seen["error"]["detail"]
            self.lost_workers += worn
            if seen["state"] != "done" and not worn:
                self.strange.append(f"{job} is {seen['state']}: {(seen['error'] or {}).get('detail')}")
            del self.ledger.values["job", job]

    async def prepare(self, base: str) -> None:
        """A model that jobs convert."""
        async with httpx.AsyncClient(base_url=base, timeout=60) as http:
            content = networks.large(1)
            await self._ask(http, "POST", "/v1/hub/models", json={"name": "weights", "visibility": "public"})
            upload = await self._upload(http, content)
            await self._ask(http, "POST", "/v1/hub/models/weights/versions", json={"uploads": {"model.onnx": upload}})
            await self._checked(http, "weights", 1)
            self.ledger.done("model", "weights", "weights")

    # after a start ---------------------------------------------------------------------------------

    async def check(self, base: str, folder: Path) -> None:
        """Compare all that was acknowledged with what is there, and go on with uploads that were cut off."""
        async with httpx.AsyncClient(base_url=base, timeout=60) as http:
            for model in self.ledger.names("model"):
                await self._check_model(http, model)
            await self._check_uploads(http)
            await self._check_keys(http)
            for job in self.ledger.of("job"):
                reply = await http.get(f"/v1/jobs/{job}")
                self.ledger.seen("job", job, "there" if reply.status_code == 200 else None)
        for wrong in await asyncio.to_thread(broken, folder / "hub-files"):
            self.ledger.orphan(f"the blob {wrong} is not what its name says")

    async def _check_model(self, http: httpx.AsyncClient, model: str) -> None:
        reply = await http.get(f"/v1/hub/models/{model}")
        there = reply.status_code == 200
        self.ledger.seen("model", model, model if there else None)
        if not there or model == "weights":
            return
        if ("title", model) in self.ledger.values:
            self.ledger.seen("title", model, reply.json()["title"])
        listed = {f"{model}@{each['number']}": each for each in (await self._ask(
            http, "GET", f"/v1/hub/models/{model}/versions")).json()["versions"]}
        for served in {*listed, *(each for each in self.ledger.names("version") if each.startswith(f"{model}@"))}:
            await self._check_version(http, model, served, served in listed)
        self._last[model] = max((int(each.partition("@")[2]) for each in listed), default=0)
        alias = await http.get(f"/v1/hub/models/{model}/aliases/production")
        leads = alias.json()["version"] if alias.status_code == 200 else None
        if self.ledger.seen("alias", model, leads) and leads is not None:
            await self.answers(http, model, leads)

    async def _check_version(self, http: httpx.AsyncClient, model: str, served: str, listed: bool) -> None:
        path = f"/v1/hub/models/{model}/versions/{served.partition('@')[2]}/files/model.onnx"
        reply = await http.get(path)
        found = hashlib.sha256(reply.content).hexdigest() if reply.status_code == 200 else None
        if listed and found is None:
            self.ledger.lost.append(f"{served} is listed, and its file answers {reply.status_code}")
        self.ledger.seen("version", served, found)

    async def _check_uploads(self, http: httpx.AsyncClient) -> None:
        for upload, content in list(self.contents.items()):
            reply = await http.head(f"/v1/uploads/{upload}")
            offset = int(reply.headers["Upload-Offset"]) if reply.status_code == 200 else None
            self.ledger.seen("upload", upload, offset)
            if offset is not None and offset < len(content):
                await self.go_on(http, upload, offset)
            await http.delete(f"/v1/uploads/{upload}")
            del self.contents[upload], self.ledger.values["upload", upload]

    async def _check_keys(self, http: httpx.AsyncClient) -> None:
        keys = list(self.secrets)
        for key in self.random.sample(keys, min(KEYS, len(keys))):
            reply = await http.get("/v1/hub/tags", headers={"Authorization": f"Bearer {self.secrets[key]}"})
            self.ledger.seen("key", key, "good" if reply.status_code == 200 else "revoked")

    async def finish(self, base: str, seconds: float = 120) -> None:
        """Wait for jobs that are under way. Raises `TimeoutError`."""
        async with httpx.AsyncClient(base_url=base, timeout=60) as http, asyncio.timeout(seconds):
            while self.ledger.of("job"):
                for job in list(self.ledger.of("job")):
                    await self.look(http, job)
                await asyncio.sleep(0.2)


def broken(folder: Path) -> list[str]:
    """Blobs that are not what their names say."""
    found = []
    for path in folder.glob("??/*"):
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.name:
            found.append(path.name[:12])
    return found
