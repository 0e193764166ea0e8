"""A child that ends with its parent: it watches a pipe whose other end the parent alone holds.

When the pipe closes, the parent is dead, however it died. This is portable, needs no process in between, and the
child's own children end too, as they are in its group.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

# In the child's environment: the seconds between SIGTERM and SIGKILL once the parent is dead.
VARIABLE = "LEAKY_ZOO_ENDS_WITH_PARENT"


def start_child(
    command: Sequence[str], environment: Mapping[str, str] | None = None, *, grace: float = 0.0, **streams: Any
) -> "subprocess.Popen[bytes]":
    """Start a command that calls `end_with_parent` (`leaky-zoo` does), in a group of its own.

    Args:
        command: program and arguments.
        environment: what is set beside this process's own environment. Default None: nothing.
        grace: seconds from SIGTERM to SIGKILL when this process dies; 0: SIGKILL at once. Default 0.
        **streams: `stdout`, `stderr`, `cwd`, as `subprocess.Popen`.

    Returns:
        The process. Its stdin is the pipe: open until this process ends or closes it.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        env=os.environ | dict(environment or {}) | {VARIABLE: str(grace)},
        start_new_session=True,  # Ctrl-C in a terminal reaches the parent alone, which then stops its children
        **streams,
    )


def end_with_parent() -> None:
    """In a child of `start_child`: end when the parent has died. In any other process nothing happens."""
    grace = os.environ.pop(VARIABLE, None)  # its own children have another stdin
    if grace is None:
        return
    pipe = os.dup(0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    threading.Thread(target=_follow, args=(pipe, float(grace)), daemon=True).start()


def _follow(pipe: int, grace: float) -> None:
    """Wait for the end of the pipe, then end this process and its group."""
    with contextlib.suppress(OSError):
        while os.read(pipe, 1024):
            pass
    if grace:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace)
    kill_group(os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)


def kill_group(pid: int) -> None:
    """SIGKILL for a process that leads its group and for all that it started; no other group is touched."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
