"""Weights that are fetched while the server runs: the default set on first start, and what an operator asks for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from ..errors import AimassError
from ..events import DownloadProgress
from ..settings import Settings
from .catalogue import Weights, catalogue, checked, folder_of
from .hub import Hub
from .pulling import pull, state

log = logging.getLogger(__name__)

ANSWER = 3.0  # s a hub has to answer on first start
EVERY = 1.0  # s between two pieces of news of one download


class Fetcher:
    """One download at a time; `tell` is called with its progress, at most once a second, on the loop."""

    def __init__(self, settings: Settings, tell: Callable[[DownloadProgress], None] = lambda news: None) -> None:
        self.hub = Hub(settings.hub)
        self.folder = folder_of(settings)
        self.news: dict[str, DownloadProgress] = {}  # the last of each
        self._settings, self._tell = settings, tell
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()
        self._told = 0.0

    async def start(self) -> None:
        """Begin to look for the default set; nothing waits for it."""
        if self._settings.fetch and self._settings.hub:
            self._run("", self._first_start())

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def begin(self, name: str) -> DownloadProgress:
        """Fetch these weights; answers what is known of them. Raises `NotFound` or `InvalidInput`."""
        weights = checked(name)
        if name not in self._tasks and state(weights, self.folder) != "ready":
            self._say(DownloadProgress(name=name, done=0, total=weights.size, state="running"))
            self._run(name, self._fetch(weights))
        return self.news.get(name) or DownloadProgress(name=name, done=0, total=weights.size, state="ready")

    def describe(self) -> list[dict[str, Any]]:
        """Every entry of the catalogue with its state. Looks at files."""
        return [{"name": each.name, "title": each.title, "for": each.purpose, "description": each.description,
                 "languages": list(each.languages), "licence": each.licence, "source": each.source, "bytes": each.size,
                 "default": each.default, "usable": each.usable, "needs": each.needs,
                 "state": "running" if each.name in self._tasks else state(each, self.folder),
                 "progress": self.news[each.name].model_dump() if each.name in self.news else None}
                for each in catalogue().values()]

    async def _first_start(self) -> None:
        wanted = [each for each in catalogue().values() if each.default and each.usable]
        missing = await asyncio.to_thread(lambda: [each for each in wanted if state(each, self.folder) != "ready"])
        if not missing:
            return
        try:
            async with asyncio.timeout(ANSWER):
                await self.hub.files(missing[0])
        except (TimeoutError, AimassError) as error:
            log.info("no weights are fetched, for the hub does not answer (%s): what is here works without them",
                     str(error) or f"within {ANSWER:g} s")
            return
        log.info("fetching %s in the background from %s; AIMASS_FETCH=false forbids it",
                 ", ".join(f"{each.name} ({(each.size or 0) / 1e6:.0f} MB)" for each in missing), self.hub.url)
        for each in missing:
            self.begin(each.name)

    def _run(self, name: str, work: Any) -> None:
        task = self._tasks[name] = asyncio.create_task(work, name=f"weights {name}")
        task.add_done_callback(lambda _: self._tasks.pop(name, None))

    async def _fetch(self, weights: Weights) -> None:
        name = weights.name

        tenths = 0

        def told(done: int, total: int | None) -> None:
            nonlocal tenths
            if total and done * 10 // total > tenths:
                tenths = done * 10 // total
                log.info("%s: %d %% of %.0f MB", name, tenths * 10, total / 1e6)
            self._say(DownloadProgress(name=name, done=done, total=total, state="running"))

        try:
            async with self._turn:
                await pull(weights, self.folder, self.hub, told)
        except AimassError as error:
            log.warning("%s could not be fetched: %s", name, error.detail)
            last = self.news[name]
            self._say(last.model_copy(update={"state": "failed", "detail": error.detail}))
            return
        done = self.news[name].done
        log.info("%s is here: sessions that begin now use it", name)
        self._say(DownloadProgress(name=name, done=done, total=done, state="ready"))

    def _say(self, news: DownloadProgress) -> None:
        last = self.news.get(news.name)
        self.news[news.name] = news
        now = time.monotonic()
        if last is None or last.state != news.state or now - self._told >= EVERY:
            self._told = now
            self._tell(news)
