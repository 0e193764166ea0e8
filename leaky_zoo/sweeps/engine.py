"""Dask, as sweeps use it: one task for each run, on this machine or on a cluster that is already there."""

import contextlib
import os
import queue
import uuid
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from leaky_zoo.errors import InvalidInputError, naming_extras
from leaky_zoo.io.reading import one_line
from leaky_zoo.processes import user_modules
from leaky_zoo.sweeps import supervise
from leaky_zoo.sweeps.spec import Cell


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Engine:
    """Runs cells through Dask; use as a context manager.

    Args:
        folder: of the sweep.
        jobs: runs at the same time on this machine; ignored with a scheduler.
        threads: threads of one run. None: its share of the cores.
        scheduler: address of a Dask scheduler, as `tcp://host:8786`. None: a small one inside this process, without
            dashboard, further processes or anything open to the network.
        data_dir: TFDS folder. None: as `leaky-zoo train`.

    Raises:
        InvalidInputError: no scheduler answers at the address.
    """

    def __init__(
        self, folder: Path, jobs: int, threads: int | None, scheduler: str | None, data_dir: Path | None
    ) -> None:
        self.folder, self.jobs, self.threads = folder.resolve(), jobs, threads
        self.scheduler, self.data_dir = scheduler, data_dir.resolve() if data_dir else None
        self.token = uuid.uuid4().hex
        self._ended: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._futures: dict[str, Any] = {}

    def __enter__(self) -> "Engine":
        self._stack = contextlib.ExitStack()
        with warnings.catch_warnings():
            # Without a route to the outside Dask says so and takes the machine's own name, which is right here.
            warnings.filterwarnings("ignore", message="Couldn't detect a suitable IP address")
            self._client = self._stack.enter_context(self._connect())
        return self

    def __exit__(self, *error: Any) -> None:
        self._futures.clear()
        self._stack.close()

    def _connect(self) -> Any:
        with naming_extras():
            import dask
            from distributed import Client, LocalCluster

        if self.scheduler:
            try:
                return Client(self.scheduler, set_as_default=False, timeout=10)
            except (OSError, ValueError, TypeError) as error:
                raise InvalidInputError(
                    f"No Dask scheduler answers at --scheduler {self.scheduler}: {one_line(error)}."
                ) from error
        # Dask opens a port for its pages even when there are none: any free one, on this machine alone, with no pages.
        with dask.config.set({f"distributed.{part}.http.routes": [] for part in ("scheduler", "worker")}):
            cluster = LocalCluster(
                n_workers=1,
                threads_per_worker=self.jobs,
                processes=False,
                dashboard_address=None,
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                worker_dashboard_address="127.0.0.1:0",
                memory_limit=0,
                silence_logs=50,
            )
        return self._stack.enter_context(cluster).get_client()

    def submit(self, cells: Sequence[Cell]) -> None:
        """Hand every cell to Dask."""
        for cell in cells:
            order = {
                "token": self.token,
                "folder": str(self.folder),
                "name": cell.name,
                "directory": str(Path.cwd()),
                "data_dir": str(self.data_dir) if self.data_dir else None,
                "threads": self.threads,
                "imports": os.environ.get(user_modules.VARIABLE, ""),
                "cores": None if self.scheduler else cores(),
            }
            future = self._client.submit(work, order, key=f"leaky-zoo-{self.token}-{cell.name}", pure=False)
            self._futures[cell.name] = future
            future.add_done_callback(lambda done, name=cell.name: self._ended.put((name, done)))

    def ended(self, timeout: float) -> Iterator[tuple[str, dict[str, Any]]]:
        """Runs that have ended, with their status; waits at most so long for the first one."""
        wait = timeout
        with contextlib.suppress(queue.Empty):
            while self._futures:
                name, future = self._ended.get(timeout=wait)
                wait = 0.0
                if self._futures.pop(name, None) is None:
                    continue
                if future.status == "finished":
                    yield name, future.result()
                else:  # the worker died again and again, or the cluster dropped the task
                    reason = one_line(future.exception()) if future.status == "error" else future.status
                    yield name, {"state": "failed", "message": f"Dask: {reason}", "exit_code": None}

    @property
    def open(self) -> int:
        """Runs that were submitted and have not ended."""
        return len(self._futures)

    def stop(self) -> None:
        """Ask every worker to stop this sweep's trainers."""
        self._client.run(supervise.stop, self.token, on_error="ignore")


def work(order: dict[str, Any]) -> dict[str, Any]:
    """The Dask task: how many threads a run gets is known only where it runs."""
    if order["threads"] is None:
        from distributed import get_worker

        together = get_worker().state.nthreads
        order = {**order, "threads": max(1, (order["cores"] or cores()) // together)}
    return supervise.supervise(order)
