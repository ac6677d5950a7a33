"""Who used what, how much, how long it took: counted in memory, written as hours and days every few seconds."""

from __future__ import annotations

from .meter import Meter, Sum
from .sessions import Seen, Sessions
from .usage import Usage
from .used import SPANS, By, Kept, Span, Used

__all__ = ["SPANS", "By", "Kept", "Meter", "Seen", "Sessions", "Span", "Sum", "Usage", "Used"]
