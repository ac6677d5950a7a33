"""How versions of models do: requests, drift, feedback, alerts (docs/api/watch.md)."""

from __future__ import annotations

import json
from typing import Any, cast

from .connection import Connection, part
from .records import Alert, FeedbackGiven, VersionFeedback, read

NOT_SAID: Any = object()


class Watch:
    """`Client.watch`. `which` of a version is a number, an alias, or ``latest``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def show(self, name: str, which: str | int = "production", *, days: int = 30) -> dict[str, Any]:
        """`requests`, `errors`, `latency_ms`, `days`, `drift`, `feedback`; for the model's owner."""
        return dict(await self._connection.request("GET", f"{_version(name, which)}/watch", query={"days": days}))

    async def begin_anew(self, name: str, which: str | int = "production") -> None:
        """Forget the first week of inputs: the next one is what later ones are compared with."""
        await self._connection.request("DELETE", f"{_version(name, which)}/watch/baseline")

    async def give(self, name: str, which: str | int, verdict: str, comment: str = "", *, input: Any = NOT_SAID,
                   expected: Any = NOT_SAID) -> FeedbackGiven:
        """Say that an answer was ``right`` or ``wrong``; `sample` tells whether input and expected were kept."""
        body: dict[str, Any] = {"verdict": verdict, "comment": comment}
        body |= {key: value for key, value in {"input": input, "expected": expected}.items() if value is not NOT_SAID}
        return read(FeedbackGiven, await self._connection.request("POST", f"{_version(name, which)}/feedback", body))

    async def feedback(self, name: str, which: str | int = "production", *, verdict: str = "", most: int = 1000
                       ) -> list[VersionFeedback]:
        """What people said, the newest first; for the model's owner. Comments are plain: they are no HTML."""
        rows = await self._connection.pages(f"{_version(name, which)}/feedback", "feedback", most, verdict=verdict)
        return [read(VersionFeedback, row) for row in rows]

    async def samples(self, name: str, which: str | int = "production") -> list[dict[str, Any]]:
        """What people sent with their feedback: `input`, `expected`, `verdict`, `comment`, `at`."""
        response = await self._connection.checked("GET", f"{_version(name, which)}/feedback/samples", seconds=60)
        return [cast(dict[str, Any], json.loads(line)) for line in response.text.splitlines() if line]

    async def delete_feedback(self, name: str, which: str | int, feedback_id: str = "") -> None:
        """One's own, or any of one's own model; all of a version where none is named."""
        await self._connection.request("DELETE", f"{_version(name, which)}/feedback" + (
            f"/{part(feedback_id)}" if feedback_id else ""))

    async def collects(self, name: str) -> bool:
        """Whether samples are kept."""
        return bool((await self._connection.request("GET", f"{_of(name)}/feedback"))["collect_samples"])

    async def collect(self, name: str, samples: bool) -> None:
        """Have samples kept, or not; by the model's owner."""
        await self._connection.request("PUT", f"{_of(name)}/feedback", {"collect_samples": samples})

    async def alerts(self, name: str) -> list[Alert]:
        """The rules with their states; for the model's owner."""
        return [read(Alert, row) for row in (await self._connection.request("GET", f"{_of(name)}/alerts"))["alerts"]]

    async def delete_alerts(self, name: str) -> None:
        """No rules any longer; by the model's owner."""
        await self._connection.request("DELETE", f"{_of(name)}/alerts")

    async def put_alerts(self, name: str, rules: list[dict[str, Any]]) -> list[Alert]:
        """In place of all there are; a rule has `metric`, `above`, and may have `over_s`, `min_requests`, `version`,
        `webhook`. None of them: nobody is told."""
        told = await self._connection.request("PUT", f"{_of(name)}/alerts", {"rules": rules})
        return [read(Alert, row) for row in told["alerts"]]


def _of(name: str) -> str:
    return f"/v1/hub/models/{part(name)}"


def _version(name: str, which: str | int) -> str:
    return f"{_of(name)}/versions/{part(which)}"
