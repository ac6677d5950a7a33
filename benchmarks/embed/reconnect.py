"""The section on coming back: a connection that is cut, and a server that is killed and started again."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser

from tests.support.browser import Visitor

from ..aims import Aim
from ..platform.own import ENVIRONMENT, folder, kill
from ..servers import OURS, SUBJECTS, Server
from ..speech.section import NONE, Result, table
from .page import FAILURES, TRANSPORTS, chromium, failure, page, run
from .relay import Relay

CUTS, QUICK_CUTS = 10, 3
KILLS, QUICK_KILLS = 4, 1
BETWEEN = 3.0  # s of calm before each
BACK = 1000.0  # ms
PATIENCE = 60.0  # s that a picture may take to come back
FRESH = 2000.0  # ms of the record behind the picture that came back
POLICIES = {"as it comes": "sdk.patientRetry",
            "every 0.25 s": "(tries, error) => (sdk.patientRetry(0, error) === null ? null : 0.25)"}

# what is mirrored is processed; a picture the right way round stands in for it
BEGIN = """
  const [transport] = given;
  const retry = POLICY;
  window.camera = bench.camera();
  window.beeper = await bench.beeper();
  window.told = [];
  window.shown = [];
  window.session = await sdk.connect({ url: location.origin, transport, retry,
    pipeline: [{ stage: "mirror" }, { stage: "level", rate: 50 }] });
  for (const name of ["event", "epoch", "status", "missed"]) {
    session.on(name, (what) => told.push({ name, at: bench.now(), what }));
  }
  session.process(beeper.track);
  bench.look(bench.show("picture", session.process(camera.track)), ({ number, mirrored, at }) => {
    const taken = camera.at(number);
    if (!shown.length || taken > shown.at(-1).taken) shown.push({ at, taken, mirrored });
  });
"""
PROCESSED = "shown.length && shown.at(-1).mirrored && session.status.state === 'live'"
# pictures that were taken since then: by the server, or in its place
RECORD = """
  const [since] = given;
  return shown.filter(({ at, taken }) => at > since && taken > since).map(({ at, mirrored }) => [at, mirrored]);
"""
CUT = {"websocket": "", "webrtc": "peers.at(-1).close();"}
EVENTS = """
  const sessions = [];
  let missed = 0;
  for (const { name, what } of told) {
    if (name === "epoch" && !what.resumed) sessions.push([]);
    if (name === "event") sessions.at(-1).push(what.seq);
    if (name === "missed") missed += what;
  }
  return { sessions, missed };
"""


class Started(Server):
    """A server, and when it was ready to be asked: s since 1970."""

    ready = 0.0

    def _wait(self, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError, httpx.HTTPError):
                socket.create_connection(("127.0.0.1", self.port), 0.5).close()  # cheaper to ask while nobody listens
                if httpx.get(f"{self.base}/readyz", timeout=5).is_success:
                    self.ready = time.time()
                    return
            time.sleep(0.005)
        raise ConnectionError(f"the server did not start: {self.tail()}")


def started(place: Path) -> Started:
    return Started(SUBJECTS[OURS], environment=ENVIRONMENT | {"AIMASS_DATA_DIR": str(place)}, core=None)


def run_section(quick: bool) -> Result:
    result: Result = {"cuts": {}, "kills": {}}
    with chromium() as browser:
        for transport in TRANSPORTS:
            result["cuts"][transport] = told(f"cut, {transport}", cuts, browser, transport,
                                             QUICK_CUTS if quick else CUTS)
        for transport in TRANSPORTS:
            for policy in POLICIES:
                result["kills"][f"{transport}, {policy}"] = told(
                    f"kill, {transport}, {policy}", kills, browser, transport, QUICK_KILLS if quick else KILLS, policy)
    return result


def told(name: str, work: Any, *given: Any) -> Result:
    try:
        found: Result = work(*given)
    except FAILURES as error:
        found = failure(error)
    print(f"  {name}: {found}"[:400], flush=True)
    return found


@contextlib.contextmanager
def visiting(browser: Browser, transport: str, policy: str) -> Iterator[tuple[Visitor, Relay, list[Started], Path]]:
    """A page with a session behind a relay; the last of the servers runs."""
    place = folder("embed")
    servers = [started(place)]
    try:
        with Relay(servers[0].port).running() as relay, page(browser, relay.url) as visitor:
            run(visitor, BEGIN.replace("POLICY", POLICIES[policy]), transport)
            visitor.until(PROCESSED, PATIENCE)
            yield visitor, relay, servers, place
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(place, ignore_errors=True)


def cuts(browser: Browser, transport: str, count: int, policy: str = "as it comes") -> Result:
    """Of each: ms until the processed picture was back, and until something else stood in."""
    with visiting(browser, transport, policy) as (visitor, relay, _, _):
        found = []
        for _ in range(count):
            visitor.page.wait_for_timeout(BETWEEN * 1000)
            visitor.until(PROCESSED, PATIENCE)
            since = float(run(visitor, f"const at = bench.now(); {CUT[transport]} return at;"))
            if transport == "websocket":
                since = time.time() * 1000
                relay.cut()
            found.append(one(visitor, since))
        return together(found) | whole(run(visitor, EVENTS))


def kills(browser: Browser, transport: str, count: int, policy: str) -> Result:
    """The same for a server that is killed and started again at once; `after_ready`: since it could be asked."""
    with visiting(browser, transport, policy) as (visitor, relay, servers, place):
        found = []
        for _ in range(count):
            visitor.page.wait_for_timeout(BETWEEN * 1000)
            visitor.until(PROCESSED, PATIENCE)
            since = time.time() * 1000
            kill(servers[-1])
            servers.append(started(place))
            relay.port = servers[-1].port
            found.append(one(visitor, since, servers[-1].ready * 1000))
        return together(found) | whole(run(visitor, EVENTS))


def one(visitor: Visitor, since: float, ready: float | None = None) -> Result:
    """What was shown after a cut at `since`, ms since 1970."""
    epoch = "" if ready is None else f" && told.some(({{ name, at }}) => name === 'epoch' && at > {since})"
    visitor.until(f"shown.some(({{ taken, mirrored, at }}) => mirrored && taken > {ready or since})"
                  f" && bench.now() > {since + FRESH}{epoch}", PATIENCE)
    return judged(run(visitor, RECORD, since), since, ready)


def judged(record: list[list[Any]], since: float, ready: float | None = None) -> Result:
    """`record`: when each picture was shown, and whether it was processed.

    Processed pictures that were still on their way at the cut came before anything stood in, or before it was noticed.
    """
    raw = [at for at, mirrored in record if not mirrored]
    begin = raw[0] if raw else (ready or since)
    back = next((at for at, mirrored in record if mirrored and at > begin), None)
    times = [since, *(at for at, _ in record if back is None or at <= back)]
    return {"back": None if back is None else back - since,
            "after_ready": None if back is None or ready is None else max(0.0, back - ready),
            "raw": raw[0] - since if raw else None, "raws": len(raw),
            "gap": max((after - before for before, after in itertools.pairwise(times)), default=None)}


def together(found: list[Result]) -> Result:
    """The middle and the worst, ms."""
    result: Result = {"count": len(found)}
    for name in ("back", "after_ready", "raw", "gap"):
        values = sorted(one[name] for one in found if one[name] is not None)
        result[name] = [round(values[len(values) // 2]), round(values[-1])] if values else None
    result["stood_in"] = sum(one["raws"] > 0 for one in found)
    return result


def whole(events: Result) -> Result:
    """Whether the events of each session, which are numbered from 1, came each once and in order."""
    lost = doubled = 0
    for seqs in events["sessions"]:
        last = 0
        for seq in seqs:
            lost += max(0, seq - last - 1)
            doubled += seq <= last
            last = max(last, seq)
    return {"events": sum(len(seqs) for seqs in events["sessions"]), "sessions": len(events["sessions"]),
            "lost": max(lost, events["missed"]), "doubled": doubled}


def aims(result: Result) -> list[Aim]:
    found = []
    for transport, one in result["cuts"].items():
        found.append(limit(f"{transport} cut: picture back in <= 1 s, the slowest", one, "back"))
        found.append(Aim(f"{transport} cut: no event lost or doubled",
                         one.get("error") or f"{one['lost']} lost, {one['doubled']} doubled of {one['events']}",
                         None if "error" in one or not one["events"] else not (one["lost"] or one["doubled"])))
    for way, one in result["kills"].items():
        found.append(limit(f"server killed and restarted ({way}): picture back <= 1 s after it is ready, the slowest",
                           one, "after_ready"))
    both = [one for one in (*result["cuts"].values(), *result["kills"].values()) if "error" not in one]
    killed = [one for one in result["kills"].values() if "error" not in one]
    without = sum(one["count"] - one["stood_in"] for one in killed)
    longest = max((one["gap"][1] for one in both if one["gap"]), default=None)
    times = sum(one["count"] for one in killed)
    found.append(Aim("raw track while the server is away", f"{without} of {times} times it was not; "
                     f"longest without a new picture {longest or NONE} ms", without == 0 if killed else None))
    return found


def limit(text: str, one: Result, name: str) -> Aim:
    if "error" in one or not one[name]:
        return Aim(text, one.get("error", NONE), None)
    return Aim(text, f"{one[name][1]} ms", one[name][1] <= BACK)


def tell(result: Result) -> str:
    rows = []
    for title, group in (("cut", result["cuts"]), ("killed", result["kills"])):
        for way, one in group.items():
            if "error" in one:
                rows.append([title, way, one["error"], *[NONE] * 7])
                continue
            rows.append([title, way, one["count"], *(pair(one[name]) for name in ("back", "after_ready", "raw", "gap")),
                         one["stood_in"], f"{one['events']} of {one['sessions']}", f"{one['lost']} / {one['doubled']}"])
    return ("A page with a session that mirrors its picture and measures its sound 50 times a second, so that events "
            "flow all the time. Cut: by websocket, the TCP connection is taken away under it; by WebRTC, its "
            "connection ends in the page, because datagrams have no connection to cut. Killed: SIGKILL, and the "
            "server is "
            "started again at once, with the same data, behind the same address; it is ready when /readyz says "
            "so. A new "
            "session is begun then, whose events begin with 1. Middle and slowest of each, ms, from when it was done; "
            "pictures that were taken before do not count. `every 0.25 s` is a policy of one line in place of "
            "the usual one: "
            f"`retry: {POLICIES['every 0.25 s']}`.\n\n"
            + table(["what", "by, policy", "times", "processed picture back", "after the server was ready",
                     "something stands in", "longest without a new picture", "times it stood in", "events of sessions",
                     "lost / doubled"], rows))


def pair(values: list[int] | None) -> str:
    return NONE if not values else f"{values[0]} / {values[1]}"
