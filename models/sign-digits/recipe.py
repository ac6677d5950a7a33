"""How "sign digits" is made: a small perceptron reads the digit that a hand shows from the hand's 21 points.

    python models/sign-digits/recipe.py [PATH OF sign_digits.tar]

takes the pictures of the Sign Language Digits Dataset (218 people, each shows every digit once), finds the points
with the networks that the stage `hands` uses, trains (numpy; the points take four minutes of one core, all networks
half of one), writes ``model.onnx`` and what was measured into ``model.toml``.

The file numbers run by person, 0 to 9 for each, so a person begins where the digit falls: that finds 217. Some left a
digit out, so that two may count as one, or show two in another order, which cuts their pictures in two parts beside
each other. The parts to train and to test on are whole ranges of numbers that meet where a 0 follows a 9, with one
person left out between them: nobody is in both.

    points n×42 ─ 42→64 ─ relu ─ 64→64 ─ relu ─ 64→10 ─ softmax
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import tarfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from aimass_stream.inference import CpuDevice, Model, installed
from aimass_stream.seeing.detector import Detector, Wish
from aimass_stream.vision.hands import Square, back, cut, of_palm, of_points
from aimass_stream.vision.signs import VALUES, normal

Array: TypeAlias = NDArray[np.float32]
Weights: TypeAlias = list[tuple[Array, Array]]

HERE = Path(__file__).parent
PICTURES = HERE.parents[2] / "shared" / "data" / "images" / "sign_digits.tar"

SIZE = 224  # px, the side of what the network of points takes
ENLARGED = 300  # px: pictures are 100 px wide, and a palm that fills the picture is found badly
MARGIN = (170, 90)  # px of its edges' colours around it, so that it lies in a picture of 640x480
SURE = 0.5  # least score of a palm and of a hand, as in the stage
WARPS = 1  # turned, scaled and moved versions of each picture, beside itself, to train on
HIDDEN = 64
STEPS, BATCH, RATE, DECAY = 6000, 256, 3e-3, 1e-3
JITTER = 0.02  # palms, of noise on points
SLANT = 0.1  # of the random slants and stretches that points are trained with
TEST = 0.2  # share of the people, the last ones
FOLDS = 5


@dataclass(frozen=True)
class Sign:
    person: int
    digit: int
    picture: NDArray[np.uint8]  # (100, 100, 3), BGR


def read(path: Path) -> list[Sign]:
    """All pictures, in the order they were taken."""
    found: list[tuple[str, int, NDArray[np.uint8]]] = []
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            content = archive.extractfile(member) if member.name.endswith(".jpg") else None
            if content is not None:
                rgb = np.asarray(Image.open(io.BytesIO(content.read())).convert("RGB"))
                folder, name = member.name.split("/")[-2:]
                found.append((name, int(folder), np.ascontiguousarray(rgb[..., ::-1])))
    signs: list[Sign] = []
    person, last = 0, -1
    for _, digit, picture in sorted(found, key=lambda each: each[:2]):
        person += digit < last
        last = digit
        signs.append(Sign(person, digit, picture))
    return signs


def cuts(signs: list[Sign], parts: int) -> list[int]:
    """Where each of so many equal parts begins and the last one ends: always where a 0 follows a 9."""
    clean = [row for row in range(1, len(signs)) if signs[row].digit == 0 and signs[row - 1].digit == 9]
    wanted = [len(signs) * part / parts for part in range(1, parts)]
    return [0, *(min(clean, key=lambda row: abs(row - place)) for place in wanted), len(signs)]


# points --------------------------------------------------------------------------------------------------


class Finder:
    """Points of the hand in a picture, found as the stage does it in the second picture of a hand that stays."""

    def __init__(self) -> None:
        store, device = installed(), CpuDevice()
        self.palms = Detector(store.get("mediapipe-palms"))
        self._palms: Model = store.open("mediapipe-palms", device)
        self._points: Model = store.open("mediapipe-hand", device)

    def find(self, picture: NDArray[np.uint8]) -> Array | None:
        """(42,), or None where no palm or no hand is found."""
        batch, place, size = self.palms.input.prepare(picture)
        outputs = self._palms.run(batch)
        shape = (picture.shape[1], picture.shape[0])
        palms = self.palms.read(outputs, place, size, shape, Wish(SURE, 0.3, 1))
        if not palms:
            return None
        points = self.look(picture, of_palm(palms[0].box, np.array(palms[0].points, np.float32)))
        points = None if points is None else self.look(picture, of_points(points))
        return None if points is None else normal(points)

    def look(self, picture: NDArray[np.uint8], square: Square) -> Array | None:
        """(21, 2), px."""
        rgb = cut(picture, square, SIZE)[..., ::-1]
        outputs = self._points.run({"input_1": np.multiply(rgb, np.float32(1 / 255), dtype=np.float32)[None]})
        if not outputs["Identity_1"][0, 0] >= SURE:
            return None
        return back(outputs["Identity"].reshape(21, 3)[:, :2], square, SIZE)


def framed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """In the size of a camera's picture."""
    large = cv2.resize(picture, (ENLARGED, ENLARGED), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.copyMakeBorder(large, MARGIN[1], MARGIN[1], MARGIN[0], MARGIN[0], cv2.BORDER_REPLICATE),
                      np.uint8)


def warped(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """As another camera might see it: turned, nearer or farther, slanted, lighter or darker, mirrored."""
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.normal(0, 20)), float(rng.uniform(0.6, 1.15)))
    turn[:, :2] = turn[:, :2] @ (np.eye(2) + rng.normal(0, 0.06, (2, 2)))
    middle = np.array([width / 2, height / 2])
    turn[:, 2] = middle - turn[:, :2] @ middle + rng.normal(0, 12, 2)
    made = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    light = np.clip((made / 255.0) ** rng.uniform(0.7, 1.4) * rng.uniform(0.7, 1.2), 0, 1) * 255
    return np.ascontiguousarray(light[:, :: rng.choice([1, -1])].astype(np.uint8))


# the network ---------------------------------------------------------------------------------------------


def train(values: Array, digits: NDArray[np.int64], rng: np.random.Generator) -> Weights:
    """Adam with decoupled decay (Loshchilov and Hutter 2019) on cross-entropy."""
    sizes = (VALUES, HIDDEN, HIDDEN, 10)
    weights: Weights = [(np.asarray(rng.normal(size=(size, following)) * np.sqrt(2 / size), np.float32),
                         np.zeros(following, np.float32)) for size, following in pairwise(sizes)]
    flat = [array for layer in weights for array in layer]
    first, second = [np.zeros_like(array) for array in flat], [np.zeros_like(array) for array in flat]
    for step in range(1, STEPS + 1):
        rows = rng.integers(len(values), size=BATCH)
        slants = (np.eye(2) + rng.normal(0, SLANT, (BATCH, 2, 2))).astype(np.float32)
        slanted = (values[rows].reshape(BATCH, VALUES // 2, 2) @ slants).reshape(BATCH, VALUES)
        noisy = slanted + rng.normal(0, JITTER, (BATCH, VALUES)).astype(np.float32)
        gradients = slopes(weights, noisy, digits[rows])
        rate = RATE * 0.5 * (1 + np.cos(np.pi * step / STEPS))
        for array, gradient, mean, square in zip(flat, gradients, first, second, strict=True):
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient**2 - square)
            array -= rate * (mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8) + DECAY * array)
    return weights


def slopes(weights: Weights, values: Array, digits: NDArray[np.int64]) -> list[Array]:
    """Of the mean cross-entropy, for each matrix and its biases."""
    layers = [values]
    for matrix, bias in weights[:-1]:
        layers.append(np.maximum(layers[-1] @ matrix + bias, 0))
    error = chances(weights, values)
    error[np.arange(len(digits)), digits] -= 1
    error /= len(digits)
    found: list[Array] = []
    for number in range(len(weights) - 1, -1, -1):
        found = [layers[number].T @ error, error.sum(axis=0), *found]
        error = (error @ weights[number][0].T) * (layers[number] > 0)
    return found


def chances(weights: Weights, values: Array) -> Array:
    for matrix, bias in weights[:-1]:
        values = np.maximum(values @ matrix + bias, 0)
    logits = values @ weights[-1][0] + weights[-1][1]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def graph(weights: Weights) -> bytes:
    nodes, tensors, name = [], [], "points"
    for number, (matrix, bias) in enumerate(weights):
        tensors += [numpy_helper.from_array(matrix, f"matrix{number}"), numpy_helper.from_array(bias, f"bias{number}")]
        nodes.append(helper.make_node("Gemm", [name, f"matrix{number}", f"bias{number}"], [f"sum{number}"]))
        last = number == len(weights) - 1
        nodes.append(helper.make_node("Softmax" if last else "Relu", [f"sum{number}"],
                                      [name := "chances" if last else f"layer{number}"]))
    made = helper.make_model(helper.make_graph(
        nodes, "sign-digits", [helper.make_tensor_value_info("points", TensorProto.FLOAT, ["n", VALUES])],
        [helper.make_tensor_value_info("chances", TensorProto.FLOAT, ["n", 10])], tensors),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=9, producer_name="recipe.py")
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


# measuring -----------------------------------------------------------------------------------------------


@dataclass
class Points:
    """Of all pictures, in their order: themselves, and warped for training."""

    plain: list[Array | None]
    warped: list[list[Array]]


def collect(signs: list[Sign], rng: np.random.Generator) -> Points:
    finder = Finder()
    found = Points([], [])
    for sign in signs:
        picture = framed(sign.picture)
        found.plain.append(finder.find(picture))
        versions = [finder.find(warped(picture, rng)) for _ in range(WARPS)]
        found.warped.append([values for values in versions if values is not None])
    return found


def learn(signs: list[Sign], points: Points, chosen: set[int], rng: np.random.Generator) -> Weights:
    values: list[Array] = []
    digits: list[int] = []
    for row in sorted(chosen):
        plain = points.plain[row]
        versions = [*points.warped[row], *([] if plain is None else [plain])]
        values += versions
        digits += [signs[row].digit] * len(versions)
    return train(np.stack(values), np.array(digits, np.int64), rng)


def others(signs: list[Sign], begin: int, end: int) -> set[int]:
    """All rows but those, and but the person before and the one behind."""
    near = {signs[row].person for row in range(begin, end)}
    near |= {min(near) - 1, max(near) + 1}
    return {row for row in range(len(signs)) if signs[row].person not in near}


def right(weights: Weights, signs: list[Sign], points: Points, rows: range) -> tuple[int, int, list[tuple[int, int]]]:
    """How many are read rightly, in how many a hand was found, and what was taken for what."""
    seen = [row for row in rows if points.plain[row] is not None]
    said = chances(weights, np.stack([values for row in seen if (values := points.plain[row]) is not None])).argmax(1)
    wrong = [(signs[row].digit, int(digit)) for row, digit in zip(seen, said, strict=True)
             if signs[row].digit != digit]
    return len(seen) - len(wrong), len(seen), wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pictures", type=Path, nargs="?", default=PICTURES)
    parser.add_argument("--points", type=Path, help="keep what was found in the pictures here, to train again quickly")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    begun, rng = time.process_time(), np.random.default_rng(10)
    signs = read(given.pictures)
    print(len(signs), "pictures of", signs[-1].person + 1, "people")
    if given.points and given.points.is_file():
        points = Points(*np.load(given.points, allow_pickle=True)["points"])
    else:
        points = collect(signs, rng)
        if given.points:
            kept = np.empty(2, object)
            kept[:] = [points.plain, points.warped]
            np.savez(given.points, points=kept)
    print(sum(values is not None for values in points.plain), "hands found")
    measured = measure(signs, points, rng)
    begin = cuts(signs, round(1 / TEST))[-2]
    weights = learn(signs, points, others(signs, begin, len(signs)), rng)
    good, seen, wrong = right(weights, signs, points, range(begin, len(signs)))
    people = len({sign.person for sign in signs[begin:]})
    count = len(signs) - begin
    measured["people_not_trained_on"] = (
        f"{people} people, {count} pictures: {good / count:.1%} read rightly with the {count - seen} in which no hand "
        f"is found counted as wrong, {good / seen:.1%} without them")
    measured["taken_for_another"] = ", ".join(f"{one} for {other}" for one, other in sorted(wrong)) or "none"
    measured["training_seconds"] = round(time.process_time() - begun)
    write(graph(weights), measured)
    for name, value in measured.items():
        print(name, "=", value)


def measure(signs: list[Sign], points: Points, rng: np.random.Generator) -> dict[str, Any]:
    """With each fifth of the people left out in turn."""
    places = cuts(signs, FOLDS)
    good = seen = 0
    for begin, end in pairwise(places):
        weights = learn(signs, points, others(signs, begin, end), rng)
        found = right(weights, signs, points, range(begin, end))
        good, seen = good + found[0], seen + found[1]
    return {"each_fifth_of_the_people_in_turn": (
        f"{good / len(signs):.1%} of all {len(signs)} pictures, {good / seen:.1%} of the {seen} in which a hand is "
        "found, by networks that were trained on the other people")}


def write(content: bytes, measured: dict[str, Any]) -> None:
    (HERE / "model.onnx").write_bytes(content)
    text = (HERE / "model.toml").read_text(encoding="utf-8")
    text = re.sub(r"^size = .*$", f"size = {len(content)}", text, flags=re.M)
    text = re.sub(r"^sha256 = .*$", f'sha256 = "{hashlib.sha256(content).hexdigest()}"', text, flags=re.M)
    head, _, card = text.partition("[card]")
    kept = [line for line in card.splitlines()[1:] if line.partition(" = ")[0] not in measured and line.strip()]
    lines = [f"{name} = {value}" if isinstance(value, int) else f'{name} = "{value}"'
             for name, value in measured.items()]
    written = "\n".join([f"{head}[card]  # written by recipe.py", *lines, *kept])
    (HERE / "model.toml").write_text(f"{written}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
