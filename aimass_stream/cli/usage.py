"""`aimass usage`: what was used of a server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from ..figures import short
from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json
from .tables import moment, table

if TYPE_CHECKING:
    from ..client.records import Percentiles

DAY = 86400.0  # s
BY = ("total", "key", "app", "model", "time")


def usage(
    by: Annotated[str, typer.Option(help=f"One of {', '.join(BY)}.", autocompletion=lambda: list(BY))] = "total",
    days: Annotated[float, typer.Option(min=0.01, help="How many, until now.")] = 1,
    of: Annotated[str | None, typer.Option(help="Whose: the id of a user, team, key or app.")] = None,
    most: Annotated[int, typer.Option(min=1, help="How many rows at most.")] = 100,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Show requests, sessions and delays: one's own, for an admin the whole server's."""
    now = time.time()
    found = asked(url, api_key, no_verify, lambda client: client.usage.find(
        by, since=now - days * DAY, until=now, of=of, most=most))
    if as_json:
        print_json(found)
        return
    table((by.capitalize(), "Requests", "Errors", "ms p50/p95/p99", "Sessions", "Minutes", "Dropped", "Frames ms",
           "First words ms"), [
        (moment(float(each.value)) if by == "time" and each.value else each.title or each.value, each.requests,
         each.errors, _shown(each.latency), each.sessions, f"{each.session_minutes:.1f}", each.drops,
         _shown(each.frame_latency), _shown(each.first_words_latency))
        for each in found], "Nothing was used.")


def _shown(latency: Percentiles | None) -> str:
    return "" if latency is None else " / ".join(map(short, (latency.p50, latency.p95, latency.p99)))
