"""A new style from any picture: what `aimass train style` and a job of the server do.

`plan` looks at everything that can be wrong before it takes long, `make` trains and writes the style's folder. On the
way there is a folder of its own for the checkpoint and the preview; the same wish goes on from there.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import pickle
import re
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import AimassError, Conflict, InvalidInput
from ..inference import Entry, installed
from ..inference.loader import check_file
from ..painting.manner import LENGTH, manner, nearest
from ..painting.names import PREFIX, named
from ..painting.paintings import paintings
from . import check, judge
from .contents import Array, Contents, photographs
from .picture import bgr, digest, read
from .wishes import Reporter, Style, Tell

if TYPE_CHECKING:
    from .figures import Figures
    from .trainer import Trainer

ENGINE = "aimass_stream.engines.style:Style"
TASK = "style-transfer"
STEPS = 1000
MOST_STEPS = 1_000_000
NAME_LETTERS = 48
CHECKPOINT, PREVIEW, PLAN, LOCK = "checkpoint.pt", "preview.jpg", "plan.json", ".lock"
HELD_OUT = 2  # photographs of the content that the figures are measured on, where there are a few


@dataclass(frozen=True, slots=True)
class Wish:
    picture: Path
    models: Path  # folder in which the style's own folder is put
    work: Path  # folder for what is not finished
    name: str = ""  # what people call it; empty: as the picture's file
    steps: int = STEPS
    content: Path | None = None  # folder of photographs that are painted in training
    loss_weights: Path | None = None
    device: str = "auto"
    threads: int = 0  # 0: as many as there are cores
    anew: bool = False  # also where there is one of that name, or another one has been begun


@dataclass(frozen=True, slots=True)
class Plan:
    """A wish that can be fulfilled."""

    wish: Wish
    name: str  # of the model: "style-my-cat"
    title: str
    painting: Array
    manner: tuple[float, ...]
    judge: Path
    source: str  # what the card says about the picture

    @property
    def folder(self) -> Path:
        return self.wish.models / self.name

    @property
    def work(self) -> Path:
        return self.wish.work / self.name

    @property
    def preview(self) -> Path:
        return self.work / PREVIEW

    @property
    def known(self) -> str:
        """As a pipeline calls it."""
        return named(self.name).name


@dataclass(frozen=True, slots=True)
class Made:
    name: str
    folder: Path
    figures: Figures


def plan(wish: Wish, pulled: Path) -> Plan:
    """`pulled` is the folder of fetched models. Raises `InvalidInput`, `NotFound`, `Conflict` or `Unavailable` with a
    sentence."""
    if not 1 <= wish.steps <= MOST_STEPS:
        raise InvalidInput(f"steps are from 1 to {MOST_STEPS:,}", field="steps")
    painting = read(wish.picture)
    check()
    device_of(wish.device)
    name, title = names_of(wish.name or wish.picture.stem, wish.picture)
    there = installed()
    if name in there.names() and not (wish.models / name).exists():
        raise Conflict(f"there is a style {named(name).name!r} already; give this one another name", field="name")
    if (wish.models / name).exists() and not wish.anew:
        raise Conflict(f"there is a style {named(name).name!r} already; give this one another name, or make that one "
                       "again with `aimass train style --force`", field="name")
    unmistakable(name, title)
    source = f"{wish.picture.name[:200]}, SHA-256 {digest(wish.picture)}"
    strokes = tuple(manner(bgr(painting)))
    return Plan(wish, name, title, painting, strokes, judge.find(wish.loss_weights, pulled), source)


def unmistakable(name: str, title: str) -> None:
    """Raises `Conflict` where what people say means another style already."""
    mine = named(name, title).known
    for entry in installed().entries():
        if entry.task == TASK and entry.name != name:
            both = mine & named(entry.name, entry.title, map(str, entry.card.get("names", []))).known
            if both:
                raise Conflict(f"{title!r} is what {entry.title} is called already; give this style another name",
                               field="name")


def names_of(said: str, picture: Path) -> tuple[str, str]:
    """The model's name and its title, of what people call it; one without Latin letters is named after the picture.

    Raises `InvalidInput`.
    """
    title = "".join(letter for letter in said if unicodedata.category(letter)[0] != "C").strip()
    if not title or len(title) > NAME_LETTERS:
        raise InvalidInput(f"a name has 1 to {NAME_LETTERS} letters: give one with --name", field="name")
    plain = unicodedata.normalize("NFKD", title.casefold()).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-").removeprefix(PREFIX.strip("-")).strip("-")
    if not slug:
        slug = hashlib.sha256(title.encode()).hexdigest()[:8]
    words = re.sub(r"[_-]+", " ", title.removeprefix(PREFIX)) if title == picture.stem else title
    return f"{PREFIX}{slug}", words.strip() or slug


def make(plan: Plan, tell: Tell) -> Made:
    """Train the network and write its folder; an interrupt leaves a checkpoint. Takes from minutes to hours.

    Raises `Conflict` when another process makes the same or another picture has been begun under this name, and what
    `judge.read` raises.
    """
    import torch

    from .folder import sample, write
    from .losses import SqueezeNet
    from .trainer import LOSSES, Trainer

    wish = plan.wish
    with _alone(plan):
        if wish.threads:
            torch.set_num_threads(wish.threads)
        eyes = SqueezeNet(judge.read(plan.judge))
        shown, seen = _contents(wish)
        style = Style(plan.name, wish.picture.name, plan.title, "", "")
        trainer = Trainer(style, plan.painting, eyes, Contents(seen, 1), wish.steps, device=device_of(wish.device))
        begun = _begin(plan, trainer)
        reporter = Reporter(plan.name, wish.steps, plan.preview, tell, lambda path: sample(path, trainer.network))
        reporter.begin(trainer.step)
        trainer.run(plan.work / CHECKPOINT, lambda now: reporter(
            now.step, dict(zip(LOSSES, map(float, now.losses), strict=True))))
        figures = write(trainer, plan.folder, _told(plan, begun, len(seen)), shown)
    shutil.rmtree(plan.work, ignore_errors=True)
    return Made(plan.name, plan.folder, figures)


def device_of(name: str) -> str:
    """"auto", or one of torch's. Raises `InvalidInput`."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name != "cpu" and not (name.partition(":")[0] == "cuda" and torch.cuda.is_available()):
        raise InvalidInput(f"there is no device {name[:32]!r} here; there are: cpu"
                           f"{', cuda' if torch.cuda.is_available() else ''}", field="device")
    return name


def _contents(wish: Wish) -> tuple[list[Array], list[np.ndarray[Any, np.dtype[np.uint8]]]]:
    """Pictures to measure on, and photographs to train on."""
    from .figures import cut, scenes

    if wish.content is None:
        return scenes(), []
    found = photographs(wish.content)
    held = found[-HELD_OUT:] if len(found) > 3 * HELD_OUT else []
    kept = found[: len(found) - len(held)]
    return [*(cut(np.asarray(picture / 255, np.float32)) for picture in held), *scenes()], kept


def _begin(plan: Plan, trainer: Trainer) -> str:
    """Go on from the checkpoint, or begin with the weights of the style that is painted most alike. Answers which."""
    told, checkpoint = plan.work / PLAN, plan.work / CHECKPOINT
    if checkpoint.is_file() and told.is_file():
        before = json.loads(told.read_text(encoding="utf-8"))
        if before["source"] == plan.source:
            _go_on(checkpoint, trainer)
            return str(before["start"])
        if not plan.wish.anew:
            raise Conflict(f"a style {plan.known!r} of another picture has been begun in {plan.work}; give another "
                           "name, or --force to begin anew", field="name")
    start = ""
    for entry in _starts(plan.manner):
        if _take(entry, trainer):
            start = entry.name
            break
    checkpoint.unlink(missing_ok=True)
    told.write_text(json.dumps({"source": plan.source, "start": start}), encoding="utf-8")
    return start


def _go_on(checkpoint: Path, trainer: Trainer) -> None:
    try:
        trainer.load(checkpoint)
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise InvalidInput(f"{checkpoint} can't be read ({type(error).__name__}); remove it to begin anew",
                           field="name") from error


def _starts(wanted: tuple[float, ...]) -> list[Entry]:
    """Styles whose networks are like ours, the one that is painted most alike first."""
    there = {named(entry.name).name: entry for entry in installed().entries() if entry.engine == ENGINE}
    manners = {name: painting.manner for name, painting in paintings().items() if name in there}
    for name, entry in there.items():
        own = entry.card.get("manner")
        if isinstance(own, list) and len(own) == LENGTH:
            manners[name] = tuple(own)
    ordered = [*nearest(wanted, manners), *(name for name in there if name not in manners)]
    return [there[name] for name in ordered]


def _take(entry: Entry, trainer: Trainer) -> bool:
    """Its weights, if they are whole and of this network."""
    import torch

    from ..engines.style.weights import read as read_weights  # its package takes a while to load

    try:
        for item in entry.files:
            check_file(entry.folder, item)
        state = read_weights(entry.file(".safetensors"))
    except (AimassError, OSError):
        return False
    known = trainer.network.state_dict()
    if {name: values.shape for name, values in state.items()} != {name: tuple(known[name].shape) for name in known}:
        return False
    trainer.network.load_state_dict({name: torch.from_numpy(values.copy()) for name, values in state.items()})
    return True


def _told(plan: Plan, begun: str, photographed: int) -> Any:
    from .folder import DRAWN, JUDGE, Told

    shown = [f"{photographed} photographs of its maker's (content)"] if photographed else []
    sources = [plan.source, *shown, DRAWN, JUDGE]
    if begun:
        sources.append(f"the weights of {begun}, to begin with")
    return Told(plan.title, f"Repaints pictures after {plan.title}; made by `aimass train style`", "LicenseRef-own",
                tuple(sources), f"begun with the weights of {begun}" if begun else "begun with none",
                "`aimass train style`", (plan.title,), plan.manner)


@contextmanager
def _alone(plan: Plan) -> Iterator[None]:
    """No other process makes the same meanwhile."""
    plan.work.mkdir(parents=True, exist_ok=True)
    with (plan.work / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"{plan.name} is being trained already", field="name") from None
        yield
