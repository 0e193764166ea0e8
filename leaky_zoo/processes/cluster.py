"""A cluster of real processes on this machine: started together, stopped together, restarted from a checkpoint.

The launcher imports no TensorFlow. Each worker is `leaky-zoo train` with the same arguments and its own TF_CONFIG, as a
cluster manager would start it; worker 0 is the chief, whose output is passed on.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from leaky_zoo.errors import CheckFailedError, InvalidInputError, PeerLostError, Terminated

err = Console(stderr=True)
LAUNCHED = "LEAKY_ZOO_LAUNCHED_WORKER"
GRACE = 60.0  # seconds that workers get to write a checkpoint when they are asked to end
FINAL = (CheckFailedError.exit_code, InvalidInputError.exit_code)  # trying again would end in the same way


def launch(
    workers: int,
    *,
    restarts: int,
    out: Path,
    resume: bool,
    strategy: str | None = None,
    devices: int | None = None,
    command: list[str] | None = None,
) -> None:
    """Train in a cluster of local processes; returns when all have ended well.

    When a worker dies, the others are stopped and all go on from the last checkpoint.

    Args:
        workers: processes, at least 1.
        restarts: how often a cluster that lost a worker is started again.
        out: folder of the run.
        resume: whether the first start resumes.
        strategy: as the command line has it; only None or "multi_worker" fit.
        devices: as the command line has it; must be None.
        command: of a worker, without `--resume`. Default None: this process's own command line.

    Raises:
        InvalidInputError: arguments that do not go together.
        SystemExit: a worker failed in a way that a restart does not cure, or too often; with its exit code.
        Terminated, KeyboardInterrupt: a signal came, and the workers have written a checkpoint and ended.
    """
    if workers < 1 or restarts < 0:
        raise InvalidInputError(
            f"--workers must be at least 1 and --restarts at least 0. Received: {workers} and {restarts}"
        )
    if strategy not in (None, "multi_worker") or devices is not None:
        raise InvalidInputError(
            f"--workers sets up the strategy multi_worker: leave --strategy and --devices out. "
            f"Received: strategy={strategy!r}, devices={devices}"
        )
    command = command or [sys.executable, "-m", "leaky_zoo", *_own_arguments(sys.argv[1:])]
    for attempt in range(restarts + 1):
        with _cluster(command + (["--resume"] if resume or attempt else []), workers) as processes:
            code, which = _watch(processes)
        if code == 0:
            return
        said = processes[which].last_words
        if code in FINAL or attempt == restarts:
            if which:  # the chief has spoken for itself
                err.print(f"Worker {which} of {workers} failed: {said}", highlight=False, markup=False)
            if code < 0:
                raise PeerLostError(f"Worker {which} was killed by {signal.Signals(-code).name}; {out} can be resumed.")
            raise SystemExit(code)
        cause = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        err.print(
            f"Worker {which} has gone ({cause}): all {workers} go on from the last checkpoint, "
            f"restart {attempt + 1} of {restarts}.", highlight=False, markup=False,
        )  # fmt: skip


class _Worker:
    """One process, its open stdin (closed when the launcher dies) and, but for the chief, its kept output.

    Attributes:
        process: the process.
        last_words: the last lines it wrote to stderr, once closed.
    """

    def __init__(self, command: list[str], config: dict[str, Any], quiet: bool, threads: int) -> None:
        environment = {"TF_NUM_INTRAOP_THREADS": str(threads), **os.environ}
        environment |= {"TF_CONFIG": json.dumps(config), LAUNCHED: "quiet" if quiet else "chief"}
        self.last_words = ""
        self._said: IO[bytes] | None = tempfile.TemporaryFile() if quiet else None  # noqa: SIM115, closed by `close`
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL if quiet else None, stderr=self._said,
            env=environment, start_new_session=True,
        )  # fmt: skip

    def close(self) -> None:
        """Stop the process if it runs, and keep the end of what it said."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
        if self._said:
            self._said.seek(0)
            lines = [line for line in self._said.read().decode(errors="replace").splitlines() if line.strip()]
            self.last_words = "\n".join(lines[-5:])
            self._said.close()


@contextlib.contextmanager
def _cluster(command: list[str], workers: int) -> Iterator[list[_Worker]]:
    """Start all workers; none outlives the block."""
    addresses = _free_addresses(workers)
    threads = max(1, (os.cpu_count() or 1) // workers)  # or they would fight for the cores
    running: list[_Worker] = []
    try:
        for index in range(workers):
            config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            running.append(_Worker([*command, "--strategy", "multi_worker"], config, index > 0, threads))
        yield running
    finally:
        for worker in running:
            worker.close()


def _watch(workers: list[_Worker]) -> tuple[int, int]:
    """Wait for all to end well, or for the first that does not; its exit code and index."""
    asked: int | None = None

    def forward(number: int, frame: Any) -> None:
        nonlocal asked
        asked = number
        for worker in workers:
            if worker.process.poll() is None:
                worker.process.terminate()

    before = {number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        deadline = None
        while True:
            codes = [worker.process.poll() for worker in workers]
            if asked is not None:
                deadline = deadline or time.monotonic() + GRACE
                if None not in codes or time.monotonic() > deadline:
                    message = "The workers have been stopped; the run can be resumed."
                    raise KeyboardInterrupt(message) if asked == signal.SIGINT else Terminated(message)
            else:
                failed = [(code, index) for index, code in enumerate(codes) if code]
                if failed:
                    # The one that was killed is the cause; peers that miss it say so by their own code.
                    return min(failed, key=lambda pair: (pair[0] == PeerLostError.exit_code, pair[0] > 0, pair[1]))
                if None not in codes:
                    return 0, 0
            time.sleep(0.1)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_addresses(count: int) -> list[str]:
    """Loopback addresses that nobody listens on; all are held until all are known, so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]


def _own_arguments(arguments: list[str]) -> list[str]:
    """The command line without what the launcher sets itself."""
    options = ("--workers", "--restarts", "--strategy")
    kept, skip = [], False
    for argument in arguments:
        if not (skip or argument in (*options, "--resume") or argument.startswith(tuple(f"{o}=" for o in options))):
            kept.append(argument)
        skip = argument in options
    return kept


def is_quiet_worker() -> bool:
    """Whether this process is a worker whose output nobody sees."""
    return os.environ.get(LAUNCHED) == "quiet"


def end_with_launcher() -> None:
    """In a worker of a local cluster: end when the launcher has died, whose end of our stdin then closes."""
    if LAUNCHED not in os.environ:
        return

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 1024):  # not by way of sys.stdin, whose lock the interpreter wants when it ends
                pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
