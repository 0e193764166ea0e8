"""A sweep of 24 runs that is killed twice and resumed: is it complete, is nothing left running, what it cost.

    python -m benchmarks.robustness.sweep_kill [--jobs N] [--seed N] [--keep DIR]

L~ x schedule x seed on the optical digits. First the sweep's whole process group gets SIGKILL at a random moment, later
the sweep's process alone; then it runs to its end, and once more to see that nothing is run again. The runs that were
at work when a kill came are trained again without any kill, and their weights compared bit by bit. Writes
sweep_kill.json, sweep_kill.csv (one row for each run) and docs/images/sweep.png.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common import options, save
from leaky_zoo.io.files import write_json, write_text
from leaky_zoo.sweeps import RunState, Sweep, SweepFolder, collect_rows
from leaky_zoo.sweeps.engine import cores
from leaky_zoo.sweeps.figures import plot_sweep
from leaky_zoo.sweeps.report import to_csv
from leaky_zoo.sweeps.supervise import THREAD_VARIABLES, installed_versions

TABLE = Path(__file__).with_suffix(".csv")
SWEEP = """
name: digits
recipe:
  name: base
  data: {name: optical_digits/fold_0, batch_size: 128}
  network: {width: 32, depth: 10}
  objective: {weight_decay: 3.0e-4, io_weight_decay: 1.0e-3}
  optimizer: {steps: 400, learning_rate: 3.0e-3}
  log_every: 50
grid:
  network.effective_depth: [0, 1, 3, 7]
  network.schedule: [equidistant, hamiltonian]
  seed: [0, 1, 2]
"""


def measure(place: Path, jobs: int, moments: random.Random) -> None:
    """Kill twice, go on to the end, and write what was found."""
    file, out = place / "sweep.yaml", SweepFolder(place / "sweep")
    file.write_text(SWEEP)
    sweep = Sweep.read(file)
    command = [sys.executable, "-m", "leaky_zoo", "sweep", str(file), "--out", str(out.path), "--jobs", str(jobs)]
    kills, interrupted = [], set()
    for whole_group in (True, False):
        kills.append(kill(command, out, moments, whole_group))
        interrupted |= {run.name for run in out.runs() if run.state() == RunState.STARTED}
        print(kills[-1], flush=True)
    wall = sum(each["seconds_after_start"] for each in kills) + go_on(command, out)
    begin = time.monotonic()
    again = subprocess.run([*command, "--json"], check=True, capture_output=True, text=True)
    assert json.loads(again.stdout)["started_now"] == 0, "a complete sweep started something"
    nothing = time.monotonic() - begin
    rows = collect_rows(out, sweep)
    total = sum(row["seconds"] for row in rows)
    result = {
        "runs": len(rows),
        "done": sum(row["state"] == RunState.DONE for row in rows),
        "jobs": jobs,
        "cores": os.cpu_count(),
        "kills": kills,
        "attempts": sum(row["attempts"] for row in rows),
        "interrupted_runs": sorted(interrupted),
        "interrupted_runs_bit_identical_to_uninterrupted": compare(place, out, sorted(interrupted), jobs),
        "wall_seconds": round(wall, 1),
        "sum_of_runs_seconds": round(total, 1),
        "sum_of_runs_over_wall": round(total / wall, 3),
        "seconds_of_a_sweep_with_nothing_to_do": round(nothing, 1),
        "versions": installed_versions(),
    }
    print(json.dumps(result, indent=2))
    write_json(TABLE.with_suffix(".json"), result)
    private = {"host", "message"}
    write_text(TABLE, to_csv([{k: v for k, v in row.items() if k not in private} for row in rows]))
    save(plot_sweep(rows, sweep, "network.effective_depth", "test/loss"), "sweep")


def kill(command: list[str], out: SweepFolder, moments: random.Random, whole_group: bool) -> dict[str, Any]:
    """Start the sweep and kill it when runs are at work, somewhere in its next third; what was seen."""
    begin = time.monotonic()
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    target = len(finished(out)) + moments.randint(3, 7)
    while process.poll() is None and len(finished(out)) < target:
        time.sleep(0.2)
    time.sleep(moments.uniform(0, 10))
    assert process.poll() is None, "the sweep ended before it could be killed"
    working, done = trainers(out.path), len(finished(out))
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
    process.wait()
    wall, gone = time.monotonic() - begin, time.monotonic()
    while trainers(out.path) and time.monotonic() - gone < 30:
        time.sleep(0.02)
    left = time.monotonic() - gone
    assert not trainers(out.path), "a trainer has outlived its sweep"
    return {
        "signal": "SIGKILL", "to": "process group" if whole_group else "sweep process",
        "seconds_after_start": round(wall, 1), "runs_done": done, "trainers_at_work": len(working),
        "seconds_until_all_trainers_were_gone": round(left, 2),
    }  # fmt: skip


def go_on(command: list[str], out: SweepFolder) -> float:
    """Run the sweep to its end; its seconds. What was finished must not have run again."""

    def seen() -> dict[str, tuple]:
        runs = (out.run(name) for name in finished(out))
        return {run.name: (run.result.stat().st_mtime_ns, run.read_status()["attempts"]) for run in runs}

    before, begin = seen(), time.monotonic()
    code = subprocess.run(command, check=False).returncode
    wall = time.monotonic() - begin
    assert code == 0, f"the resumed sweep ended with {code}"
    assert before.items() <= seen().items(), "a finished run ran again"
    return wall


def finished(out: SweepFolder) -> list[str]:
    """Names of the runs that are done."""
    return [run.name for run in out.runs() if run.state() == RunState.DONE]


def trainers(folder: Path) -> list[int]:
    """Processes that train into the folder, whoever their parent is now."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        alive = process.info["status"] != psutil.STATUS_ZOMBIE
        if alive and "train" in words and any(word.startswith(f"{folder}{os.sep}") for word in words):
            found.append(process.pid)
    return found


def compare(place: Path, out: SweepFolder, names: list[str], jobs: int) -> str:
    """How many of the interrupted runs have the weights of a run that nobody interrupted, as "n/n"."""
    from leaky_zoo.zoo import load_model

    same = 0
    for name in names:
        alone = place / "alone" / name
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(max(1, cores() // jobs)))
        command = ["-m", "leaky_zoo", "train", str(out.run(name).recipe), "--out", str(alone), "--resume"]
        subprocess.run([sys.executable, *command], check=True, capture_output=True, env=environment)
        one, two = (load_model(each / "model.keras").get_weights() for each in (alone, out.run(name).folder))
        same += all(first.tobytes() == second.tobytes() for first, second in zip(one, two, strict=True))
    return f"{same}/{len(names)}"


if __name__ == "__main__":
    # `--seed`: of the moments of the kills; `--keep`: a folder to work in and to keep.
    chosen = options(__doc__, jobs=2, seed=0, keep=Path)
    folder = chosen.keep or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    try:
        measure(folder, chosen.jobs, random.Random(chosen.seed))
    finally:
        if not chosen.keep:
            shutil.rmtree(folder)
