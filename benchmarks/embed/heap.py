"""The section on memory: a page that connects and closes a hundred times."""

from __future__ import annotations

import json
import time
from typing import Any

import psutil

from tests.support.browser import Visitor

from ..aims import Aim
from ..platform.own import ours
from ..speech.section import NONE, Result, table
from .page import FAILURES, TRANSPORTS, chromium, failure, page, run

FIRST, LAST = 20, 100  # connections, after which it is looked at
QUICK = (5, 15)
MORE = 1.05  # times the heap after the first look, at the second one
COLLECTIONS = 5  # a stream that is closed goes in more than one step

CONNECT = """
  const [transport, count] = given;
  for (let n = 0; n < count; n++) {
    const session = await sdk.connect({ url: location.origin, transport, pipeline: [{ stage: "mirror" }] });
    let late; // it would keep the session until then
    const came = new Promise((resolve, reject) => {
      session.on("away", ({ kind, away }) => kind === "video" && !away && resolve());
      late = setTimeout(() => reject(new Error("no picture came within 20 s")), 20_000);
    });
    const video = bench.show("picture", session.process(camera.track));
    session.process(beeper.track);
    await came;
    clearTimeout(late);
    await session.close();
    video.srcObject = null;
  }
  peers.length = sockets.length = 0;
"""


def run_section(quick: bool) -> Result:
    result: Result = {}
    first, last = QUICK if quick else (FIRST, LAST)
    with ours("embed") as server, chromium() as browser:
        for transport in TRANSPORTS:
            try:
                with page(browser, server.base) as visitor:
                    result[transport] = measure(visitor, transport, first, last)
            except FAILURES as error:
                result[transport] = failure(error)
            print(f"  {transport}: {result[transport]}", flush=True)
        left = len(json.loads(server.get("/v1/sessions"))["sessions"])
    return {"transports": result, "sessions_left": left}


def measure(visitor: Visitor, transport: str, first: int, last: int) -> Result:
    run(visitor, "window.camera = bench.camera(); window.beeper = await bench.beeper();")
    looks: list[Result] = []
    for count in (first, last - first):
        began = time.monotonic()
        run(visitor, CONNECT, transport, count)
        looks.append({"connections": count + (looks[0]["connections"] if looks else 0),
                      "seconds": round((time.monotonic() - began) / count, 2), **weigh(visitor)})
    return {"looks": looks}


def weigh(visitor: Visitor) -> Result:
    """What is there after garbage has been collected: bytes of JavaScript's heap, nodes and listeners of the page, and
    megabytes of the browser's processes together."""
    visitor.page.wait_for_timeout(1000)  # what was closed is taken apart behind the page
    cdp = visitor.context.new_cdp_session(visitor.page)
    cdp.send("HeapProfiler.enable")
    for _ in range(COLLECTIONS):
        cdp.send("HeapProfiler.collectGarbage")
        visitor.page.wait_for_timeout(100)
    heap, counts = cdp.send("Runtime.getHeapUsage"), cdp.send("Memory.getDOMCounters")
    cdp.detach()
    return {"heap": int(heap["usedSize"]), "nodes": counts["nodes"], "listeners": counts["jsEventListeners"],
            "browser_mb": round(browser_bytes() / 1e6)}


def browser_bytes() -> int:
    """Of what this process has started of Chromium; pages that several share count for each."""
    return sum(one.memory_info().rss for one in psutil.Process().children(recursive=True) if "chrom" in one.name())


def aims(result: Result) -> list[Aim]:
    found = []
    for transport, one in result["transports"].items():
        text = f"{transport}: heap after {LAST} connections as after {FIRST}, within {MORE - 1:.0%}"
        if "error" in one:
            found.append(Aim(text, one["error"], None))
            continue
        before, after = one["looks"]
        counts = f" (after {before['connections']} and {after['connections']})"
        found.append(Aim(text, f"{before['heap'] / 1e6:.2f} and {after['heap'] / 1e6:.2f} MB" + counts,
                         after["heap"] <= MORE * before["heap"]))
    return found


def tell(result: Result) -> str:
    rows: list[list[Any]] = []
    for transport, one in result["transports"].items():
        if "error" in one:
            rows.append([transport, one["error"], *[NONE] * 5])
            continue
        for look in one["looks"]:
            rows.append([transport, look["connections"], f"{look['heap'] / 1e6:.2f}", look["nodes"], look["listeners"],
                         look["browser_mb"], look["seconds"]])
    return ("One page that connects, has its picture and its sound processed until the first picture is back, and "
            "closes, again and again. JavaScript's heap is that of the page after garbage was collected (CDP "
            "HeapProfiler); the browser's memory is the resident size of all its processes together, for which "
            "there is no aim. "
            f"Sessions left on the server: {result['sessions_left']}.\n\n"
            + table(["by", "connections", "heap, MB", "nodes", "listeners", "browser, MB", "s each"], rows))
