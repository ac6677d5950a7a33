"""The section on delay: pictures are drawn with their numbers in a page, processed by the server, and shown there."""

from __future__ import annotations

from typing import Any

from tests.support.browser import Visitor

from ..aims import Aim
from ..platform.own import ours
from ..speech.section import NONE, Result, ms, table
from .page import FAILURES, chromium, failure, page, run, spread

ROUNDS, SECONDS, QUICK = 3, 20.0, 5.0
SETTLE = 4.0  # s, in which WebRTC finds the rate that the way can carry
MIRROR: list[dict[str, Any]] = [{"stage": "mirror"}]
WAYS: dict[str, tuple[str, str, list[dict[str, Any]]]] = {  # title; transport; pipeline
    "shown": ("not sent: the page's own track in the element", "", []),
    "loopback": ("two RTCPeerConnections of the page, no server", "", []),
    "webrtc, nothing": ("SDK by WebRTC, no stage", "webrtc", []),
    "webrtc, mirror": ("SDK by WebRTC, mirror", "webrtc", MIRROR),
    "websocket, nothing": ("SDK by websocket, no stage", "websocket", []),
    "websocket, mirror": ("SDK by websocket, mirror", "websocket", MIRROR),
}
AIMS = {"webrtc, mirror": (60, 90), "websocket, mirror": (90, 140)}  # ms, p50 and p95
MEASURE = """
  const { way, transport, pipeline, settle, seconds, mirrored } = given[0];
  const camera = bench.camera();
  let session = null, loop = null, track = camera.track;
  let away = Boolean(transport); // the unprocessed picture stands in
  if (transport) {
    session = await sdk.connect({ url: location.origin, transport, pipeline });
    session.on("away", (one) => (away = one.away));
    track = session.process(camera.track);
  } else if (way === "loopback") {
    loop = await bench.loopback(camera.track);
    track = loop.track;
  }
  await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("no picture came within 20 s")), 20_000);
    const stop = bench.look(bench.show("picture", track), (one) => {
      if (one.mirrored !== mirrored || away) return;
      clearTimeout(late);
      stop();
      resolve();
    });
  });
  await bench.pause(settle);
  const delays = [], before = camera.count();
  let newest = 0, last = 0, frozen = 0;
  const stop = bench.look(document.querySelector("video.picture"), ({ number, at, mirrored: turned }) => {
    const taken = camera.at(number);
    if (away || turned !== mirrored || taken <= newest) return; // it was shown before
    newest = taken;
    delays.push(at - taken);
    if (last) frozen = Math.max(frozen, at - last);
    last = at;
  });
  await bench.pause(seconds);
  stop();
  const drawn = camera.count() - before;
  const stats = session && (await session.stats());
  await session?.close();
  loop?.close();
  camera.stop();
  return { delays, drawn, frozen, transport: stats?.transport ?? "", codec: stats?.link?.codec ?? "",
    hops: stats?.server?.hops["video-0"] ?? {} };
"""


def run_section(quick: bool) -> Result:
    found: Result = {}
    with ours("embed") as server, chromium() as browser:
        for number in range(1 if quick else ROUNDS):
            for way in WAYS:
                try:
                    with page(browser, server.base) as visitor:
                        one = measure(visitor, way, QUICK if quick else SECONDS)
                    found.setdefault(way, []).append(one)
                    print(f"  {way}, round {number + 1}: {spread(one['delays'])}", flush=True)
                except FAILURES as error:
                    found.setdefault(way, []).append(failure(error))
                    print(f"  {way}, round {number + 1}: {found[way][-1]['error']}", flush=True)
    return {"ways": {way: together(rounds) for way, rounds in found.items()}}


def measure(visitor: Visitor, way: str, seconds: float, settle: float = SETTLE) -> Result:
    """One way's delays in ms, of new pictures alone."""
    _, transport, pipeline = WAYS[way]
    one: Result = run(visitor, MEASURE, {"way": way, "transport": transport, "pipeline": pipeline, "settle": settle,
                                         "seconds": seconds, "mirrored": pipeline == MIRROR})
    if one["transport"] != transport:
        raise ValueError(f"it went by {one['transport']}")
    return one


def together(rounds: list[Result]) -> Result:
    """All rounds of one way; one that failed fails it."""
    for one in rounds:
        if "error" in one:
            return one
    delays = [delay for one in rounds for delay in one["delays"]]
    last = rounds[-1]
    return {"delay": spread(delays), "share": round(len(delays) / max(1, sum(one["drawn"] for one in rounds)), 3),
            "frozen": round(max(one["frozen"] for one in rounds)), "codec": last["codec"],
            "server": last["hops"].get("total", {}).get("p50")}


def aims(result: Result) -> list[Aim]:
    found = []
    for way, (middle, most) in AIMS.items():
        one = result["ways"].get(way, {})
        text = f"{WAYS[way][0]}: drawn to shown, p50 / p95 <= {middle} / {most} ms"
        delay = one.get("delay")
        if not delay:
            found.append(Aim(text, one.get("error", NONE), None))
            continue
        found.append(Aim(text, f"{delay['p50']:.0f} / {delay['p95']:.0f} ms",
                         delay["p50"] <= middle and delay["p95"] <= most))
    return found


def tell(result: Result) -> str:
    rows = []
    for way, one in result["ways"].items():
        delay = one.get("delay")
        if not delay:
            rows.append([WAYS[way][0], one.get("error", "no picture"), *[NONE] * 5])
            continue
        rows.append([WAYS[way][0], f"{ms(delay['p50'])} / {ms(delay['p95'])} / {ms(delay['max'])}", delay["count"],
                     f"{one['share']:.0%}", one["frozen"], one["server"] or NONE, one["codec"] or NONE])
    return ("640x360 at 30/s. Each picture has its number drawn in it; its delay is from when it was handed out as a "
            "frame of the track to when Chromium says that it is on its way to the screen "
            "(requestVideoFrameCallback, which comes with the next picture of the screen, 60 a second: half of 17 ms "
            "is in each of them). Server, browser and everything else share the machine's cores. Each way by itself, "
            f"{ROUNDS} rounds in turns of {SECONDS:g} s behind {SETTLE:g} s to settle.\n\n"
            + table(["way", "p50 / p95 / longest, ms", "pictures", "of those drawn", "longest without a new one, ms",
                     "in the server, p50, ms", "codec"], rows)
            + "\n\n" + own_part(result["ways"]))


def own_part(ways: Result) -> str:
    """What of WebRTC's delay is not ours."""
    middles = {way: one["delay"]["p50"] for way, one in ways.items() if one.get("delay")}
    if not {"shown", "loopback", "webrtc, nothing", "webrtc, mirror"} <= set(middles):
        return "WebRTC's own part could not be told: one of the ways above has no figure."
    shown, loop, nothing, mirror = (middles[way] for way in ("shown", "loopback", "webrtc, nothing", "webrtc, mirror"))
    return (f"WebRTC's own part, of medians: showing takes {shown:.0f} ms without any sending; Chromium's encoder, "
            f"jitter buffer and decoder {loop - shown:.0f} ms more, once from page to page; the way over the server, "
            f"which decodes, encodes and sends once more, {nothing - loop:.0f} ms; the stage "
            f"{mirror - nothing:.0f} ms.")
