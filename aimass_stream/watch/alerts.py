"""Who is told when a version does badly, and when it does well again.

A rule is looked at every few seconds. It fires when its metric is above a limit, and is well again when the metric is a
tenth below that, so that what goes up and down around the limit is told once. Its state is in the database, and changes
there by one statement: of several servers, one tells.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TypeAlias

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from .. import metrics
from ..errors import InvalidInput, NotFound, Stale
from ..hub.catalogue import owned
from ..hub.tables import MODELS, VERSIONS
from ..ports import Auditor, Caller
from ..store.database import Database
from . import counts, drift, feedback
from .tables import ALERTS

log = logging.getLogger(__name__)

Metric: TypeAlias = Literal["error_rate", "p95_ms", "drift_psi", "wrong_share"]
AlertState: TypeAlias = Literal["well", "firing"]

METRICS: tuple[Metric, ...] = ("error_rate", "p95_ms", "drift_psi", "wrong_share")
MOST = 16  # rules of a model
BELOW = 0.9  # of the limit: where it is well again
AGAIN = 600.0  # s after which a webhook that another server was to send is sent from here
SHORTEST, LONGEST = 60, 86400  # s that a rule looks back


class Post(Protocol):
    """As `Webhooks.post`."""

    def __call__(self, url: str, about: str, body: bytes, ended: Callable[[str, int], None], *,
                 message_id: str | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Rule:
    metric: Metric
    above: float
    over_s: int = 300
    min_requests: int = 10  # in that time; with fewer nothing changes. Of drift, samples; of wrong_share, people
    version: int | None = None  # None: all of the model's
    webhook: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    id: str
    rule: Rule
    state: AlertState
    value: float | None  # when the state began
    since: float  # s since the epoch
    detail: str  # why nobody could be told


@dataclass(frozen=True, slots=True)
class Seen:
    """A metric at this moment, and of how many requests it is."""

    value: float
    requests: int


class Alerts:
    def __init__(self, database: Database, clock: Callable[[], float], auditor: Auditor, by: Caller, post: Post
                 ) -> None:
        """`by` is who the audit log says it was, when a rule fires."""
        self._database, self._clock, self._auditor, self._by, self._post = database, clock, auditor, by, post
        self._on_their_way: set[str] = set()
        self._told: dict[str, tuple[float, str]] = {}  # since when, and why not, of those that were posted

    async def of(self, caller: Caller, name: str) -> list[Alert]:
        """For the model's owner."""
        async with self._database.read() as connection:
            model = await owned(connection, caller, name)
            rows = await connection.execute(select(ALERTS).where(ALERTS.c.model == model.id).order_by(ALERTS.c.place))
            return [_alert(row) for row in rows]

    async def put(self, caller: Caller, name: str, rules: Sequence[Rule], seen: int | None = None) -> list[Alert]:
        """In place of all that there are; a rule that there was keeps its state. With the `revision` that was `seen`,
        raises `Stale` where it is another by now."""
        if len(rules) > MOST:
            raise InvalidInput(f"at most {MOST} rules", field="rules")
        if len(set(rules)) < len(rules):
            raise InvalidInput("a rule is there twice", field="rules")
        async with self._database.begin() as connection:
            model = await owned(connection, caller, name)
            numbers = set(await connection.scalars(select(VERSIONS.c.number).where(VERSIONS.c.model == model.id)))
            for place, rule in enumerate(rules):
                if rule.version is not None and rule.version not in numbers:
                    raise NotFound(f"{name} has no version {rule.version}", field=f"rules[{place}].version")
            rows = await connection.execute(select(ALERTS).where(ALERTS.c.model == model.id).order_by(ALERTS.c.place))
            before = {alert.rule: alert for alert in map(_alert, rows)}
            if seen is not None and seen != revision(list(before.values())):
                raise Stale("somebody else changed the rules meanwhile: look at them again", field="If-Match")
            gone = [alert.id for rule, alert in before.items() if rule not in rules]
            await connection.execute(delete(ALERTS).where(ALERTS.c.id.in_(gone)))
            for place, rule in enumerate(rules):
                if rule in before:
                    await connection.execute(update(ALERTS).where(ALERTS.c.id == before[rule].id).values(place=place))
                else:
                    await connection.execute(insert(ALERTS).values(_row(model.id, place, rule, self._clock())))
        await self._auditor.write(caller, "model.alerts", name, rules=len(rules))
        return await self.of(caller, name)

    # looking ---------------------------------------------------------------------------------------

    async def look(self) -> int:
        """At all rules; answers how many are in another state now."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(ALERTS, MODELS.c.name.label("called")).join(
                MODELS, MODELS.c.id == ALERTS.c.model).order_by(ALERTS.c.model, ALERTS.c.place))).all()
            found = [(row, await self._seen(connection, row.model, _alert(row).rule)) for row in rows]
        changed = 0
        for row, seen in found:
            state = _state(_alert(row), seen)
            if seen is not None and state != row.state:
                changed += await self._change(row, state, seen)
            elif not row.told and self._clock() - row.since > AGAIN:
                self._tell(row, row.state, row.value, row.since)
        await self._note()
        return changed

    async def _seen(self, connection: AsyncConnection, model: str, rule: Rule) -> Seen | None:
        wanted = [VERSIONS.c.model == model] + ([] if rule.version is None else [VERSIONS.c.number == rule.version])
        versions = list(await connection.scalars(select(VERSIONS.c.id).where(*wanted)))
        now = self._clock()
        if rule.metric == "drift_psi":
            return await _drift(connection, versions, now, rule)
        if rule.metric == "wrong_share":
            given = await feedback.counted_by_people(connection, versions, now - rule.over_s)
            total = sum(given.values())
            return Seen(given["wrong"] / total, total) if total else None
        count = await counts.within(connection, versions, now - rule.over_s)
        if rule.metric == "error_rate":
            return Seen(count.errors / count.requests, count.requests) if count.requests else None
        ms = count.ms(0.95)
        return None if ms is None else Seen(ms, count.requests - count.errors - count.refused)

    async def _change(self, row: Any, state: AlertState, seen: Seen) -> bool:
        """Whether it was changed here, and not by another server."""
        now = self._clock()
        async with self._database.begin() as connection:
            done = await connection.execute(update(ALERTS).where(
                ALERTS.c.id == row.id, ALERTS.c.state == row.state).values(
                    state=state, value=seen.value, since=now, told=int(not row.webhook), detail=""))
        if not done.rowcount:
            return False
        metrics.MODEL_ALERTS.labels(state).inc()
        log.warning("%s of model %s is %s: %.4g", row.metric, row.called, state, seen.value)
        await self._auditor.write(self._by, f"model.alert.{state}", row.called, metric=row.metric, version=row.version,
                                  value=round(seen.value, 4), above=row.above)
        self._tell(row, state, seen.value, now)
        return True

    # telling ---------------------------------------------------------------------------------------

    def _tell(self, row: Any, state: str, value: float | None, since: float) -> None:
        message = f"msg_{row.id}_{int(since)}"  # the same when it is sent again
        if not row.webhook or message in self._on_their_way:
            return
        self._on_their_way.add(message)

        def ended(detail: str, attempts: int) -> None:
            self._on_their_way.discard(message)
            if attempts:  # else it is tried again
                self._told[row.id] = (since, detail)

        moment = datetime.fromtimestamp(since, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = {"type": f"model.alert.{state}", "timestamp": moment, "data": {
            "alert": row.id, "model": row.called, "version": row.version, "metric": row.metric, "state": state,
            "value": value, "above": row.above, "over_s": row.over_s}}
        self._post(row.webhook, f"alert {row.id}", json.dumps(body).encode(), ended, message_id=message)

    async def _note(self) -> None:
        """Keep what came of webhooks."""
        told, self._told = self._told, {}
        if not told:
            return
        async with self._database.begin() as connection:
            for alert, (since, detail) in told.items():
                await connection.execute(update(ALERTS).where(ALERTS.c.id == alert, ALERTS.c.since == since).values(
                    told=1, detail=detail[:1000]))


def revision(alerts: Sequence[Alert]) -> int:
    """Of the rules, whatever their states are."""
    told = json.dumps([asdict(alert.rule) for alert in alerts])
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:6], "big")


async def _drift(connection: AsyncConnection, versions: Sequence[str], now: float, rule: Rule) -> Seen | None:
    """Of the version that is furthest away, among those whose baseline is complete."""
    found: list[Seen] = []
    for version in versions:
        drifted = await drift.of(connection, version, now, max(rule.over_s, drift.HOUR))
        if drifted is not None and drifted.complete and drifted.psi is not None and drifted.recent >= rule.min_requests:
            found.append(Seen(drifted.psi, drifted.recent))
    return max(found, key=lambda seen: seen.value, default=None)


def _state(alert: Alert, seen: Seen | None) -> AlertState:
    if seen is None or seen.requests < alert.rule.min_requests:
        return alert.state
    if alert.state == "firing":
        return "well" if seen.value <= alert.rule.above * BELOW else "firing"
    return "firing" if seen.value > alert.rule.above else "well"


def _alert(row: Any) -> Alert:
    return Alert(row.id, Rule(row.metric, row.above, row.over_s, row.min_requests, row.version, row.webhook), row.state,
                 row.value, row.since, row.detail)


def _row(model: str, place: int, rule: Rule, now: float) -> dict[str, Any]:
    return {"id": f"alr_{secrets.token_urlsafe(12)}", "model": model, "place": place, "version": rule.version,
            "metric": rule.metric, "above": rule.above, "over_s": rule.over_s, "min_requests": rule.min_requests,
            "webhook": rule.webhook, "state": "well", "value": None, "since": now, "told": 1, "detail": ""}
