"""The section on style transfer through WebRTC: sessions held at full rate, and the delay that painting adds."""

from __future__ import annotations

from pathlib import Path

from aimass_stream.stages.style import catalogue

from ..aims import Aim
from ..figures import difference
from ..servers import OURS, SUBJECTS, serving
from ..speech.section import NONE, Plot, Result, ms, table
from . import live

SESSIONS = (1, 2, 4)
PREFERRED = "starry-night"
AIM_SESSIONS, AIM_MS = 2, 33.0
NO_STYLE = "no style network is installed"


def chosen() -> str:
    """The style that is measured; empty without any."""
    there = catalogue()
    return PREFERRED if PREFERRED in there else next(iter(there), "")


def run(quick: bool) -> Result:
    style = chosen()
    result: Result = {"style": style, "plain": {}, "styled": {}}
    if not style:
        return result
    painted = [{"stage": "style", "name": style}]
    with serving(SUBJECTS[OURS], environment=live.ENVIRONMENT, core=None) as server:
        for count in SESSIONS[: 2 if quick else None]:
            for name, pipeline in (("plain", []), ("styled", painted)):
                one = live.together(server, {"pipeline": pipeline}, count, live.lengths(quick))
                result[name][str(count)] = one
                print(f"  {name}, {count} sessions: {brief(one)}", flush=True)
                server.settle()
    return result


def brief(one: Result) -> str:
    if "error" in one:
        return f"failed: {one['error']}"
    return (f"{one['held']} at full rate, {one['per_s']}/s, p50 / p95 {one['p50_ms']} / {one['p95_ms']} ms, drift "
            f"{one['drift_ms']} ms, {one['cpu']} core")


def added(result: Result, count: int, key: str) -> float | None:
    """ms that painting adds with so many sessions."""
    plain, styled = (result[name].get(str(count), {}) for name in ("plain", "styled"))
    return difference(styled.get(key), plain.get(key))


def aims(result: Result) -> list[Aim]:
    most = live.most_held(result["styled"])
    later = added(result, AIM_SESSIONS, "p95_ms")
    measured = bool(result["styled"])
    return [Aim(f"styled 320x240@30 through WebRTC on 2 cores: >= {AIM_SESSIONS} sessions held at full rate",
                f"{most} of {max(map(int, result['styled']))}" if measured else NO_STYLE,
                most >= AIM_SESSIONS if measured else None),
            Aim(f"styled, {AIM_SESSIONS} sessions: p95 added <= {AIM_MS:g} ms",
                f"{later:g} ms" if later is not None else NONE, later <= AIM_MS if later is not None else None)]


def tell(result: Result) -> str:
    if not result["styled"]:
        return f"{NO_STYLE}: not measured."
    rows = []
    for count, one in result["styled"].items():
        plain = result["plain"][count]
        if "error" in one or "error" in plain:
            rows.append([count, one.get("error", NONE), *[NONE] * 6])
            continue
        rows.append([count, f"{one['held']} of {count}", one["per_s"], f"{ms(plain['p50_ms'])} / {ms(plain['p95_ms'])}",
                     f"{ms(one['p50_ms'])} / {ms(one['p95_ms'])}",
                     " / ".join(_told(added(result, int(count), key)) for key in ("p50_ms", "p95_ms")),
                     f"{plain['cpu']} / {one['cpu']}", one["unreadable"]])
    return (f"Sessions of 320x240 at 30/s, VP8, painted as {result['style']} with steadying, in our server on all "
            "cores; the clients share one of them. What moves lies all over the picture, so that nearly all of it is "
            "painted each time. A session is held at full rate if "
            f"{live.FULL:.0%} of its pictures come back, each counted once. Delay is "
            "from sending to decoded at the client.\n\n"
            + table(["sessions", "at full rate", "pictures/s of the slowest", "plain p50 / p95, ms",
                     "styled p50 / p95, ms", "added p50 / p95, ms", "cores plain / styled", "unreadable"], rows))


def _told(value: float | None) -> str:
    return NONE if value is None else f"{value:g}"


def plots(result: Result, folder: Path) -> list[Plot]:
    if not result["styled"]:
        return []
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5.5, 3.2))
    for name, label, colour in (("plain", "without style", "#30638e"), ("styled", "styled", "#d1495b")):
        for key, line in (("p50_ms", "-"), ("p95_ms", "--")):
            found = [(int(count), one[key]) for count, one in result[name].items() if one.get(key) is not None]
            if found:
                axes.plot(*zip(*found, strict=True), line, marker="o", color=colour, label=f"{label}, {key[:3]}")
    axes.set(xlabel="sessions", ylabel="ms", ylim=(0, None))
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(folder / "vision-style.svg", metadata={"Date": None})
    pyplot.close(figure)
    return [("vision-style.svg", "Delay of pictures of 320x240 with and without style, by sessions")]
