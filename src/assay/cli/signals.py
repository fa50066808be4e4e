"""What batch systems, `docker stop`, `timeout` and closed terminals send is answered as Ctrl-C is."""

from __future__ import annotations

import signal
from types import FrameType

ENDS = ("SIGTERM", "SIGHUP")


def end_as_interrupted() -> None:
    """From now on, end this process by `KeyboardInterrupt`: what is finished is kept, and workers are ended."""
    for number in _known():
        if signal.getsignal(number) != signal.SIG_IGN:  # `nohup` wants it to go on
            signal.signal(number, _interrupt)


def _interrupt(number: int, at: FrameType | None) -> None:
    for each in _known():
        signal.signal(each, signal.SIG_IGN)  # a second one does not stop the tidying up; SIGKILL does
    raise KeyboardInterrupt


def _known() -> list[int]:
    return [getattr(signal, name) for name in ENDS if hasattr(signal, name)]
