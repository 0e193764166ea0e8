"""SIGTERM and Ctrl-C: noted, and honoured where a process can end well."""

import signal
import threading
from types import FrameType
from typing import Any, Self

from leaky_zoo.errors import Terminated


class NotedSignal:
    """While entered, SIGTERM and SIGINT only set a mark: the first one that came.

    Outside the main thread, where Python allows no handlers, signals do what they did before.

    Attributes:
        signal: number of the first signal, or None.

    Example:
    >>> with NotedSignal() as noted:
    ...     noted.requested
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

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = number


class StopRequest(NotedSignal):
    """A `NotedSignal` for a run in this process: a second signal acts at once, and the end of the block on the first.

    Python would raise `KeyboardInterrupt` between a training step and its bookkeeping.
    """

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        super().__exit__(kind, error, trace)
        if kind is None:
            self.raise_if_requested("The run was complete.")

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated("Not saved since the last checkpoint.")
        super()._note(number, frame)
