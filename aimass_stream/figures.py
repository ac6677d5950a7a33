"""Numbers for people."""

from __future__ import annotations


def short(value: float) -> str:
    """Three digits that mean something, and never an exponent: 0.0123, 237, 1380."""
    text = f"{value:.3g}"
    if "e" not in text:
        return text
    return f"{float(text):.0f}" if abs(value) > 1 else f"{float(text):.15f}".rstrip("0").rstrip(".")
