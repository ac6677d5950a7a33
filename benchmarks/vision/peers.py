"""The section on the same style network inside other servers: FastRTC's handler and aiortc's example."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aimass_stream.architectures.style_shape import RUNGS, Sizes, parts
from aimass_stream.engines.style import graph_of
from aimass_stream.engines.style.weights import read
from aimass_stream.inference.device import CpuDevice, cores
from aimass_stream.stages.style import catalogue

from ..aims import Aim
from ..servers import HERE, OURS, SUBJECTS, Subject, install, serving
from ..speech.section import NONE, Plot, Result, ms, percent, table
from . import live
from .painting import NO_STYLE, SESSIONS, brief, chosen

FOLDER = "style"  # of the peers' programs and of their environment
STILL = 20.0  # ms that a delay may drift by
ENOUGH = 0.95  # of what the processor's time allows
TOLD = ("aiortc", "fastrtc", "numpy", "onnxruntime", "opencv-python-headless")
COLOURS = ("#d1495b", "#30638e", "#00798c", "#edae49", "#8d6a9f")


@dataclass(frozen=True)
class Contender:
    name: str
    title: str
    subject: Subject
    body: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


def contenders(style: str) -> list[Contender]:
    pipeline = [{"stage": "style", "name": style, "steady": False}]  # the others know no steadying
    ours = Contender(OURS, SUBJECTS[OURS].title, SUBJECTS[OURS], {"pipeline": pipeline}, live.ENVIRONMENT)
    return [ours, _peer("aiortc", "aiortc, as its example server", "aiortc_server.py", "loop"),
            _peer("aiortc-thread", "aiortc, the network in a thread", "aiortc_server.py", "thread"),
            _peer("fastrtc", "FastRTC, handler", "fastrtc_server.py", "all"),
            _peer("fastrtc-newest", "FastRTC, handler, skip_frames", "fastrtc_server.py", "newest")]


def _peer(name: str, title: str, program: str, way: str) -> Contender:
    python, script = HERE / ".venvs" / FOLDER / "bin" / "python", HERE / "peers" / FOLDER / program

    def command(port: int, width: int, height: int) -> list[str]:
        return [str(python), str(script), "--port", str(port)]

    return Contender(name, title, Subject(f"style-{name}", title, command, "/offer", lambda _: {}),
                     environment={"STYLE_WAY": way})


def weights(style: str) -> dict[str, str]:
    """The environment by which the peers find the network: our graph, the style's weights, our number of threads."""
    own = parts(read(catalogue()[style].file(".safetensors")), Sizes(), 0)
    path = HERE / "work" / "style.npz"
    path.parent.mkdir(exist_ok=True)
    np.savez(path, **own)  # type: ignore[arg-type]
    device = CpuDevice()
    device.close()
    return {"STYLE_GRAPH": str(graph_of(RUNGS[0])), "STYLE_WEIGHTS": str(path), "STYLE_THREADS": str(device.threads)}


def versions() -> dict[str, str]:
    """Of what the peers run on, as their list has it."""
    pins = re.findall(r"^([a-z0-9-]+)==(\S+)", (HERE / "peers" / FOLDER / "requirements.txt").read_text(), re.MULTILINE)
    return {name: version for name, version in pins if name in TOLD}


def run(quick: bool) -> Result:
    style = chosen()
    result: Result = {"style": style, "runs": {}, "titles": {}, "cores": cores(), "absent": ""}
    if not style:
        return result
    try:
        install(FOLDER)
        result["versions"] = versions()
    except (subprocess.CalledProcessError, OSError) as error:
        result["absent"] = f"the peers' environment could not be made: {error}"
    network = weights(style)
    for contender in contenders(style)[: 1 if result["absent"] else None]:
        result["titles"][contender.name] = contender.title
        runs = result["runs"][contender.name] = {}
        for count in SESSIONS[: 2 if quick else None]:
            runs[str(count)] = one = _measured(contender, network, count, live.lengths(quick))
            print(f"  {contender.title}, {count} sessions: {brief(one)}", flush=True)
    return result


def _measured(contender: Contender, network: dict[str, str], count: int, sized: live.Lengths) -> Result:
    """In a server of its own: what a queue has gathered is not the next run's."""
    try:
        with serving(contender.subject, environment={**network, **contender.environment}, core=None) as server:
            return live.together(server, contender.body, count, sized)
    except live.FAILURES as error:
        return {"sessions": count, "error": f"{type(error).__name__}: {error}"[:300]}


def allowed(one: Result, alone: Result, machine_cores: int) -> float | None:
    """Share of the pictures of these sessions that the processor's time allows, at what one of a single session costs;
    the clients' own time is not there for it."""
    if "error" in one or "error" in alone or not alone["per_s"]:
        return None
    cost = alone["cpu"] / alone["per_s"]  # s of a core, codecs and all
    return float(min(1.0, (machine_cores - one["client_cpu"]) / (cost * 30 * one["sessions"])))


def aims(result: Result) -> list[Aim]:
    ours = result["runs"].get(OURS, {})
    if not ours:
        return [Aim("same style net in FastRTC and aiortc", NO_STYLE, None)]
    held = {name: live.most_held(runs) for name, runs in result["runs"].items()}
    found = [Aim(f"styled sessions at full rate: more than {result['titles'][name]}",
                 f"{held[OURS]} against {held[name]}",
                 held[OURS] > held[name]) for name in result["runs"] if name != OURS]
    found += [_sooner(result["titles"][name], ours, runs) for name, runs in result["runs"].items() if name != OURS]
    if result["absent"]:
        found.append(Aim("same style net in FastRTC and aiortc", result["absent"], None))
    drifts = [one.get("drift_ms") for one in ours.values()]
    found.append(Aim(f"styled, no drift: 0 ± {STILL:g} ms with {_counts(ours)} sessions",
                     ", ".join(NONE if drift is None else f"{drift:+g}" for drift in drifts) + " ms",
                     all(drift is not None and abs(drift) <= STILL for drift in drifts)))
    shares = [(one.get("share"), allowed(one, ours["1"], result["cores"])) for one in ours.values()]
    found.append(Aim(f"styled, unique frames >= {ENOUGH:.0%} of what processor time allows ({_counts(ours)} sessions)",
                     ", ".join(f"{percent(share)} of {percent(most)}" for share, most in shares),
                     all(share is not None and most is not None and share >= ENOUGH * most for share, most in shares)))
    return found


def _sooner(title: str, ours: dict[str, Result], theirs: dict[str, Result]) -> Aim:
    pairs = [(ours[count].get("p95_ms"), theirs[count].get("p95_ms")) for count in ours if count in theirs]
    return Aim(f"styled, lower p95 than {title} ({_counts(theirs)} sessions)",
               ", ".join(f"{ms(mine)} against {ms(other)}" for mine, other in pairs) + " ms",
               all(mine is not None and (other is None or mine < other) for mine, other in pairs))


def _counts(runs: dict[str, Result]) -> str:
    return ", ".join(runs)


def tell(result: Result) -> str:
    if not result["runs"]:
        return f"{NO_STYLE}: not measured."
    rows = []
    for name, runs in result["runs"].items():
        for count, one in runs.items():
            if "error" in one:
                rows.append([result["titles"][name], count, one["error"], *[NONE] * 6])
                continue
            rows.append([result["titles"][name], count, f"{one['held']} of {count}", percent(one["share"]),
                         percent(allowed(one, runs["1"], result["cores"])),
                         f"{ms(one['p50_ms'])} / {ms(one['p95_ms'])}",
                         ms(one["worst_p95_ms"]), NONE if one["drift_ms"] is None else f"{one['drift_ms']:+.0f}",
                         one["cpu"]])
    versions = ", ".join(f"{name} {version}" for name, version in result.get("versions", {}).items())
    return (f"The same graph of onnxruntime with the weights of {result['style']}, 320x240 at 30/s, every picture "
            "painted whole and by itself, each run in a new server on all cores, one after the other with the same "
            "clients. aiortc's example transforms pictures on its event loop; so does FastRTC with a handler, and "
            "with skip_frames it hands the newest one to it. In a thread is what somebody might do about it. Unique: "
            "of the pictures sent, those that came back, each counted once, in the worst session; allowed: what the "
            "cores' time would suffice for at what a picture of a single session costs in this server. Drift: delay "
            f"in the last third less that in the first.{f' Peers: {versions}.' if versions else ''}\n\n"
            + table(["server", "sessions", "at full rate", "unique", "allowed", "p50 / p95, ms", "worst p95, ms",
                     "drift, ms", "cores"], rows)
            + (f"\n\n{result['absent']}" if result["absent"] else ""))


def plots(result: Result, folder: Path) -> list[Plot]:
    if not result["runs"]:
        return []
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(8, 3.4))
    ages, rates = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    for (name, runs), colour in zip(result["runs"].items(), COLOURS, strict=False):
        title = result["titles"][name]
        found = [(int(count), one["p95_ms"]) for count, one in runs.items() if one.get("p95_ms") is not None]
        if found:
            ages.plot(*zip(*found, strict=True), "o-", ms=4, label=title, color=colour)
        unique = [(int(count), 100 * one["share"]) for count, one in runs.items() if "error" not in one]
        if unique:
            rates.plot(*zip(*unique, strict=True), "o-", ms=4, label=title, color=colour)
    ages.set(xlabel="sessions", ylabel="p95, ms", yscale="log")
    rates.set(xlabel="sessions", ylabel="% of the pictures that came back", ylim=(0, 105))
    if ages.lines:
        ages.legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(folder / "vision-peers.svg", metadata={"Date": None})
    pyplot.close(figure)
    return [("vision-peers.svg", "The same style network in several servers, by sessions")]
