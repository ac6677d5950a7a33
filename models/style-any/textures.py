"""Pictures in many manners, drawn by code: styles for the training, of which there are no paintings.

Every maker draws what a painter's tool leaves, in the colours of a palette by lot: strokes along a flow, swirls,
hatching, dots, mosaics, facets, washes, flat areas with outlines. Half of them paint after a photograph, as far as its
tones go (Hertzmann, *Painterly Rendering with Curved Brush Strokes*, 1998, is where the strokes come from; Cabral and
Leedom, *Line Integral Convolution*, 1993, the swirls).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from aimass_stream.training.contents import Array, clouds, shapes, waves

Rng: TypeAlias = np.random.Generator
Maker: TypeAlias = Callable[[Rng, Array, Array], Array]  # (tones (h, w), palette (k, 3))


def palette(rng: Rng) -> Array:
    """(k, 3) from dark to light: colours near to a few hues, or of all kinds."""
    count = int(rng.integers(3, 9))
    light = np.sort(rng.uniform(0.02, 1, count) ** rng.uniform(0.3, 1.2))
    hues = rng.random(int(rng.integers(1, 5)))
    hue = (rng.choice(hues, count) + rng.normal(0, 0.06, count)) % 1
    full = np.clip(rng.uniform(0, 0.9) * rng.uniform(0.4, 1.4, count), 0, 1)
    hsv = np.stack([360 * hue, full, light], 1).astype(np.float32)
    return np.asarray(cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0], np.float32)


def coloured(tones: NDArray[np.floating], colours: Array) -> Array:
    """Tones (h, w), 0 to 1, in a palette."""
    at = np.clip(tones, 0, 1) * (len(colours) - 1)
    low = np.minimum(at.astype(int), len(colours) - 2)
    share = (at - low)[..., None]
    return np.asarray(colours[low] * (1 - share) + colours[low + 1] * share, np.float32)


def tones(rng: Rng, size: int) -> Array:
    """(size, size) of 0 to 1: what is shown, without colours."""
    made = (clouds, shapes, waves)[int(rng.integers(3))](rng, size).mean(2)
    low, high = np.percentile(made, [2, 98])
    return np.asarray(np.clip((made - low) / max(high - low, 1e-3), 0, 1), np.float32)


def flow(rng: Rng, shown: Array) -> tuple[Array, Array]:
    """Where strokes run: along what is shown, and whirled (h, w) each."""
    size = shown.shape[0]
    smooth = cv2.GaussianBlur(shown, (0, 0), size * float(rng.uniform(0.01, 0.05)))
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    turn = 2 * math.pi * clouds(rng, size, 1)[..., 0] * float(rng.uniform(0.3, 2))
    share = float(rng.uniform(0, 1)) * float(np.hypot(across, down).mean())
    x, y = -down + share * np.cos(turn), across + share * np.sin(turn)
    length = np.hypot(x, y) + 1e-6
    return np.asarray(x / length, np.float32), np.asarray(y / length, np.float32)


def strokes(rng: Rng, shown: Array, colours: Array) -> Array:
    """Layers of brush strokes, large ones first."""
    size = shown.shape[0]
    x, y = flow(rng, shown)
    wanted = coloured(shown, colours)
    picture = np.ascontiguousarray(cv2.GaussianBlur(wanted, (0, 0), 8.0))
    width, loose = float(rng.uniform(3, 9)), float(rng.uniform(0.02, 0.15))
    long = float(rng.uniform(2, 7))
    for layer in range(2):
        wide = max(width / (1 + 1.5 * layer), 1.2)
        count = int(min(1.2 * size * size / (wide * wide * long), 1800))
        places = rng.integers(0, size, (count, 2))
        tints = wanted[places[:, 1], places[:, 0]] + rng.normal(0, loose, (count, 1))
        tints = tints + rng.normal(0, loose / 2, (count, 3))
        lines = _walked(places.astype(np.float32), x, y, wide * long / 4)
        for line, tint in zip(lines, tints, strict=True):
            cv2.polylines(picture, [line], False, tuple(map(float, tint)), max(round(wide), 1), cv2.LINE_AA)
    return np.asarray(picture, np.float32)


def _walked(places: Array, x: Array, y: Array, step: float) -> NDArray[np.int32]:
    """Lines of five points along the flow, (count, 5, 2)."""
    size = x.shape[0]
    line = [places]
    for _ in range(4):
        at = np.clip(line[-1], 0, size - 1).astype(int)
        along = np.stack([x[at[:, 1], at[:, 0]], y[at[:, 1], at[:, 0]]], 1)
        line.append(np.asarray(line[-1] + step * along, np.float32))
    return np.asarray(np.stack(line, 1), np.int32)


def swirls(rng: Rng, shown: Array, colours: Array) -> Array:
    """Grain that is drawn out along the flow."""
    size = shown.shape[0]
    x, y = flow(rng, shown)
    grain = cv2.GaussianBlur(rng.random((size, size)).astype(np.float32), (0, 0), float(rng.uniform(0.8, 2.2)))
    places = np.stack(np.meshgrid(np.arange(size), np.arange(size)), 2).astype(np.float32)
    total = np.zeros_like(grain)
    for way in (1.0, -1.0):
        at = places.copy()
        for _ in range(int(rng.integers(5, 12))):
            step = cv2.remap(np.dstack([x, y]), at, None, cv2.INTER_NEAREST,  # type: ignore[call-overload]
                             borderMode=cv2.BORDER_REFLECT)
            at = at + way * 1.5 * step
            total += cv2.remap(grain, at, None, cv2.INTER_LINEAR,  # type: ignore[call-overload]
                               borderMode=cv2.BORDER_REFLECT)
    total = (total - total.mean()) / (total.std() + 1e-6)
    return coloured(np.clip(shown + total * rng.uniform(0.05, 0.25), 0, 1), colours)


def hatching(rng: Rng, shown: Array, colours: Array) -> Array:
    """Ink on paper: darker parts have lines in more directions."""
    size = shown.shape[0]
    y, x = np.mgrid[:size, :size].astype(np.float32)
    turn, every = float(rng.uniform(0, math.pi)), float(rng.uniform(4, 11))
    bend = 8 * clouds(rng, size, 1)[..., 0] * float(rng.uniform(0, 3))
    ink = np.zeros_like(shown)
    for number, level in enumerate((0.75, 0.5, 0.28)):
        angle = turn + number * float(rng.uniform(0.5, 1.2))
        wave = np.sin((x * math.cos(angle) + y * math.sin(angle) + bend) * 2 * math.pi / every)
        ink = np.maximum(ink, np.clip((wave - 0.1) * 4, 0, 1) * (shown < level))
    paper = coloured(0.6 + 0.4 * shown, colours) if rng.random() < 0.6 else coloured(np.ones_like(shown), colours)
    return np.asarray(paper + (colours[0] - paper) * ink[..., None], np.float32)


def dots(rng: Rng, shown: Array, colours: Array) -> Array:
    """Points of pure colour."""
    size = shown.shape[0]
    picture = np.ascontiguousarray(coloured(np.full_like(shown, rng.uniform(0, 1)), colours))
    reach = float(rng.uniform(1.5, 5))
    count = int(min(1.6 * size * size / (reach * reach * 3), 5000))
    places = rng.integers(0, size, (count, 2))
    loose = float(rng.uniform(0.02, 0.2))
    tints = coloured(shown[places[:, 1], places[:, 0]][None], colours)[0] + rng.normal(0, loose, (count, 3))
    for place, tint in zip(places, tints, strict=True):
        cv2.circle(picture, (int(place[0]), int(place[1])), max(round(reach), 1), tuple(map(float, tint)), -1,
                   cv2.LINE_AA)
    return picture


def mosaic(rng: Rng, shown: Array, colours: Array) -> Array:
    """Stones of one colour each, with joints between."""
    size = shown.shape[0]
    count = int(rng.integers(60, 900))
    marks = np.full((size, size), 255, np.uint8)
    places = rng.integers(0, size, (count, 2))
    marks[places[:, 1], places[:, 0]] = 0
    _, labels = cv2.distanceTransformWithLabels(marks, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    most = int(labels.max()) + 1
    mean = np.bincount(labels.ravel(), shown.ravel(), most) / np.maximum(np.bincount(labels.ravel(), minlength=most), 1)
    tint = coloured(mean[None], colours)[0] + rng.normal(0, rng.uniform(0, 0.1), (most, 3))
    picture = np.asarray(tint[labels], np.float32)
    if rng.random() < 0.7:
        edge = cv2.dilate((cv2.Laplacian(labels.astype(np.float32), cv2.CV_32F) != 0).astype(np.float32),
                          np.ones((2, 2), np.uint8))
        picture += (colours[0 if rng.random() < 0.6 else -1] - picture) * edge[..., None]
    return picture


def facets(rng: Rng, shown: Array, colours: Array) -> Array:
    """Planes that cut through each other, shaded to one side."""
    size = shown.shape[0]
    picture = np.ascontiguousarray(coloured(shown, colours))
    for _ in range(int(rng.integers(15, 60))):
        centre = rng.integers(0, size, 2)
        points = centre + rng.normal(0, size * rng.uniform(0.04, 0.2), (int(rng.integers(3, 6)), 2))
        mask = np.zeros((size, size), np.float32)
        cv2.fillPoly(mask, [points.astype(np.int32)], 1.0, cv2.LINE_AA)
        turn = float(rng.uniform(0, 2 * math.pi))
        ramp = np.linspace(-1, 1, size, dtype=np.float32)
        shade = ramp[None] * math.cos(turn) + ramp[:, None] * math.sin(turn)
        tint = colours[int(rng.integers(len(colours)))] * (1 + rng.uniform(0, 0.8) * shade[..., None])
        picture += (tint - picture) * (mask * rng.uniform(0.4, 1))[..., None]
        if rng.random() < 0.3:
            cv2.polylines(picture, [points.astype(np.int32)], True, tuple(map(float, colours[0])), 1, cv2.LINE_AA)
    return picture


def wash(rng: Rng, shown: Array, colours: Array) -> Array:
    """Thin colour that runs on rough paper."""
    size = shown.shape[0]
    picture = np.ones((size, size, 3), np.float32) * colours[-1]
    for level in np.linspace(0.9, 0.1, int(rng.integers(3, 8))):
        rough = cv2.GaussianBlur(shown + 0.25 * (clouds(rng, size, 1)[..., 0] - 0.5), (0, 0), float(rng.uniform(1, 4)))
        mask = 1 / (1 + np.exp(np.clip((rough - level) * rng.uniform(20, 120), -30, 30)))
        rim = np.clip(mask - cv2.GaussianBlur(mask, (0, 0), 3.0), 0, 1) * rng.uniform(0, 0.8)
        tint = coloured(np.full((1, 1), level), colours)[0, 0]
        picture += (tint - picture) * (mask * rng.uniform(0.4, 0.9))[..., None] - rim[..., None] * 0.4
    grain = cv2.GaussianBlur(rng.normal(0, 1, (size, size)).astype(np.float32), (0, 0), float(rng.uniform(0.6, 1.5)))
    return np.asarray(picture + grain[..., None] * rng.uniform(0, 0.08), np.float32)


def woodcut(rng: Rng, shown: Array, colours: Array) -> Array:
    """Flat areas with dark outlines."""
    smooth = cv2.GaussianBlur(shown, (0, 0), float(rng.uniform(1, 4)))
    steps = len(colours)
    flat = np.minimum((smooth * steps).astype(int), steps - 1)
    picture = np.asarray(colours[flat], np.float32)
    edge = (np.abs(cv2.Laplacian(flat.astype(np.float32), cv2.CV_32F)) > 0).astype(np.float32)
    edge = cv2.GaussianBlur(cv2.dilate(edge, np.ones((int(rng.integers(1, 4)),) * 2, np.uint8)), (0, 0), 0.7)
    picture = picture + (colours[0] * 0.5 - picture) * np.clip(edge, 0, 1)[..., None]
    return np.asarray(picture + rng.normal(0, rng.uniform(0, 0.04), picture.shape[:2])[..., None], np.float32)


def plain(rng: Rng, shown: Array, colours: Array) -> Array:
    return coloured(shown, colours)


MAKERS: tuple[Maker, ...] = (strokes, strokes, strokes, swirls, swirls, hatching, dots, mosaic, facets, wash, woodcut,
                             plain)


def drawn(rng: Rng, size: int, photograph: Array | None = None) -> Array:
    """(size, size, 3) in a manner by lot; after a photograph (size, size, 3) where one is given."""
    shown = tones(rng, size) if photograph is None else np.asarray(photograph.mean(2), np.float32)
    picture = MAKERS[int(rng.integers(len(MAKERS)))](rng, shown, palette(rng))
    if photograph is not None and rng.random() < 0.5:  # in its own colours, more or less
        tint = cv2.GaussianBlur(photograph - photograph.mean(2, keepdims=True), (0, 0), 3.0)
        grey = picture.mean(2, keepdims=True)
        picture = grey + tint * rng.uniform(0.7, 2) + (picture - grey) * rng.uniform(0, 0.5)
    return np.asarray(np.clip(picture, 0, 1), np.float32)
