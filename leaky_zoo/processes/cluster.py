"""A cluster of real processes on this machine: started together, stopped together, restarted from a checkpoint.

The launcher imports no TensorFlow. Each worker runs the same command with its own TF_CONFIG, as a cluster manager would
start it; worker 0 is the chief, whose output is passed on.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from leaky_zoo.errors import CheckFailedError, InvalidInputError, PeerLostError
from leaky_zoo.processes.parent import kill_group, start_child
from leaky_zoo.processes.progress import err
from leaky_zoo.processes.signals import NotedSignal

QUIET = "LEAKY_ZOO_QUIET_WORKER"  # in the environment of a worker whose output nobody sees
GRACE = 60.0  # seconds that workers get to write a checkpoint when they are asked to end
FINAL = (CheckFailedError.exit_code, InvalidInputError.exit_code)  # trying again would end in the same way


def launch(command: Sequence[str], workers: int, *, restarts: int, out: Path, resume: bool) -> None:
    """Train in a cluster of local processes; returns when all have ended well.

    When a worker dies, the others are stopped and all go on from the last checkpoint.

    Args:
        command: of a worker, which calls `end_with_parent`; `--strategy multi_worker` is appended, and `--resume`.
        workers: processes, at least 1.
        restarts: how often a cluster that lost a worker is started again, at least 0.
        out: folder of the run, for messages.
        resume: whether the first start resumes.

    Raises:
        InvalidInputError: a number is out of its range.
        SystemExit: a worker failed in a way that a restart does not cure, or too often; with its exit code.
        PeerLostError: a worker was killed too often.
        Terminated, KeyboardInterrupt: a signal came, and the workers have written a checkpoint and ended.
    """
    if workers < 1 or restarts < 0:
        raise InvalidInputError(
            f"--workers must be at least 1 and --restarts at least 0. Received: {workers} and {restarts}"
        )
    for attempt in range(restarts + 1):
        with _cluster([*command, *(["--resume"] if resume or attempt else [])], workers) as processes:
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
        environment = {"TF_CONFIG": json.dumps(config), QUIET: "1" if quiet else ""}
        environment |= {} if "TF_NUM_INTRAOP_THREADS" in os.environ else {"TF_NUM_INTRAOP_THREADS": str(threads)}
        self.last_words = ""
        self._said: IO[bytes] | None = tempfile.TemporaryFile() if quiet else None  # noqa: SIM115, closed by `close`
        stdout = subprocess.DEVNULL if quiet else None
        self.process = start_child(command, environment, grace=GRACE, stdout=stdout, stderr=self._said)

    def close(self) -> None:
        """Stop the process if it runs, and keep the end of what it said."""
        if self.process.poll() is None:
            kill_group(self.process.pid)
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
    deadline = None
    with NotedSignal() as asked:
        while True:
            codes = [worker.process.poll() for worker in workers]
            if deadline is not None:
                if None not in codes or time.monotonic() > deadline:
                    asked.raise_if_requested("The workers have been stopped; the run can be resumed.")
            elif asked.requested:
                deadline = time.monotonic() + GRACE
                for worker in workers:
                    if worker.process.poll() is None:
                        worker.process.terminate()
            else:
                failed = [(code, index) for index, code in enumerate(codes) if code]
                if failed:
                    # The one that was killed is the cause; peers that miss it say so by their own code.
                    return min(failed, key=lambda pair: (pair[0] == PeerLostError.exit_code, pair[0] > 0, pair[1]))
                if None not in codes:
                    return 0, 0
            time.sleep(0.1)


def _free_addresses(count: int) -> list[str]:
    """Loopback addresses that nobody listens on; all are held until all are known, so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]


def is_quiet_worker() -> bool:
    """Whether this process is a worker whose output nobody sees."""
    return bool(os.environ.get(QUIET))
