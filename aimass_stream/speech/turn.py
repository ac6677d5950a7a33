"""Has the speaker finished? How long a silence to wait for, by the words before it. Pure."""

from __future__ import annotations

USUAL, LEAST, MOST = 0.5, 0.3, 1.5  # s


def needed_silence(text: str, *, usual: float = USUAL, least: float = LEAST, most: float = MOST) -> float:
    """s of silence after `text` that end the turn."""
    return usual


def looks_finished(text: str) -> bool:
    return False
