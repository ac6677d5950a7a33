"""results.md: what was aimed at, what came out, for ourselves and each peer, and how it was measured."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .aims import aims
from .servers import HERE, OURS, VIDEO_ONLY

Result = dict[str, Any]
NONE = "–"


def compact(text: str) -> str:
    """Indented JSON with lists of numbers on one line each."""
    text = re.sub(r"\[\s+(-?[\d.e+-]+),\s+(-?[\d.e+-]+)\s+\]", r"[\1, \2]", text)
    return re.sub(r"(\[[^\[\]{}]*\]),\s+(?=\[)", r"\1, ", text)


def brief(group: str, result: Result) -> str:
    """One line for the terminal."""
    if "error" in result:
        return f"failed: {result['error'][:140]}"
    return " · ".join(f"{name} {value}" for name, value in _said(group, result))


def _said(group: str, result: Result) -> list[tuple[str, str]]:
    if group in ("echo", "hd"):
        return [("video", spread(result["video_ms"])), ("audio", spread(result.get("audio_ms"))),
                ("core", str(result["cpu"])), ("MiB", str(result["memory_mib"]))]
    if group == "first":
        return [("first picture", ms(result["video_ms"])), ("answer", ms(result["answer_ms"]))]
    if group == "neighbour":
        return [("alone", spread(result["alone_ms"])), ("beside", spread(result["beside_ms"]))]
    if group == "handler":
        return [("video", spread(result["video_ms"])), ("drift", ms(result["drift_ms"])),
                ("audio", spread(result.get("audio_ms")))]
    if group == "ramp":
        return [("sessions", str(result["sessions"])), ("ended by", result["ended_by"])]
    return [("frozen", percent(result["frozen"])), ("sound missed", percent(result.get("audio_missed"))),
            ("video", during(result["video"])), ("left", ms(result["video"]["left_ms"])),
            ("audio", during(result["audio"])), ("left", ms(result["audio"]["left_ms"]))]


def ms(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:.1f} ms" if abs(value) < 100 else f"{value:.0f} ms"


def spread(values: dict[str, float] | None) -> str:
    """p50 / p95 / p99."""
    if not values:
        return NONE
    return " / ".join(f"{value:.1f}" if value < 100 else f"{value:.0f}" for value in values.values())


def percent(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f} %"


def during(values: Result) -> str:
    return NONE if not values["during_ms"] else f"{ms(values['during_ms']['p50'])} (added {ms(values['added_ms'])})"


Cell = Callable[[Result], str]
ROWS: list[tuple[str, str, str, Cell]] = [
    ("Echo 640x480@30: video p50 / p95 / p99, ms", "echo", "480p", lambda r: spread(r["video_ms"])),
    ("— video p50 of each session, ms", "echo", "480p",
     lambda r: ", ".join(f"{value:.0f}" if value else NONE for value in r["video_p50s_ms"])),
    ("— audio p50 / p95 / p99, ms", "echo", "480p", lambda r: spread(r.get("audio_ms"))),
    ("— processor, core-seconds per second", "echo", "480p", lambda r: f"{r['cpu']:.3f}"),
    ("— memory one session adds (PSS), MiB", "echo", "480p", lambda r: f"{r['memory_mib']:.1f}"),
    ("— memory of the server without sessions, MiB", "echo", "480p", lambda r: f"{r['idle_pss_mib']:.0f}"),
    ("Echo 1280x720@30: video p50 / p95 / p99, ms", "hd", "720p", lambda r: spread(r["video_ms"])),
    ("— processor, core-seconds per second", "hd", "720p", lambda r: f"{r['cpu']:.3f}"),
    ("POST to first picture back (median; worst)", "first", "frame",
     lambda r: f"{ms(r['video_ms'])}; {ms(r['worst_video_ms'])}"),
    ("Most sessions on one core at p95 < 150 ms", "ramp", "sessions",
     lambda r: f"{'≥ ' if r['client_limited'] else ''}{r['sessions']}"),
    ("— ended by", "ramp", "sessions", lambda r: r["ended_by"]),
    ("— memory per session there (PSS), MiB", "ramp", "sessions",
     lambda r: f"{r['steps'][-1]['pss_mib_per_session']:.1f}" if r["steps"] else NONE),
    *((f"Handler of {wait} ms: video p50 / p95 / p99, ms", "handler", wait, lambda r: spread(r["video_ms"]))
      for wait in ("10", "50", "200")),
    ("— drift over the run (200 ms handler)", "handler", "200", lambda r: f"{ms(r['drift_ms'])} in {r['seconds']:g} s"),
    ("— new pictures per second (200 ms handler)", "handler", "200", lambda r: f"{r['pictures_per_s']:.1f}"),
    ("— sound of the same session p50 / p95 / p99, ms", "handler", "200", lambda r: spread(r.get("audio_ms"))),
    ("Beside a session with a 200 ms handler: video p95, ms (alone)", "neighbour", "200",
     lambda r: f"{_p95(r['beside_ms'])} ({_p95(r['alone_ms'])})"),
    ("— audio p95, ms (alone)", "neighbour", "200",
     lambda r: f"{_p95(r['beside_audio_ms'])} ({_p95(r['alone_audio_ms'])})"),
]


def _p95(values: dict[str, float] | None) -> str:
    return NONE if not values else f"{values['p95']:.1f}"


def _link_rows(name: str, group: str, label: str) -> list[tuple[str, str, str, Cell]]:
    return [
        (f"{name}: time frozen", group, label, lambda r: percent(r["frozen"])),
        ("— sound missing or wrong", group, label, lambda r: percent(r.get("audio_missed"))),
        ("— video p50 during", group, label, lambda r: during(r["video"])),
        ("— video delay left 3 s after", group, label, lambda r: ms(r["video"]["left_ms"])),
        ("— audio p50 during", group, label, lambda r: during(r["audio"])),
        ("— audio delay left 3 s after", group, label, lambda r: ms(r["audio"]["left_ms"])),
    ]


def markdown(results: dict[str, Any], drawn: list[tuple[str, str]]) -> str:
    subjects = [name for name in results["titles"] if name != VIDEO_ONLY.name]
    parts = ["# What was measured", "", *_head(results), "", "## Aims", "", *_aims(results), "", "## Side by side", "",
             *_table(results, subjects)]
    links = [(f"{loss} loss each way", "loss", loss) for loss in ("1%", "5%", "10%", "30%")]
    links += [("100±30 ms jitter each way", "jitter", "100±30 ms"),
              ("20 ms round trip, 1 % loss", "jitter", "20 ms, 1%")]
    rows = [row for link in links for row in _link_rows(*link)]
    parts += ["", "## Bad links", "", *_rows(results, subjects, rows), "", *_ours_concealed(results)]
    if drawn:
        parts += ["", "## Plots", ""]
        for name, caption in drawn:
            parts += [f"{caption}:", "", f"![{caption}](plots/{name})", ""]
    parts += ["", *_failures(results), *_method(results)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def _head(results: dict[str, Any]) -> list[str]:
    told = results["machine"]
    kinds = [text for flag, text in (("quick", "**A quick run: figures are rough.**"),
                                     ("interrupted", "**Interrupted: not everything was measured.**")) if results[flag]]
    peers = "; ".join(f"{results['titles'].get(name, name)} ({', '.join(f'{k} {v}' for k, v in pins.items())})"
                      for name, pins in told["peers"].items())
    ours = ", ".join(f"{name} {version}" for name, version in told["ours"].items())
    return [*kinds, "", f"{told['cpu']}, {told['cores']} cores, {told['memory_gib']} GiB; {told['system']}; Python "
            f"{told['python']}; commit {told['commit']}; {told['date']}; one run of {results.get('minutes', '?')} min.",
            "", f"Ours: {ours}. Peers: {peers or 'none'}."]


def _aims(results: dict[str, Any]) -> list[str]:
    lines = ["| aim | measured | |", "|---|---|---|"]
    for aim in aims(results):
        lines.append(f"| {aim.text} | {aim.measured} | {'–' if aim.met is None else 'yes' if aim.met else '**no**'} |")
    return lines


def _table(results: dict[str, Any], subjects: list[str]) -> list[str]:
    lines = _rows(results, subjects, ROWS)
    floor = ", ".join(f"{size} {parts['total']} ms (decode {parts['decode']}, encode {parts['encode']}, decode at the "
                      f"client {parts['show']})" for size, parts in results["floor"].items())
    lines += ["", f"Floor of the codecs alone in the same run: {floor}."]
    alone = results["subjects"].get(VIDEO_ONLY.name, {}).get("echo", {}).get("480p")
    if alone and "error" not in alone:
        lines += ["", f"FastRTC without sound, with its plain function handler: video {spread(alone['video_ms'])} ms, "
                  f"{alone['cpu']} core."]
    return lines


def _rows(results: dict[str, Any], subjects: list[str], rows: list[tuple[str, str, str, Cell]]) -> list[str]:
    titles = " | ".join(results["titles"][name] for name in subjects)
    lines = [f"| | {titles} |", "|---" * (len(subjects) + 1) + "|"]
    for title, group, label, cell in rows:
        cells = []
        for name in subjects:
            result = results["subjects"].get(name, {}).get(group, {}).get(label)
            cells.append(NONE if result is None else "failed" if "error" in result else cell(result))
        if any(text != NONE for text in cells):
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def _ours_concealed(results: dict[str, Any]) -> list[str]:
    lines = []
    for label, result in results["subjects"].get(OURS, {}).get("loss", {}).items():
        shares = result.get("concealed_by_server")
        if shares is not None:
            told = ", ".join(f"{name} {percent(share)}" for name, share in sorted(shares.items())) or "nothing"
            lines.append(f"- {label}{'' if 'FEC' in label else ' with FEC'}: {told}")
    return ["What our server made up for lost sound, by its own counters (share of the time):", "", *lines] if lines \
        else []


def _failures(results: dict[str, Any]) -> list[str]:
    lines = [f"- {results['titles'].get(name, name)}: {reason}" for name, reason in results["absent"].items()]
    for subject, groups in results["subjects"].items():
        for group, labels in groups.items():
            lines += [f"- {results['titles'][subject]}, {group} {label}: {result['error']}"
                      for label, result in labels.items() if "error" in result]
    return ["## What could not be measured", "", *lines, ""] if lines else []


def _method(results: dict[str, Any]) -> list[str]:
    cores = results["cores"]
    text = (HERE / "method.md").read_text().replace("{server}", str(cores["server"]))
    return ["## How", "", text.replace("{client}", str(cores["client"]))]
