"""The section on the same models and the same load in LitServe and in MLflow's scoring server."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from aimass_stream.inference.device import CpuDevice

from ..aims import Aim
from ..servers import HERE, OURS, SUBJECTS, Server, Subject, install
from ..speech.section import NONE, Result, table
from . import asked
from .callers import Load, Request, brief, figures, fine
from .networks import MLP, NO_OP, Network
from .own import FAILURES, Hub, ours, running, wait
from .rest import row

CALLERS = (1, 16, 32)
SECONDS, QUICK = 4.0, 1.0
NETWORKS = (NO_OP, MLP)
TOLD = ("litserve", "mlflow", "onnxruntime", "uvicorn", "fastapi", "starlette", "uvloop", "httptools", "numpy")
STARTS = 120.0  # s that a server may take for its start


@dataclass(frozen=True)
class Contender:
    name: str
    title: str
    folder: str = ""  # of its environment and program; empty: ours
    environment: dict[str, str] = field(default_factory=dict)

    def request(self, network: Network) -> Request:
        row = network.one().tolist()
        if self.folder == "mlflow":
            return Request.of("/invocations", {"inputs": {"x": row}})
        return Request.of("/predict", {"input": row}) if self.folder else asked.short(network.name, network)

    def answer(self, reply: dict[str, Any]) -> Any:
        """The network's output, as this server tells it."""
        return reply["predictions"]["y"] if self.folder == "mlflow" else reply["output"]


CONTENDERS = (
    Contender(OURS, SUBJECTS[OURS].title),
    Contender("litserve", "LitServe", "litserve", {"MODEL_BATCH": "1", "MODEL_FAST_QUEUE": "0"}),
    Contender("litserve-batches", "LitServe, batches of 16, fast_queue", "litserve",
              {"MODEL_BATCH": "16", "MODEL_FAST_QUEUE": "1"}),
    Contender("mlflow", "MLflow", "mlflow", {"MODEL_WORKERS": "1"}),
    Contender("mlflow-two", "MLflow, 2 workers", "mlflow", {"MODEL_WORKERS": "2"}),
)


def run(quick: bool) -> Result:
    result: Result = {"runs": {}, "titles": {}, "absent": {}, "versions": {}, "cpu": {}}
    with tempfile.TemporaryDirectory(dir=_work()) as scratch, Load() as load:
        for contender in CONTENDERS:
            absent = result["absent"].get(contender.folder) or _installed(contender.folder)
            if absent:
                result["absent"][contender.folder] = absent
                continue
            if contender.folder:
                result["versions"][contender.folder] = versions(contender.folder)
            result["titles"][contender.name] = contender.title
            for network in NETWORKS:
                result["runs"].setdefault(network.name, {})[contender.name] = found = _measured(
                    contender, network, load, Path(scratch), quick)
                for callers, one in found.items():
                    print(f"  {network.title}, {callers} callers, {contender.title}: {brief(one)}", flush=True)
    return result


def _work() -> Path:
    (HERE / "work").mkdir(exist_ok=True)
    return HERE / "work"


def _installed(folder: str) -> str:
    """Why it can't be measured; empty if it can."""
    try:
        if folder:
            install(folder)
    except (subprocess.CalledProcessError, OSError) as error:
        return f"{folder}'s environment could not be made: {error}"
    return ""


def versions(folder: str) -> dict[str, str]:
    pins = re.findall(r"^([a-z0-9-]+)==(\S+)", (HERE / "peers" / folder / "requirements.txt").read_text(), re.MULTILINE)
    return {name: version for name, version in pins if name in TOLD}


def _measured(contender: Contender, network: Network, load: Load, scratch: Path, quick: bool) -> Result:
    """By callers. Each network in a server of its own, with nothing else running."""
    found: Result = {}
    try:
        with _serving(contender, network, scratch) as server:
            _same(server, contender, network)
            for callers in CALLERS:
                found[str(callers)] = _asked(server, load, contender.request(network), callers, quick)
    except FAILURES as error:
        for callers in CALLERS:
            found.setdefault(str(callers), {"error": f"{type(error).__name__}: {error}"[:300]})
    return found


def _asked(server: Server, load: Load, request: Request, callers: int, quick: bool) -> Result:
    """Once more where a connection was cut off or a request refused: that may have been the start's end."""
    for _ in range(2):
        one = figures([load.measure(server, request, callers, QUICK if quick else SECONDS, warm=1.0)])
        if fine(one):
            break
    return one


@contextmanager
def _serving(contender: Contender, network: Network, scratch: Path) -> Iterator[Server]:
    if not contender.folder:
        with ours("peers") as server:
            with Hub(server.base) as hub:
                hub.put(network.name, network.build())
            yield server
        return
    file = scratch / f"{network.name}.onnx"
    file.write_bytes(network.build())
    device = CpuDevice()
    device.close()
    python, script = (HERE / ".venvs" / contender.folder / "bin" / "python", HERE / "peers" / contender.folder /
                      "server.py")
    subject = Subject(f"platform-{contender.name}", contender.title,
                      lambda port, *_: [str(python), str(script), "--port", str(port)], "", lambda _: {})
    environment = {"MODEL_FILE": str(file), "MODEL_FOLDER": str(scratch), "MODEL_THREADS": str(device.threads),
                   "PYTHONPATH": ""}
    with running(subject, environment | contender.environment) as server:
        request = contender.request(network)
        wait(lambda: httpx.post(server.base + request.path, content=request.body, headers=request.headers,
                                timeout=10).status_code == 200, contender.title, STARTS)
        yield server


def _same(server: Server, contender: Contender, network: Network) -> None:
    """Raises `ValueError` where it does not answer what the network makes of this row."""
    import onnxruntime

    [wanted] = onnxruntime.InferenceSession(network.build()).run(None, {"x": network.one()})
    request = contender.request(network)
    reply = httpx.post(server.base + request.path, content=request.body, headers=request.headers, timeout=30)
    if not np.allclose(contender.answer(reply.json()), wanted, 1e-3, 1e-4):
        raise ValueError(f"{contender.title} answers something else: {reply.text[:200]}")


def aims(result: Result) -> list[Aim]:
    found = [Aim("ahead of LitServe and MLflow", why, None) for why in result["absent"].values()]
    for network in NETWORKS:
        runs = result["runs"].get(network.name, {})
        for name in runs:
            if name != OURS:
                found.append(_ahead(f"{network.title}: more requests/s and lower p95 than {result['titles'][name]}",
                                    runs[OURS], runs[name]))
    return found


def _ahead(text: str, mine: Result, theirs: Result) -> Aim:
    """In each number of callers."""
    pairs = [(mine[callers], theirs[callers]) for callers in map(str, CALLERS)]
    known = all(fine(one) and fine(other) for one, other in pairs)
    told = "; ".join(f"{callers}: {_short(one)} against {_short(other)}"
                     for callers, (one, other) in zip(CALLERS, pairs, strict=True))
    return Aim(text, told, all(one["per_s"] > other["per_s"] and one["p95"] < other["p95"] for one, other in pairs)
               if known else None)


def _short(one: Result) -> str:
    return f"{one['per_s']:.0f}/s, {one['p95']:.3g} ms" if one.get("p95") is not None else NONE


def tell(result: Result) -> str:
    rows: list[list[Any]] = []
    for network in NETWORKS:
        for name, runs in result["runs"].get(network.name, {}).items():
            rows += [[network.title, result["titles"][name], callers, *row(one)] for callers, one in runs.items()]
    told = "; ".join(", ".join(f"{name} {version}" for name, version in each.items())
                     for each in result["versions"].values())
    absent = " ".join(result["absent"].values())
    return ("The same ONNX files, the same rows in JSON by each server's own route (ours and LitServe's: /predict, "
            "MLflow's: /invocations), the same callers, each network in a server of its own, one after the other on "
            "all cores. onnxruntime is the same version everywhere, with as many threads as ours has. What comes back "
            "was compared with the network's own output first. LitServe as it is by itself, and with what its "
            "documentation advises for more: batches (16 rows, waited for 5 ms) and its fast queue; MLflow by "
            "`mlflow models serve`, which runs uvicorn, with one worker and with two. Of LitServe's and MLflow's "
            f"environments: {told or 'not installed'}. {absent}\n\n"
            + table(["network", "server", "callers", "requests/s", "p50, ms", "p95, ms", "p99, ms", "errors"], rows))
