"""Where the places lie that a network's outputs speak of."""

from __future__ import annotations

import functools

import numpy as np

from .boxes import Floats


def cells(width: int, height: int, each: int = 1) -> Floats:
    """Column and row of every cell of a map, (height*width*each, 2), row by row."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return np.repeat(np.stack([columns.ravel(), rows.ravel()], axis=1), each, axis=0).astype(np.float32)


@functools.cache
def grid(width: int, height: int, strides: tuple[int, ...]) -> tuple[Floats, Floats]:
    """For maps of these strides (px) behind each other: cells (n, 2) and the stride of each, (n, 1)."""
    maps = [(cells(width // stride, height // stride), stride) for stride in strides]
    return (np.concatenate([places for places, _ in maps]),
            np.concatenate([np.full((len(places), 1), stride, np.float32) for places, stride in maps]))


@functools.cache
def centres(size: int, maps: tuple[tuple[int, int], ...]) -> Floats:
    """MediaPipe's anchors, all of one size: the middles of cells in px of an input of `size`, (n, 2).

    `maps` are (cells across, anchors in each). See `ssd_anchors_calculator` in MediaPipe's source.
    """
    return np.concatenate([(cells(across, across, each) + 0.5) * (size / across) for across, each in maps])


@functools.cache
def priors(width: int, height: int, strides: tuple[int, ...], sizes: tuple[tuple[int, ...], ...]) -> Floats:
    """SSD's prior boxes as centre and size in px, (n, 4): for each cell one square of each of its map's sizes."""
    made: list[Floats] = []
    for stride, squares in zip(strides, sizes, strict=True):
        across, down = -(-width // stride), -(-height // stride)
        middles = (cells(across, down, len(squares)) + 0.5) * stride
        each = np.tile(np.repeat(np.array(squares, np.float32)[:, None], 2, axis=1), (across * down, 1))
        made.append(np.concatenate([middles, each], axis=1))
    return np.concatenate(made)
