"""The picture that samples of styles are painted from: a bay in the evening, drawn by code."""

from __future__ import annotations

import cv2
import numpy as np

from ..frames import Pixels
from .contents import Array

HORIZON = 0.58  # of the height
SUN = (0.66, 0.4)  # of width and height
HEIGHTS = (0.0, 0.45, 0.8, 1.0)  # of the sky, with its colours there
SKY = np.array(((0.2, 0.3, 0.55), (0.62, 0.62, 0.72), (0.97, 0.78, 0.55), (0.98, 0.62, 0.42)))
RIDGES = ((0.53, 0.10, 3.1, 0.4, (0.44, 0.44, 0.58)), (0.57, 0.07, 5.3, 2.1, (0.3, 0.33, 0.45)))
SHORE, LEAVES, SAIL, HULL = (0.12, 0.2, 0.14), (0.16, 0.34, 0.18), (0.97, 0.94, 0.88), (0.45, 0.16, 0.12)


def scene(width: int, height: int) -> Array:
    """(height, width, 3) RGB, 0 to 1: a sun over the sea, hills, clouds, a boat and a tree, with texture everywhere,
    for a flat surface shows little of a style."""
    rng = np.random.default_rng(5)
    picture = _sky(width, height, rng)
    x = np.arange(width) / width
    for base, high, waves, phase, colour in RIDGES:
        ridge = base - high * (0.5 + 0.3 * np.sin(waves * 2 * x + phase) + 0.2 * np.sin(waves * 5 * x + 2 * phase))
        below = np.arange(height)[:, None] / height > ridge[None]
        picture[below] = np.array(colour) + 0.06 * _grain(width, height, rng, 6)[below][:, None]
    _sea(picture, rng)
    _boat(picture)
    _shore(picture, rng)
    return np.asarray(np.clip(picture, 0, 1), np.float32)


def pixels(width: int, height: int) -> Pixels:
    """The same, BGR."""
    return np.ascontiguousarray(np.rint(255 * scene(width, height))[:, :, ::-1]).astype(np.uint8)


def _grain(width: int, height: int, rng: np.random.Generator, size: float, stretch: float = 1.0) -> Array:
    """Smooth noise (height, width) of deviation 1; `size` and its `stretch` across are of 480 px of height."""
    sigma = max(0.5, size * height / 480)
    noise = cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), sigma * stretch, sigmaY=sigma)
    return np.asarray(noise / noise.std(), np.float32)


def _sky(width: int, height: int, rng: np.random.Generator) -> Array:
    y = np.arange(height) / (height * HORIZON)
    sky = np.stack([np.interp(y, HEIGHTS, SKY[:, channel]) for channel in range(3)], axis=1)[:, None]
    clouds = np.clip(_grain(width, height, rng, 16, 4) - 0.4, 0, 1.4)[:, :, None]
    clouds *= np.clip(1.1 - y, 0, 1)[:, None, None]
    down, across = np.mgrid[:height, :width]
    away = np.hypot(across - SUN[0] * width, down - SUN[1] * height) / height
    picture = sky + 0.28 * clouds * np.array((1, 0.8, 0.66)) + 0.36 * np.exp(-7 * away)[:, :, None] * (1, 0.8, 0.4)
    picture[away < 0.07] = (1, 0.98, 0.86)
    return np.asarray(picture + 0.02 * _grain(width, height, rng, 3, 2)[:, :, None], np.float32)


def _sea(picture: Array, rng: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    top = round(HORIZON * height)
    depth = np.linspace(0, 1, height - top)[:, None, None]
    water = (1 - depth) * np.array((0.75, 0.6, 0.56)) + depth * np.array((0.1, 0.25, 0.38))
    waves = _grain(width, height, rng, 2.5, 7)[top:, :, None]
    gleam = np.exp(-(((np.arange(width) / width - SUN[0]) / 0.07) ** 2))[None, :, None] * np.clip(waves + 0.3, 0, 2)
    picture[top:] = water + 0.07 * waves + 0.4 * gleam * np.array((1, 0.75, 0.45))


def _boat(picture: Array) -> None:
    height, width = picture.shape[:2]

    def fill(points: list[tuple[float, float]], colour: tuple[float, float, float]) -> None:
        corners = np.array([[(0.36 + across * height / width) * width, down * height] for across, down in points])
        cv2.fillPoly(picture, [np.rint(corners).astype(np.int32)], colour, cv2.LINE_AA)

    fill([(0.0, 0.4), (0.0, 0.66), (0.13, 0.66)], SAIL)
    fill([(-0.015, 0.44), (-0.015, 0.66), (-0.1, 0.66)], (0.9, 0.72, 0.5))
    fill([(-0.12, 0.675), (0.15, 0.675), (0.1, 0.725), (-0.08, 0.725)], HULL)


def _shore(picture: Array, rng: np.random.Generator) -> None:
    """With a tree on the left, whose crown is of many leaves."""
    height, width = picture.shape[:2]
    x = np.arange(width) / width
    edge = 0.97 - 0.13 * np.exp(-4 * x) - 0.015 * np.sin(17 * x)
    below = np.arange(height)[:, None] / height > edge[None]
    picture[below] = np.array(SHORE) + 0.05 * _grain(width, height, rng, 2)[below][:, None]
    trunk = np.array([[0.085, 0.9], [0.1, 0.6], [0.09, 0.4], [0.115, 0.4], [0.125, 0.6], [0.135, 0.9]])
    cv2.fillPoly(picture, [np.rint(trunk * (width, height)).astype(np.int32)], (0.2, 0.13, 0.1), cv2.LINE_AA)
    for _ in range(420):
        angle, reach = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform())
        across = round((0.11 + 0.13 * reach * np.cos(angle)) * width)
        down = round((0.3 + 0.2 * reach * np.sin(angle)) * height)
        shade = np.array(LEAVES) * rng.uniform(0.6, 1.5) + np.array((0.12, 0.06, 0)) * np.cos(angle)
        size = max(1, round(rng.uniform(0.012, 0.028) * height))
        cv2.ellipse(picture, (across, down), (size, max(1, size // 2)), float(rng.uniform(0, 180)), 0, 360,
                    tuple(map(float, shade)), -1, cv2.LINE_AA)
