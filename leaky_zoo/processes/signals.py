"""SIGTERM and Ctrl-C during a run: noted, and honoured where a checkpoint can be written."""

import signal
import threading
from types import FrameType
from typing import Any

from leaky_zoo.errors import Terminated


class StopRequest:
    """While entered, SIGTERM and SIGINT only set a mark; a second one acts at once.

    Python would raise `KeyboardInterrupt` between a training step and its bookkeeping. Outside the main thread, where
    Python allows no handlers, signals do what they did before.

    Example:
    >>> with StopRequest() as request:
    ...     request.requested
    False
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.signal is not None

    def raise_if_requested(self, message: str) -> None:
        """End the run as the signal asks.

        Raises:
            Terminated: for SIGTERM (exit code 143).
            KeyboardInterrupt: for SIGINT (exit code 130).
        """
        if self.signal is not None:
            received, self.signal = self.signal, None
            raise KeyboardInterrupt(message) if received == signal.SIGINT else Terminated(message)

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
        if kind is None:
            self.raise_if_requested("The run was complete.")

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated("Not saved since the last checkpoint.")
        self.signal = number
