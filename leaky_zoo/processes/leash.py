"""`python -m leaky_zoo.processes.leash ARGUMENTS`: the `leaky-zoo` command, on a leash.

Stdin is a pipe whose other end the sweep holds. When it closes, the sweep (or the Dask worker) is dead, however it
died: the trainer and what it started end at once, and the run goes on later from its last checkpoint. This is portable,
needs no process in between, and cannot be forgotten.
"""

import os
import signal
import sys
import threading


def follow(descriptor: int) -> None:
    """Wait for the end of the pipe, then end this process and its group."""
    while os.read(descriptor, 1024):
        pass
    if os.getpgrp() == os.getpid():  # what the trainer started is in its group; never touch another one
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run the command line under the leash."""
    leash = os.dup(0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    threading.Thread(target=follow, args=(leash,), daemon=True).start()
    from leaky_zoo.cli import main as command

    sys.argv[0] = "leaky-zoo"
    command()


if __name__ == "__main__":
    main()
