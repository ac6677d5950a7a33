"""How a command is ended from outside: by SIGTERM, or by SIGHUP when its terminal is closed, as by Ctrl-C."""

from __future__ import annotations

import signal
from types import FrameType

ENDS = (signal.SIGTERM, signal.SIGHUP)


def as_by_ctrl_c() -> None:
    """From now on whatever a command does for Ctrl-C, it does for these."""
    for each in ENDS:
        if signal.getsignal(each) == signal.SIG_DFL:  # else `nohup` started us
            signal.signal(each, _end)


def _end(number: int, frame: FrameType | None) -> None:
    for each in ENDS:  # `timeout` and a closed terminal send them twice, which is no second wish to end at once
        signal.signal(each, signal.SIG_IGN)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in the background of a script
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)
