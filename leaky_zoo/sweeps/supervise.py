"""One run, as a Dask worker does it: start the trainer, follow it, stop it when asked, say what became of it."""

import contextlib
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from leaky_zoo.io.reading import one_line, shown_text
from leaky_zoo.processes import user_modules
from leaky_zoo.processes.parent import kill_group, start_child
from leaky_zoo.sweeps.folder import Run, SweepFolder, write_status

POLL_SECONDS = 0.25
HEARTBEAT_SECONDS = 2.0
# From SIGTERM (write a checkpoint) to SIGKILL; SLURM gives 30 s by default.
GRACE_SECONDS = 25.0
# Ended by SIGTERM, or because another process of its cluster was lost: nothing is wrong with the run.
RESUMABLE = (143, 75, -signal.SIGTERM)
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
PACKAGES = ("leaky-zoo", "keras", "tensorflow", "numpy")

# Sweeps (by their token) that were asked to stop, in this worker process.
_stopped: set[str] = set()


def stop(token: str) -> None:
    """Ask the trainers of a sweep on this worker to stop; those that have not begun will not."""
    _stopped.add(token)


def supervise(order: dict[str, Any], cancelled: Callable[[], bool] | None = None) -> dict[str, Any]:
    """Train one run to its end, in a process of its own.

    Args:
        order: `token`, `folder` (of the sweep), `name` (of the run), `directory` (to run in), `data_dir`, `threads`,
            `imports` (modules of the user's, as `LEAKY_ZOO_IMPORT`).
        cancelled: asked again and again whether nobody wants the run any more. Default None: what Dask says.

    Returns:
        The run's status: `state` (`"done"`, `"failed"` or `"stopped"`), `exit_code`, `message`, `attempts`, `seconds`
        (of all attempts), `host`, `threads`, `versions`. Never raises: one run must not take the others down.
    """
    run = SweepFolder(order["folder"]).run(order["name"])
    try:
        return _supervise(run, order, cancelled or _cancelled_by_dask())
    except Exception as error:  # a full disk, a folder that is gone: told as what became of this run
        return {"state": "failed", "message": one_line(error), "exit_code": None}


def _supervise(run: Run, order: dict[str, Any], cancelled: Callable[[], bool]) -> dict[str, Any]:
    before = run.read_status()
    if order["token"] in _stopped:
        return {**before, "state": "stopped", "message": "not started"}
    status: dict[str, Any] = {
        "state": "running",
        "attempts": before.get("attempts", 0) + 1,
        "seconds": before.get("seconds", 0.0),
        "host": socket.gethostname(),
        "threads": order["threads"],
        "versions": installed_versions(),
        "exit_code": None,
        "message": "",
    }
    begin, earlier = time.monotonic(), status["seconds"]

    def write(**changes: Any) -> None:
        status.update(changes, seconds=round(earlier + time.monotonic() - begin, 2))
        write_status(run, status)

    write()
    stopping: float | None = None
    with _trainer(run, order) as process:
        while process.poll() is None:
            if stopping is None and (order["token"] in _stopped or cancelled()):
                stopping = time.monotonic()
                process.terminate()
            elif stopping is not None and time.monotonic() - stopping > GRACE_SECONDS:
                _kill_group(process)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)
            if time.monotonic() - begin - (status["seconds"] - earlier) > HEARTBEAT_SECONDS:
                write()
    code = process.returncode
    if code == 0 and run.result.is_file():
        write(state="done", exit_code=0)
    elif stopping is not None or code in RESUMABLE:
        write(state="stopped", exit_code=code, message="stopped; goes on from its last checkpoint")
    else:
        write(state="failed", exit_code=code, message=_reason(run, code))
    return status


@contextlib.contextmanager
def _trainer(run: Run, order: dict[str, Any]) -> Any:
    """The training process: it ends with this one, and has its share of the cores."""
    command = [sys.executable, "-m", "leaky_zoo", "train", str(run.recipe)]
    command += ["--out", str(run.folder), "--resume"]
    command += ["--data-dir", order["data_dir"]] if order["data_dir"] else []
    environment = dict.fromkeys(THREAD_VARIABLES, str(order["threads"])) | {"COLUMNS": "160"}
    environment[user_modules.VARIABLE] = order["imports"]
    # Several trainers may share a GPU.
    environment["TF_FORCE_GPU_ALLOW_GROWTH"] = os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    run.log.parent.mkdir(parents=True, exist_ok=True)
    with run.log.open("ab") as log:
        process = start_child(command, environment, stdout=log, stderr=log, cwd=order["directory"])
    try:
        yield process
    finally:
        _kill_group(process)
        process.wait()
        if process.stdin:
            process.stdin.close()


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    """End a trainer and what it started. It leads its group, whose number is no other's until it was waited for."""
    if process.poll() is None:
        kill_group(process.pid)


def _reason(run: Run, code: int) -> str:
    """The trainer's last words, or what its exit code means."""
    if code == -signal.SIGKILL:
        return "killed by SIGKILL: out of memory is the usual cause"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    if code == 0:
        return "ended without a result.json"
    lines = [line.strip() for line in _tail(run.log).splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("leaky-zoo:")] or lines
    words = said[-1].removeprefix("leaky-zoo:").strip() if said else "no words"
    return f"exit code {code}: {shown_text(words, 300)}"


def _tail(path: Path, size: int = 8192) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read().decode("utf-8", errors="replace")


def _cancelled_by_dask() -> Callable[[], bool]:
    """Whether Dask has dropped the task that this thread works on: its client was killed, or has cancelled it."""
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:  # not in a Dask task
        return lambda: False
    key = worker.get_current_task()

    def cancelled() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    return cancelled


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
