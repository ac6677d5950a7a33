"""Faces cut out upright and of one size, and what describes them without a network."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..frames import Pixels
from .boxes import Floats

SIDE = 112  # px of a face that was cut out
# where eyes (of the viewer's left first), nose and corners of the mouth lie in it: what networks for faces are trained
# on ("ArcFace", Deng and others 2019)
EYES_NOSE_MOUTH = np.array([(38.29, 51.70), (73.53, 51.50), (56.03, 71.74), (41.55, 92.37), (70.73, 92.20)], np.float32)
EYES_NOSE_MIDDLE = np.concatenate([EYES_NOSE_MOUTH[:3], EYES_NOSE_MOUTH[3:].mean(axis=0, keepdims=True)])
ROOM = 1.15  # of a box without points: the square that is taken, by its longer side

CELLS = 7  # across and down, each with a histogram of its own
PATTERNS = 59  # of local binary patterns: the 58 uniform ones, and all others

Box = tuple[float, float, float, float]  # left, top, right, bottom; px


def aligned(picture: Pixels, box: Box, points: Sequence[tuple[float, float]]) -> Pixels:
    """(112, 112, 3): the face of a BGR picture, eyes level. With five points (eyes, nose, corners of the mouth), with
    six or four (eyes, nose, middle of the mouth, ears), or else as its box lies.
    """
    places = np.array(points, np.float32).reshape(-1, 2)
    if np.isfinite(places).all() and len(places) in (4, 5, 6):
        wanted = EYES_NOSE_MOUTH if len(places) == 5 else EYES_NOSE_MIDDLE
        matrix = similar(places[: len(wanted)], wanted)
    else:
        left, top, right, bottom = box
        scale = SIDE / max(1e-3, ROOM * max(right - left, bottom - top))
        middle = np.array([left + right, top + bottom]) / 2
        matrix = np.concatenate([np.eye(2) * scale, (SIDE / 2 - middle * scale)[:, None]], axis=1)
    shrunk = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if shrunk < 0.5:  # single pixels of a large face would be taken: soften it first
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.4 / max(shrunk, 0.02)), np.uint8)
    return np.asarray(cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR,
                                     borderMode=cv2.BORDER_REPLICATE), np.uint8)


def similar(points: Floats, wanted: Floats) -> Floats:
    """(2, 3): the turn, scale and move that bring points (n, 2) nearest to those wanted, in the least squares.

    "Least-squares estimation of transformation parameters between two point patterns", Umeyama 1991, without mirroring.
    """
    here, there = points.mean(axis=0), wanted.mean(axis=0)
    first, second = (points - here).astype(np.float64), (wanted - there).astype(np.float64)
    spread = max(float((first**2).sum()), 1e-6)
    along = float((first * second).sum()) / spread
    across = float((first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]).sum()) / spread
    turn = np.array([[along, -across], [across, along]])
    return np.concatenate([turn, (there - turn @ here)[:, None]], axis=1).astype(np.float32)


def _uniform() -> Pixels:
    """(256,): the bin of each pattern. Uniform ones change at most twice between 0 and 1 around the circle."""
    table = np.full(256, PATTERNS - 1, np.uint8)
    patterns = [code for code in range(256)
                if bin(code ^ ((code << 1 | code >> 7) & 255)).count("1") <= 2]  # noqa: RUF100
    table[patterns] = np.arange(len(patterns))
    return table


UNIFORM = _uniform()
AROUND = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))  # of a pixel at (1, 1)


def patterns(face: Pixels) -> Floats:
    """(2891,) of length 1: histograms of uniform local binary patterns in 7x7 cells of a face (112, 112, 3).

    "Face description with local binary patterns", Ahonen and others 2006. Roots are taken, so that the product of two
    is their Bhattacharyya coefficient: 1 for the same face in the same light.
    """
    grey = cv2.GaussianBlur(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY), (0, 0), 1.0).astype(np.int16)
    padded = np.pad(grey, 1, mode="edge")
    code = np.zeros(grey.shape, np.uint8)
    for bit, (row, column) in enumerate(AROUND):
        # what is hardly lighter is not: noise would decide
        code |= ((padded[row : row + SIDE, column : column + SIDE] > grey + 1) << bit).astype(np.uint8)
    step = SIDE // CELLS
    cells = UNIFORM[code].reshape(CELLS, step, CELLS, step).transpose(0, 2, 1, 3).reshape(CELLS * CELLS, step * step)
    numbers = cells.astype(np.int64) + np.arange(CELLS * CELLS)[:, None] * PATTERNS
    counts = np.bincount(numbers.reshape(-1), minlength=CELLS * CELLS * PATTERNS).astype(np.float32)
    return np.asarray(np.sqrt(counts / counts.sum()), np.float32)
