"""A style from any picture: learned, broken off and taken up, written whole, and refused where it can't be."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from aimass_stream import training  # noqa: E402
from aimass_stream.errors import Conflict, InvalidInput, InvalidMedia, ModelFailed, NotFound, Unavailable  # noqa: E402
from aimass_stream.inference import CpuDevice, FolderStore, installed  # noqa: E402
from aimass_stream.inference.contract import SLOT  # noqa: E402
from aimass_stream.painting.manner import LENGTH  # noqa: E402
from aimass_stream.training import contents, figures, judge, styles, trainer  # noqa: E402
from aimass_stream.training.losses import SqueezeNet, style_loss  # noqa: E402
from aimass_stream.training.wishes import News, Reporter, Style  # noqa: E402
from tests.support import styles as chance  # noqa: E402
from tests.support.command import clean, here  # noqa: E402
from tests.support.painters import judge as judge_file  # noqa: E402
from tests.support.painters import painted, painting  # noqa: E402
from tests.support.picture_files import file  # noqa: E402

SHARED = judge.CHECKOUT


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small cuts and figures of small pictures, on one thread."""
    monkeypatch.setattr(trainer, "SIZE", 64)
    monkeypatch.setattr(trainer, "WARM_UP", 1)
    monkeypatch.setattr(figures, "WIDTH", 160)
    monkeypatch.setattr(figures, "HEIGHT", 120)
    monkeypatch.setattr(figures, "REPEATS", 2)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def models(tmp_path: Path) -> Iterator[Path]:
    """A folder of models, with one style to begin with, that nothing else is looked for beside."""
    store, before = installed(), installed().folders
    store.folders = (tmp_path / "models",)
    chance.write(tmp_path / "models", "style-chance")
    yield tmp_path / "models"
    store.folders = before


@pytest.fixture
def wish(tmp_path: Path, models: Path) -> styles.Wish:
    return styles.Wish(painting(tmp_path), models, tmp_path / "work", steps=4, loss_weights=judge_file(tmp_path))


def test_what_is_wrong_with_a_wish_is_told_before_what_is_missing_here(wish: styles.Wish,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="no device 'tpu'"):  # and not when the training begins
        styles.plan(replace(wish, device="tpu"), wish.models)
    monkeypatch.setattr(training, "NEEDED", ("torch_that_is_not_there",))
    with pytest.raises(NotFound, match="nothere"):
        styles.plan(replace(wish, picture=Path("nothere.png")), wish.models)


def test_a_picture_becomes_a_style_that_paints(wish: styles.Wish) -> None:
    news: list[News] = []
    plan = styles.plan(wish, wish.models)
    assert (plan.name, plan.title, plan.known) == ("style-my-painting", "My painting", "my-painting")
    made = styles.make(plan, news.append)
    assert (news[0].step, news[0].left) == (0, None)
    assert (news[-1].step, news[-1].left) == (4, 0)
    assert set(news[-1].losses) == set(trainer.LOSSES)
    assert not plan.work.exists()
    assert {path.name for path in wish.models.iterdir()} == {"style-chance", made.name}
    store = FolderStore([wish.models])
    entry = store.get(made.name)
    assert entry.card["names"] == ["My painting"]
    assert len(entry.card["manner"]) == LENGTH
    assert any("My painting.png, SHA-256" in source for source in entry.sources)
    assert any("style-chance" in source for source in entry.sources)
    model = store.open(made.name, CpuDevice())
    shown = painted(64, 48)
    styled = model.run({"picture": shown, "rung": np.array([0]), "share": np.ones(1, np.float32),
                        SLOT: np.zeros(1, np.int64)})["styled"]
    model.close()
    assert styled.shape == shown.shape
    assert styled.std() > 5
    assert (made.folder / "sample.jpg").stat().st_size > 2000


def test_steps_come_nearer_to_the_painting(wish: styles.Wish) -> None:
    plan = styles.plan(wish, wish.models)
    eyes = SqueezeNet(judge.read(SHARED if SHARED.exists() else plan.judge))
    learner = trainer.Trainer(Style("one", "", "", "", ""), plan.painting, eyes, contents.Contents([], 1), 12)

    def distance() -> float:
        scene = figures.tensor(figures.scenes()[0])
        with torch.no_grad():
            return float(style_loss(eyes(learner.network(scene)), learner.manner))

    before = distance()
    told: list[int] = []
    learner.run(wish.models / "checkpoint.pt", lambda now: told.append(now.step))
    assert told == list(range(1, 13))
    assert distance() < 0.8 * before


def test_what_was_broken_off_goes_on(wish: styles.Wish) -> None:
    seen: list[int] = []

    def stop(news: News) -> None:
        seen.append(news.step)
        if news.step == 2:
            raise KeyboardInterrupt

    plan = styles.plan(replace(wish, steps=3), wish.models)
    with pytest.raises(KeyboardInterrupt):
        _told_always(styles.make, plan, stop)
    assert list(wish.models.glob("*/model.toml")) == [wish.models / "style-chance" / "model.toml"]
    assert (plan.work / styles.CHECKPOINT).exists()
    other = replace(wish, picture=wish.picture.with_name("other.png"), name="My painting")
    other.picture.write_bytes(file(painted(70, 70)))
    with pytest.raises(Conflict, match="of another picture has been begun"):
        styles.make(styles.plan(other, wish.models), stop)
    seen.clear()
    made = _told_always(styles.make, plan, seen_only(seen))
    assert seen == [2, 3]
    assert FolderStore([wish.models]).get(made.name).card["steps"] == 3


def _told_always(make: object, plan: styles.Plan, tell: object) -> styles.Made:
    """With news of every step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aimass_stream.training.wishes.TOLD_EVERY", -1.0)
        return styles.make(plan, tell)  # type: ignore[arg-type]


def seen_only(seen: list[int]) -> object:
    return lambda news: seen.append(news.step)


def test_names_that_are_taken(wish: styles.Wish) -> None:
    with pytest.raises(Conflict, match="already"):
        styles.plan(replace(wish, name="Chance"), wish.models)
    assert styles.plan(replace(wish, name="Chance", anew=True), wish.models).name == "style-chance"
    chance.write(wish.models, "style-starry-night", title="The Starry Night")
    for said in ("星空", "Vincent van Gogh", "the starry night!"):
        with pytest.raises(Conflict, match="The Starry Night is called"):
            styles.plan(replace(wish, name=said), wish.models)
    elsewhere = replace(wish, name="chance", models=wish.models.parent / "elsewhere")
    with pytest.raises(Conflict, match="another name"):
        styles.plan(elsewhere, wish.models)


def test_one_at_a_time_of_a_name(wish: styles.Wish) -> None:
    plan = styles.plan(wish, wish.models)

    def again(news: News) -> None:
        with pytest.raises(Conflict, match="is being trained already"):
            styles.make(plan, lambda news: None)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        styles.make(plan, again)


@pytest.mark.parametrize(("said", "name", "title"), [
    ("", "style-my-painting", "My painting"), ("Café Müller, 1978!", "style-cafe-muller-1978", "Café Müller, 1978!"),
    ("星空", "style-4d849e21", "星空"), ("style-mine", "style-mine", "style-mine"), ("a\nb", "style-ab", "ab")])
def test_a_name_is_made_of_what_people_say(said: str, name: str, title: str) -> None:
    picture = Path("My painting.png")
    assert styles.names_of(said or picture.stem, picture) == (name, title)


@pytest.mark.parametrize("said", [" ", "x" * 49, "\x00"])
def test_a_name_that_is_none(said: str) -> None:
    with pytest.raises(InvalidInput, match="--name"):
        styles.names_of(said, Path("picture.png"))


def test_bad_pictures_and_wishes_are_refused_before_anything_begins(wish: styles.Wish) -> None:
    flat = wish.picture.with_name("flat.png")
    flat.write_bytes(file(np.full((90, 90, 3), 77, np.uint8)))
    with pytest.raises(InvalidMedia, match="one flat colour"):
        styles.plan(replace(wish, picture=flat), wish.models)
    with pytest.raises(InvalidInput, match="steps"):
        styles.plan(replace(wish, steps=0), wish.models)
    with pytest.raises(InvalidInput, match="there is no device 'abacus'"):
        styles.make(styles.plan(replace(wish, device="abacus"), wish.models), lambda news: None)
    with pytest.raises(NotFound, match="no folder"):
        styles.make(styles.plan(replace(wish, content=Path("nowhere")), wish.models), lambda news: None)


def test_weights_of_the_judge(wish: styles.Wish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "CHECKOUT", tmp_path / "nowhere")
    with pytest.raises(Unavailable, match=r"aimass models pull squeezenet-1\.0"):
        judge.find(None, wish.models)
    with pytest.raises(NotFound, match="no file"):
        judge.find(tmp_path / "nowhere", wish.models)
    assert wish.loss_weights is not None
    given = judge.read(wish.loss_weights)
    pulled = wish.models / judge.WEIGHTS / judge.FILE
    pulled.parent.mkdir()
    torch.save(dict(given), pulled)
    assert judge.find(None, wish.models) == pulled
    assert torch.equal(judge.read(pulled)["features.0.weight"], given["features.0.weight"])
    for data, name in ((b"nothing", "x.pth"), (b"nothing", "x.safetensors")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InvalidInput, match=f"{name} is no file of weights") as caught:
            judge.read(tmp_path / name)
        assert "weights_only" not in caught.value.detail
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InvalidInput, match="has no weights"):
        judge.read(tmp_path / "list.pth")
    other = {"features__0__bias": np.zeros(95, np.float32)}
    with pytest.raises(InvalidInput, match=r"features\.0\.bias is \[95\]"):
        SqueezeNet(judge.read(judge_file(tmp_path / "other", **other)))
    broken = {"features__0__bias": np.full(96, np.nan, np.float32)}
    with pytest.raises(InvalidInput, match="no finite numbers"):
        SqueezeNet(judge.read(judge_file(tmp_path / "broken", **broken)))


def test_losses_that_are_no_numbers_leave_the_checkpoint_as_it_was(wish: styles.Wish) -> None:
    plan = styles.plan(wish, wish.models)
    eyes = SqueezeNet(judge.read(plan.judge))
    style = Style("one", "", "", "", "", style=float("inf"))
    learner = trainer.Trainer(style, plan.painting, eyes, contents.Contents([], 1), 2)
    with pytest.raises(ModelFailed, match="after step 0"):
        learner.run(wish.models / "checkpoint.pt", lambda now: None)
    kept = torch.load(wish.models / "checkpoint.pt", weights_only=True)["network"]
    assert all(bool(torch.isfinite(values).all()) for values in kept.values())


def test_without_torch_the_command_that_installs_it_is_told(wish: styles.Wish, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aimass_stream.training.NEEDED", ("no_such_module",))
    with pytest.raises(Unavailable, match=r"pip install 'aimass-stream\[torch\]'"):
        styles.plan(wish, wish.models)


def test_previews_come_more_rarely_as_less_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: moment[0])
    painted_at, news = [], list[News]()
    reporter = Reporter("one", 400, tmp_path / "preview.jpg", news.append, lambda path: painted_at.append(moment[0]))
    reporter.begin(100)
    for step in range(101, 401):
        moment[0] += 1
        reporter(step, {"style": 1.0})
    pauses = np.diff([100, *painted_at[:-1]])
    assert pauses[0] < pauses[1] < pauses[-1] < 70
    assert news[151].left == pytest.approx(400 - news[151].step, abs=1)
    assert news[-1].shown == 400


@pytest.mark.timeout(180)  # a process that imports torch takes its time on a busy machine
def test_the_command_is_broken_off_and_goes_on(wish: styles.Wish, tmp_path: Path, command: list[str]) -> None:
    """First in a process of its own, that a server's job might end; then here, with what to do now."""
    with subprocess.Popen([sys.executable, "-m", "aimass_stream", *command, "--threads", "1", "--json"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean()) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["step"]:
                break
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=90)
    assert process.returncode == 130, err
    assert json.loads(out.splitlines()[-1]) == {"state": "stopped"}
    work = tmp_path / "training" / "style-my-painting"
    reached = trainer.Trainer.steps_of(work / styles.CHECKPOINT)
    assert reached
    done = here(*command, "--steps", str(reached + 2))
    assert done.code == 0, done.err
    told = done.out.splitlines()
    assert told[0].endswith(str(work / "preview.jpg"))
    assert told[1].startswith(f"step {reached} of {reached + 2}")
    assert '[{"stage": "style", "name": "my-painting"}]' in told[-1]
    assert installed().get("style-my-painting").card["steps"] == reached + 2


def test_the_command_tells_programs(wish: styles.Wish, tmp_path: Path, command: list[str]) -> None:
    told = [json.loads(line) for line in here(*command, "--steps", "2", "--name", "Two", "--json").out.splitlines()]
    assert [each["state"] for each in told] == [*["running"] * (len(told) - 1), "done"]
    assert told[-1]["folder"] == str(tmp_path / "models" / "style-two")


@pytest.fixture
def command(wish: styles.Wish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr("aimass_stream.cli.train.NICE", 0)  # here it is not the command's own process
    return ["train", "style", str(wish.picture), "--loss-weights", str(wish.loss_weights), "--data-dir", str(tmp_path)]


def test_the_command_says_what_is_wrong(wish: styles.Wish, tmp_path: Path) -> None:
    assert "style" in here("train", "--help").out
    shown = here("train", "style", "--help").out
    assert re.search(r"the same\s+command goes on", shown)
    out = tmp_path / "there.png"
    out.write_bytes(b"precious")
    done = here("train", "picture", str(wish.picture), str(wish.picture), "--out", str(out))
    assert done.code == 2
    assert "--force" in done.err
    assert out.read_bytes() == b"precious"
