"""What we aim at, and whether a run meets it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Result = dict[str, Any]


@dataclass(frozen=True)
class Aim:
    text: str
    measured: str
    met: bool | None  # None: not measured


def aims(results: dict[str, Any]) -> list[Aim]:
    ours = results["subjects"].get("ours", {})
    return [*_clean(results, ours), *_bad(ours)]


def _of(ours: Result, group: str, label: str) -> Result | None:
    result: Result | None = ours.get(group, {}).get(label)
    return None if result is None or "error" in result else result


def _clean(results: dict[str, Any], ours: Result) -> Iterator[Aim]:
    echo = _of(ours, "echo", "480p")
    relay = _of(results["subjects"].get("aiortc", {}), "echo", "480p")
    video, audio = (echo or {}).get("video_ms"), (echo or {}).get("audio_ms")
    yield Aim("echo, video p50 / p95 <= 12 / 18 ms", f"{video['p50']} / {video['p95']} ms" if video else "–",
              video["p50"] <= 12 and video["p95"] <= 18 if video else None)
    yield Aim("echo, audio p50 <= 7 ms", f"{audio['p50']} ms" if audio else "–", audio["p50"] <= 7 if audio else None)
    share = echo["cpu"] / relay["cpu"] if echo and relay else None
    yield Aim("processor <= 0.70 of the relay's in the same run",
              f"{share:.2f} ({echo['cpu']} of {relay['cpu']} core)" if share and echo and relay else "–",
              share <= 0.70 if share else None)
    first = _of(ours, "first", "frame")
    yield Aim("POST to first picture <= 150 ms", f"{first['video_ms']} ms" if first else "–",
              first["video_ms"] <= 150 if first else None)
    slow = _of(ours, "handler", "200")
    drift = (slow or {}).get("drift_ms")
    yield Aim("drift with a 200 ms handler 0 ± 20 ms", f"{drift} ms" if drift is not None else "–",
              abs(drift) <= 20 if drift is not None else None)
    hd, floor = _of(ours, "hd", "720p"), results["floor"].get("720p", {}).get("total")
    high = (hd or {}).get("video_ms")
    yield Aim("1280x720, video p50 <= floor of the same run + 4 ms",
              f"{high['p50']} ms, floor {floor} ms" if high and floor else "–",
              high["p50"] <= floor + 4 if high and floor else None)


def _bad(ours: Result) -> Iterator[Aim]:
    five, plain = _of(ours, "loss", "5%"), _of(ours, "loss", "5% without FEC")
    yield Aim("5 % loss: frozen <= 5 % of the time", f"{100 * five['frozen']:.1f} %" if five else "–",
              five["frozen"] <= 0.05 if five else None)
    for result, name, limit in ((five, "when the sender sends FEC", 0.01), (plain, "without FEC", 0.055)):
        made_up = _made_up(result)
        yield Aim(f"5 % loss: sound concealed <= {100 * limit:g} % {name} (server's counter)",
                  f"{100 * made_up:.1f} %" if made_up is not None else "–",
                  made_up <= limit if made_up is not None else None)
    left = [value for value in ((five or {}).get(kind, {}).get("left_ms") for kind in ("video", "audio"))
            if value is not None]
    yield Aim("5 % loss: extra delay 3 s after <= 50 ms (video, audio)", _listed(left), _within(left, 50))
    jitter = _of(ours, "jitter", "100±30 ms")
    added = [value for value in ((jitter or {}).get(kind, {}).get("added_ms") for kind in ("video", "audio"))
             if value is not None]
    yield Aim("100±30 ms each way: added p50 <= 60 ms (video, audio)", _listed(added), _within(added, 60))
    yield Aim("100±30 ms each way: no freeze", f"{100 * jitter['frozen']:.1f} %" if jitter else "–",
              jitter["frozen"] == 0 if jitter else None)
    trip = _of(ours, "jitter", "20 ms, 1%")
    latch = [value for value in ((trip or {}).get(kind, {}).get("left_ms") for kind in ("video", "audio"))
             if value is not None]
    yield Aim("20 ms round trip, 1 % loss: no latch, left 3 s after <= 4 ms (video, audio)", _listed(latch),
              _within(latch, 4))
    added = [value for value in ((trip or {}).get(kind, {}).get("added_ms") for kind in ("video", "audio"))
             if value is not None]
    yield Aim("20 ms round trip, 1 % loss: added p50 <= 4 ms (video, audio)", _listed(added), _within(added, 4))


def _made_up(result: Result | None) -> float | None:
    """Share of the sound that was invented: everything but what FEC brought back."""
    shares = (result or {}).get("concealed_by_server")
    return None if shares is None else sum(share for name, share in shares.items() if name != "fec")


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:g} ms" for value in values) or "–"


def _within(values: list[float], limit: float) -> bool | None:
    return all(value <= limit for value in values) if values else None
