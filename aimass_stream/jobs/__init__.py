"""Work that takes longer than a request: it waits its turn, runs in a niced child process without network, tells how
far it is, can be ended at any time, and its result is kept for a while.

    jobs.register("style-video", make)           # make(payload) -> Work(paint, (number,), limits, files=(number,))
    await jobs.start()
    job = await jobs.begin("style-video", {"video": sha256}, owner=caller.name, blobs=[sha256], name="painted.mp4")
    async for news in jobs.watch(job, 10): ...   # each time that something about it is new

Everything is bounded by settings and counted. Jobs outlive the process: what waits or runs when one stops, or is
killed, is begun again by the next, or by another that has the same database.
"""

from __future__ import annotations

from .board import Job, Jobs
from .report import Preview, Progress, report
from .run import Here, Work

__all__ = ["Here", "Job", "Jobs", "Preview", "Progress", "Work", "report"]
