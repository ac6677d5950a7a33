"""The measurements. Each takes a server (or starts its own) and answers plain numbers for results.json.

The server has core 0 to itself; clients, the proxy and this process share core 1.
"""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from .driver import Client, Proxy, Session
from .figures import between, difference, frozen, median_ms, new_pictures, percentiles, series
from .servers import OURS, Server, Subject, serving

Result = dict[str, Any]
# a ramp is to find what the core holds and not where our own admission would stop it
UNLIMITED = {"AIMASS_MAX_SESSIONS": "64", "AIMASS_MAX_LOAD": "1", "AIMASS_MAX_LOOP_LAG": "10"}
LEFT_AFTER = 3.0  # s after an impairment ends at which its remains are measured


@dataclass(frozen=True)
class Lengths:
    """Seconds of each measurement."""

    settle: float = 1.5
    echo: float = 4.0
    echoes: int = 3  # sessions: in some servers the delay depends on how a session happened to start
    handler: float = 4.0
    slow: float = 11.0
    alone: float = 3.0
    neighbour: float = 4.0
    base: float = 1.5
    impaired: float = 6.5
    after: float = 4.0
    first: int = 4  # times
    ramp_steps: int = 12
    ramp: float = 2.5


QUICK = Lengths(settle=1, echo=3, echoes=1, slow=6, base=1, impaired=4, after=4, first=1)


def echo(server: Server, lengths: Lengths, width: int, height: int, audio: bool = True) -> Result:
    """Delay, processor and memory of one session, of several one after the other."""
    idle = server.usage()
    times: list[Any] = []
    pictures, sounds, medians, used, missed = [], [], [], [], [0, 0]
    with Client() as client:
        for _ in range(lengths.echoes):
            with client.session(server, width=width, height=height, audio=audio) as session:
                session.wait_first()
                time.sleep(lengths.settle)
                before = server.usage()
                time.sleep(lengths.echo)
                after = server.usage()
                time.sleep(0.4)  # what was sent at the end has to come back
                report = session.report(before.at, after.at, audio)
            shown, delays = new_pictures(report["video"])
            times.append(shown - before.at + len(times) * lengths.echo)
            pictures.append(delays)
            medians.append(median_ms(delays))
            used.append((after.cpu - before.cpu) / (after.at - before.at))
            if "audio" in report:
                sounds.append(np.array(report["audio"]["delay"]))
                missed[0] += report["audio"]["missed"]
                missed[1] += report["audio"]["sent"] - report["audio"]["excused"]
    result: Result = {
        "video_ms": percentiles(np.concatenate(pictures)), "video_p50s_ms": medians,
        "pictures_per_s": round(sum(map(len, pictures)) / lengths.echo / lengths.echoes, 1),
        "cpu": round(float(np.mean(used)), 3), "memory_mib": _mib(after.pss - idle.pss),
        "idle_pss_mib": _mib(idle.pss), "rss_mib": _mib(after.rss),
        "video_series": series(np.concatenate(times), np.concatenate(pictures), 0.0)}
    if sounds:
        result["audio_ms"] = percentiles(np.concatenate(sounds))
        result["audio_missed"] = _share(missed[0], missed[1])
    return result


def first(server: Server, lengths: Lengths) -> Result:
    """From the POST of the offer to the first picture and the first sound that came back."""
    pictures, answers, sounds = [], [], []
    with Client() as client:
        for _ in range(lengths.first):
            with client.session(server) as session:
                session.wait_first()
                time.sleep(0.3)
                times = session.report(0, 0)["times"]
                pictures.append(times["first_video"] - times["post"])
                answers.append(times["answer"] - times["post"])
                if "first_audio" in times:
                    sounds.append(times["first_audio"] - times["post"])
            time.sleep(0.3)
    return {"video_ms": median_ms(np.array(pictures)), "worst_video_ms": round(max(pictures) * 1000, 1),
            "answer_ms": median_ms(np.array(answers)), "audio_ms": median_ms(np.array(sounds))}


def handler(server: Server, lengths: Lengths, ms: float) -> Result:
    """A handler that takes `ms` for every picture: the delay, and whether it grows."""
    seconds = lengths.slow if ms >= 100 else lengths.handler
    with Client() as client, client.session(server, handler_ms=ms) as session:
        session.wait_first()
        time.sleep(1.0)
        begun = time.monotonic()
        time.sleep(seconds)
        ended = time.monotonic()
        report = session.report(begun, ended, audio=True)
    times, delays = new_pictures(report["video"])
    early = between(times, delays, begun, begun + 2)
    late = between(times, delays, ended - 2, ended)
    result: Result = {
        "video_ms": percentiles(delays), "early_ms": median_ms(early), "late_ms": median_ms(late),
        "drift_ms": difference(median_ms(late), median_ms(early)), "seconds": seconds,
        "pictures_per_s": round(len(times) / (ended - begun), 1), "series": series(times, delays, begun)}
    sound = report.get("audio")
    if sound:
        result["audio_ms"] = percentiles(np.array(sound["delay"]))
        result["audio_right"] = _share(sound["right"], sound["received"])
    return result


def neighbour(server: Server, lengths: Lengths) -> Result:
    """An echo session's delay while another session of the same server has a handler of 200 ms."""
    with Client() as client, client.session(server) as session:
        session.wait_first()
        time.sleep(lengths.settle)
        begun = time.monotonic()
        time.sleep(lengths.alone)
        alone = time.monotonic()
        with Client() as other, other.session(server, handler_ms=200, keep_audio=False) as second:
            second.wait_first()
            time.sleep(1.0)
            beside = time.monotonic()
            time.sleep(lengths.neighbour)
            ended = time.monotonic()
        report = session.report(begun, ended, audio=True)
    times, delays = new_pictures(report["video"])
    sound = report["audio"]
    heard, late = np.array(sound["at"]), np.array(sound["delay"])
    return {"alone_ms": percentiles(between(times, delays, begun, alone)),
            "beside_ms": percentiles(between(times, delays, beside, ended)),
            "alone_audio_ms": percentiles(between(heard, late, begun, alone)),
            "beside_audio_ms": percentiles(between(heard, late, beside, ended))}


def ramp(subject: Subject, lengths: Lengths, start: int) -> Result:
    """Add sessions one by one until a session's p95 is over 150 ms or it loses more than a tenth of its pictures."""
    steps: list[Result] = []
    most, reason = 0, "the ramp's end"
    with ExitStack() as stack:
        server = stack.enter_context(serving(subject, environment=UNLIMITED))
        idle = server.usage()
        clients = [stack.enter_context(Client()) for _ in range(3)]
        sessions: list[Session] = []

        def more(count: int) -> None:
            while len(sessions) < count:
                client = clients[len(sessions) % len(clients)]
                sessions.append(stack.enter_context(client.session(server, patience=0, keep_audio=False)))
                sessions[-1].wait_first()

        for step in range(lengths.ramp_steps):
            try:
                more(start + step)
            except (ConnectionError, TimeoutError) as error:
                reason = f"session {len(sessions) + 1} was refused: {error}"
                break
            for _ in range(2):  # a step that is too slow gets a second chance: it may have been the newcomer's start
                time.sleep(1.0)
                one = _step(server, clients, sessions, lengths.ramp)
                if _held(one):
                    break
            one["pss_mib_per_session"] = _mib((server.usage().pss - idle.pss) // len(sessions))
            steps.append(one)
            if not _held(one):
                reason = f"p95 {one['worst_p95_ms']} ms, {one['fewest_per_s']} pictures/s"
                break
            most = len(sessions)
    if not most and start > 1:
        return ramp(subject, lengths, max(1, start - 2))
    limited = bool(steps) and steps[-1]["client_cpu"] > 0.9
    return {"sessions": most, "ended_by": reason, "client_limited": limited, "steps": steps}


def _held(step: Result) -> bool:
    worst: float | None = step["worst_p95_ms"]
    return worst is not None and worst < 150 and step["fewest_per_s"] >= 27


def _step(server: Server, clients: list[Client], sessions: list[Session], seconds: float) -> Result:
    before, busy = server.usage(), [client.load() for client in clients]
    time.sleep(seconds)
    after, still = server.usage(), [client.load() for client in clients]
    reports = [session.report(before.at, after.at) for session in sessions]
    shown = [new_pictures(report["video"]) for report in reports]
    p95 = [float(np.percentile(delays, 95)) * 1000 if len(delays) else None for _, delays in shown]
    lost = any(value is None for value in p95)
    took = after.at - before.at
    return {
        "sessions": len(sessions), "worst_p95_ms": None if lost else round(max(v for v in p95 if v is not None), 1),
        "p50_ms": median_ms(np.concatenate([delays for _, delays in shown])),
        "fewest_per_s": round(min(len(times) for times, _ in shown) / took, 1),
        "cpu": round((after.cpu - before.cpu) / took, 2),
        "client_cpu": round(sum((b[0] - a[0]) / (b[1] - a[1]) for a, b in zip(busy, still, strict=True)), 2)}


def impaired(server: Server, lengths: Lengths, *, loss: float = 0, delay: float = 0, jitter: float = 0,
             fec: bool = True, seed: int = 1) -> Result:
    """A clean link, then a bad one, then a clean one again."""
    with (Proxy(server) as proxy, Client() as client,
          client.session(server, url=proxy.url, live=True, fec=fec, rtt=2 * delay) as session):
        session.wait_first()
        time.sleep(1.0)
        begun = time.monotonic()
        time.sleep(lengths.base)
        concealed = _concealed(server)
        bad = proxy.impair(loss, delay, jitter, seed)
        time.sleep(lengths.impaired)
        again = proxy.impair()
        made_up = _minus(_concealed(server), concealed)
        time.sleep(lengths.after)
        ended = time.monotonic()
        settled = bad + min(1.5, lengths.impaired / 3) if delay else bad + 0.2
        report = session.report(begun, ended, audio=True)
        during = session.report(settled, again, audio=True)
        lost = proxy.counts()[-1]
    times, delays = new_pictures(report["video"])
    sound, middle = report.get("audio"), during.get("audio")
    heard, late = (np.array(sound["at"]), np.array(sound["delay"])) if sound else (np.zeros(0), np.zeros(0))
    after = again + LEFT_AFTER
    result: Result = {
        "loss": loss, "delay_ms": delay * 1000, "jitter_ms": jitter * 1000, "fec": fec, "datagrams": lost,
        "seconds": round(again - bad, 2),
        "frozen": round(frozen(times, settled, again), 4), "frozen_clean": round(frozen(times, begun, bad), 4),
        "video": _phases(times, delays, (begun, bad, settled, again, after, ended), delay),
        "audio": _phases(heard, late, (begun, bad, settled, again, after, ended), delay),
        "client": {key: report[key] for key in ("asked_again", "given_up", "key_requests_sent", "key_requests_got",
                                                "unreadable")},
        "series": series(times, delays, bad), "audio_series": series(heard, late, bad)}
    if middle:
        result["audio_missed"] = _share(middle["missed"], middle["sent"] - middle["excused"])
        result["audio_wrong"] = round(1 - (_share(middle["right"], middle["received"]) or 0), 4)
    if made_up is not None:
        result["concealed_by_server"] = {name: round(samples / 48000 / (again - bad), 4)
                                         for name, samples in made_up.items()}
    return result


def _phases(times: Any, delays: Any, moments: tuple[float, ...], delay: float) -> Result:
    """Medians before, during and after, in ms; `added` is beyond the base delay and the link's own."""
    begun, bad, settled, again, after, ended = moments
    base = median_ms(between(times, delays, begun, bad))
    during = between(times, delays, settled, again)
    added = difference(median_ms(during), base)
    left = median_ms(between(times, delays, after, ended))
    return {"base_ms": base, "during_ms": percentiles(during), "after_ms": left,
            "added_ms": None if added is None else round(added - 2000 * delay, 1), "left_ms": difference(left, base)}


def _concealed(server: Server) -> dict[str, float] | None:
    """Samples our server made up so far, by method, as its /metrics tell; None for another server."""
    if server.subject.name != OURS:
        return None
    text = server.get("/metrics").decode()
    found = re.findall(r'^aimass_concealed_samples_total\{method="(\w+)"\} (\S+)', text, re.MULTILINE)
    return {method: float(value) for method, value in found}


def _minus(after: dict[str, float] | None, before: dict[str, float] | None) -> dict[str, float] | None:
    if after is None or before is None:
        return None
    return {name: value - before.get(name, 0) for name, value in after.items()}


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def _mib(size: float) -> float:
    return round(size / 2**20, 1)
