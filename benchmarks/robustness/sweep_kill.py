"""A sweep of 24 runs that is killed twice and resumed: is it complete, is nothing left running, what it cost.

    python benchmarks/robustness/sweep_kill.py [--jobs N] [--seed N] [--keep DIR]

L~ x schedule x seed on the optical digits. First the sweep's whole process group gets SIGKILL at a random moment, later
the sweep's process alone; then it runs to its end, and once more to see that nothing is run again. The runs that were
at work when a kill came are trained again without any kill, and their weights compared bit by bit. Writes
sweep_kill.json, sweep_kill.csv (one row for each run) and docs/images/sweep.png.
"""

import argparse
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

import psutil

from leaky_zoo.io.files import replacing, write_json, write_text
from leaky_zoo.sweeps import RunState, Sweep, SweepFolder, collect_rows
from leaky_zoo.sweeps.engine import cores
from leaky_zoo.sweeps.figures import plot_sweep
from leaky_zoo.sweeps.report import to_csv
from leaky_zoo.sweeps.supervise import THREAD_VARIABLES, installed_versions

HERE = Path(__file__).parent
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--keep", type=Path, help="folder to work in and to keep")
    arguments = parser.parse_args()
    place = arguments.keep or Path(tempfile.mkdtemp())
    place.mkdir(parents=True, exist_ok=True)
    try:
        measure(place, arguments.jobs, random.Random(arguments.seed))
    finally:
        if not arguments.keep:
            shutil.rmtree(place)


def measure(place: Path, jobs: int, moments: random.Random) -> None:
    file, folder = place / "sweep.yaml", place / "sweep"
    file.write_text(SWEEP)
    sweep, out = Sweep.read(file), SweepFolder(folder)
    command = [sys.executable, "-m", "leaky_zoo", "sweep", str(file), "--out", str(folder), "--jobs", str(jobs)]
    kills, walls, interrupted = [], [], set()
    for whole_group in (True, False):
        begin = time.monotonic()
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        # A moment when runs are at work, somewhere in the next third of the sweep.
        target = len(finished(out)) + moments.randint(3, 7)
        while process.poll() is None and len(finished(out)) < target:
            time.sleep(0.2)
        time.sleep(moments.uniform(0, 10))
        assert process.poll() is None, "the sweep ended before it could be killed"
        working = trainers(folder)
        before = set(finished(out))
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
        walls.append(time.monotonic() - begin)
        gone = time.monotonic()
        while trainers(folder) and time.monotonic() - gone < 30:
            time.sleep(0.02)
        left = time.monotonic() - gone
        assert not trainers(folder), "a trainer has outlived its sweep"
        names = {name for name, run in ((run.name, run) for run in out.runs()) if run.state() == RunState.STARTED}
        interrupted |= names
        kills.append(
            {
                "signal": "SIGKILL",
                "to": "process group" if whole_group else "sweep process",
                "seconds_after_start": round(walls[-1], 1),
                "runs_done": len(before),
                "trainers_at_work": len(working),
                "seconds_until_all_trainers_were_gone": round(left, 2),
            }
        )
        print(kills[-1], flush=True)
    kept = {
        run.name: (run.result.stat().st_mtime_ns, run.read_status()["attempts"])
        for run in out.runs()
        if finished_run(run)
    }
    begin = time.monotonic()
    code = subprocess.run(command, check=False).returncode
    walls.append(time.monotonic() - begin)
    assert code == 0, f"the resumed sweep ended with {code}"
    for name, (written, attempts) in kept.items():
        run = out.run(name)
        assert run.result.stat().st_mtime_ns == written and run.read_status()["attempts"] == attempts, (
            f"{name} ran again"
        )
    begin = time.monotonic()
    again = subprocess.run([*command, "--json"], check=True, capture_output=True, text=True)
    assert json.loads(again.stdout)["started_now"] == 0, "a complete sweep started something"
    nothing = time.monotonic() - begin
    rows = collect_rows(out, sweep)
    total = sum(row["seconds"] for row in rows)
    result = {
        "runs": len(rows),
        "done": sum(row["state"] == "done" for row in rows),
        "jobs": jobs,
        "cores": os.cpu_count(),
        "kills": kills,
        "attempts": sum(row["attempts"] for row in rows),
        "interrupted_runs": sorted(interrupted),
        "interrupted_runs_bit_identical_to_uninterrupted": compare(place, out, sorted(interrupted), jobs),
        "wall_seconds": round(sum(walls), 1),
        "sum_of_runs_seconds": round(total, 1),
        "sum_of_runs_over_wall": round(total / sum(walls), 3),
        "seconds_of_a_sweep_with_nothing_to_do": round(nothing, 1),
        "versions": installed_versions(),
    }
    print(json.dumps(result, indent=2))
    write_json(HERE / "sweep_kill.json", result)
    private = {"host", "message"}
    write_text(HERE / "sweep_kill.csv", to_csv([{k: v for k, v in row.items() if k not in private} for row in rows]))
    with replacing(HERE.parent / "docs" / "images" / "sweep.png") as aside:
        plot_sweep(rows, sweep, "network.effective_depth", "test/loss").savefig(aside, dpi=110)


def finished_run(run) -> bool:
    return run.state() == RunState.DONE


def finished(out: SweepFolder) -> list[str]:
    return [run.name for run in out.runs() if finished_run(run)]


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
        command = [
            sys.executable,
            "-m",
            "leaky_zoo",
            "train",
            str(out.run(name).recipe),
            "--out",
            str(alone),
            "--resume",
        ]
        subprocess.run(command, check=True, capture_output=True, env=environment)
        pairs = zip(
            load_model(alone / "model.keras").get_weights(),
            load_model(out.run(name).folder / "model.keras").get_weights(),
            strict=True,
        )
        same += all(first.tobytes() == second.tobytes() for first, second in pairs)
    return f"{same}/{len(names)}"


if __name__ == "__main__":
    main()
