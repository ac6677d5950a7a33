"""Work that takes longer than a request: it waits its turn, runs in a niced child process without network, tells how
far it is, can be ended at any time, and its result is kept for a while.

    jobs = Jobs(settings)
    work = Work(paint, (number, params), limits, files=(number,))
    job = jobs.add("style-video", work, owner=caller.name, name="painted.mp4", media_type="video/mp4")
    async for _ in jobs.watch(job, 10): ...      # each time that something about it is new

Everything is bounded by settings and counted. The jobs live in this process: one that is killed forgets them, and their
files, which have no name, are gone with it.
"""

from __future__ import annotations

from .board import Job, Jobs, Work
from .report import Preview, Progress, report

__all__ = ["Job", "Jobs", "Preview", "Progress", "Work", "report"]
