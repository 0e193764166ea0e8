"""Sweeps of real trainers: failures, retries, kills, signals, Dask workers that die, and nothing left running."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
import yaml
from processes import run_python

from leaky_zoo.sweeps import RunState, SweepFolder

pytestmark = pytest.mark.tensorflow_only
SHORT = {
    "name": "base",
    "data": {"name": "optical_digits/fold_0", "batch_size": 256},
    "network": {"width": 4, "depth": 4, "effective_depth": 1},
    "optimizer": {"steps": 2},
}
ENDLESS = {**SHORT, "optimizer": {"steps": 10**8}, "log_every": 10}


def write_sweep(path, recipe, grid):
    path.write_text(yaml.safe_dump({"name": "toy", "recipe": recipe, "grid": grid}))
    return path


def command(*arguments):
    return [sys.executable, "-m", "leaky_zoo", "sweep", *map(str, arguments)]


def call(*arguments, code=0):
    done = run_python("-m", "leaky_zoo", "sweep", *arguments, timeout=240)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr
    return done


def trainers(folder):
    """Living processes that train into the folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        alive = process.info["status"] != psutil.STATUS_ZOMBIE
        if alive and "train" in words and any(word.startswith(f"{folder}{os.sep}") for word in words):
            found.append(process.pid)
    return found


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@contextlib.contextmanager
def process(arguments):
    """A process in a group of its own, which ends with the block."""
    started = subprocess.Popen(
        arguments, start_new_session=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.communicate()


def at_work(folder):
    """Whether a trainer has come so far that it writes its log."""
    return any((run.folder / "log.csv").exists() and run.state() == RunState.STARTED for run in folder.runs())


def test_a_failed_run_stops_no_other_and_is_retried_on_request(tmp_path):
    file, out = tmp_path / "sweep.yaml", tmp_path / "out"
    # Too large a batch is found by the check, unless it is told not to look at the data.
    write_sweep(file, SHORT, {"data.batch_size": [256, 100_000]})
    refused = call(file, "--out", out, code=2)
    assert "batch_size-100000: data.batch_size must be at most 1437" in refused.stderr and not out.exists()
    done = call("run", file, "--out", out, "--no-build", "--jobs", 2, "--json", code=1)
    answer = json.loads(done.stdout)
    assert answer["done"] == 1 and answer["failed"] == 1 and answer["started_now"] == 2
    assert "data.batch_size" in answer["failures"]["batch_size-100000"]
    folder = SweepFolder(out)
    kept = folder.run("batch_size-256").result.stat().st_mtime_ns
    assert folder.run("batch_size-256").read_status()["threads"] == max(1, len(os.sched_getaffinity(0)) // 2)

    again = json.loads(call(file, "--out", out, "--no-build", "--json", code=1).stdout)
    assert again["started_now"] == 0 and again["failed"] == 1
    retried = json.loads(call(file, "--out", out, "--no-build", "--retry-failed", "--json", code=1).stdout)
    assert retried["started_now"] == 1
    assert folder.run("batch_size-100000").read_status()["attempts"] == 2
    assert folder.run("batch_size-256").result.stat().st_mtime_ns == kept

    report = json.loads(call("report", out, "--json").stdout)
    assert [row["state"] for row in report["runs"]] == ["done", "failed"]
    assert (out / "report" / "runs.csv").read_text().count("\n") == 3
    changed = write_sweep(tmp_path / "other.yaml", {**SHORT, "seed": 7}, {"data.batch_size": [256]})
    assert "another recipe" in call(changed, "--out", out, "--no-build", code=2).stderr


def test_invalid_cells_are_skipped_when_told(tmp_path):
    file = write_sweep(tmp_path / "sweep.yaml", SHORT, {"network.effective_depth": [1, 9]})
    assert "depth >= " in call(file, "--out", tmp_path / "out", "--dry-run", code=2).stderr
    done = call(file, "--out", tmp_path / "out", "--dry-run", "--skip-invalid", "--json")
    assert [row["run"] for row in json.loads(done.stdout)] == ["effective_depth-1"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_trainers_and_leaves_a_folder_to_go_on_with(tmp_path, number):
    file, out = write_sweep(tmp_path / "sweep.yaml", ENDLESS, {"seed": [0, 1, 2]}), tmp_path / "out"
    folder = SweepFolder(out)
    with process(command(file, "--out", out, "--no-build", "--jobs", 2)) as sweep:
        wait_for(lambda: at_work(folder))
        busy = call(file, "--out", out, "--no-build", code=2)
        assert "Another sweep is at work" in busy.stderr
        os.kill(sweep.pid, number)
        _, words = sweep.communicate(timeout=60)
        assert sweep.returncode == 128 + number, words
    assert not trainers(out)
    assert "goes on with" in words and "Traceback" not in words
    states = [run.state() for run in folder.runs()]
    assert states.count(RunState.WAITING) == 1 and states.count(RunState.STARTED) == 2


def test_a_killed_sweep_leaves_no_trainer_and_is_gone_on_with(tmp_path):
    file, out = write_sweep(tmp_path / "sweep.yaml", ENDLESS, {"seed": [0]}), tmp_path / "out"
    folder = SweepFolder(out)
    with process(command(file, "--out", out, "--no-build")) as sweep:
        wait_for(lambda: at_work(folder))
        assert len(trainers(out)) == 1
        os.kill(sweep.pid, signal.SIGKILL)
        wait_for(lambda: not trainers(out), 20)
    (run,) = folder.runs()
    assert run.state() == RunState.STARTED and run.read_status()["attempts"] == 1
    plan = json.loads(call(file, "--out", out, "--no-build", "--dry-run", "--json").stdout)
    assert plan == [{"run": "seed-0", "state": "started", "would_run": True}]


def test_a_dask_worker_that_dies_leaves_no_trainer_and_so_does_a_client(tmp_path):
    file, out = write_sweep(tmp_path / "sweep.yaml", ENDLESS, {"seed": [0]}), tmp_path / "out"
    folder, place = SweepFolder(out), tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(place), "--nthreads", "1"]
    worker += ["--no-dashboard", "--no-nanny", "--local-directory", str(tmp_path)]
    with process([*dask, "--scheduler-file", str(place)]):
        wait_for(lambda: place.exists() and place.read_text().endswith("}"))
        address = json.loads(place.read_text())["address"]
        arguments = command(file, "--out", out, "--no-build", "--scheduler", address)
        with process(arguments) as sweep:
            with process(worker) as first:
                wait_for(lambda: at_work(folder))
                os.kill(first.pid, signal.SIGKILL)
                wait_for(lambda: not trainers(out), 20)
            with process(worker):  # Dask gives the run to a worker that is alive
                wait_for(lambda: folder.run("seed-0").read_status()["attempts"] == 2 and trainers(out))
                os.kill(sweep.pid, signal.SIGKILL)
                wait_for(lambda: not trainers(out), 60)


def test_no_scheduler_is_one_clear_error(tmp_path):
    file = write_sweep(tmp_path / "sweep.yaml", SHORT, {"seed": [0]})
    done = call(file, "--out", tmp_path / "out", "--no-build", "--scheduler", "tcp://127.0.0.1:9", code=2)
    assert "No Dask scheduler answers at --scheduler tcp://127.0.0.1:9" in done.stderr
    assert "--jobs" in call(file, "--out", tmp_path / "out", "--scheduler", "x", "--jobs", 2, code=2).stderr


def test_commands_that_run_nothing_import_neither_dask_nor_tensorflow():
    code = (
        "import sys, leaky_zoo.cli, leaky_zoo.sweeps, leaky_zoo.sweeps.run, leaky_zoo.sweeps.report\n"
        "print([name for name in ('distributed', 'dask', 'tensorflow', 'keras', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_embedded_dask_is_quiet_and_open_to_nobody(tmp_path):
    code = (
        "import warnings, pathlib, psutil\n"
        "warnings.simplefilter('error')\n"
        "from leaky_zoo.sweeps.engine import Engine\n"
        "with Engine(pathlib.Path('out'), 2, None, None, None), Engine(pathlib.Path('out'), 2, None, None, None):\n"
        "    own = psutil.Process()\n"
        "    print({each.laddr.ip for each in own.net_connections() if each.status == 'LISTEN'}, len(own.children()))\n"
    )
    with socket.socket() as taken:
        with contextlib.suppress(OSError):  # somebody's dashboard, here already
            taken.bind(("0.0.0.0", 8787))
            taken.listen()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert done.stdout.strip() == "{'127.0.0.1'} 0"
