"""Kill real trainers at random moments, resume them, and compare every bit with an uninterrupted run.

    make soak KILLS=100          or          python -m benchmarks.robustness.soak --kills 100 [--record]

Each kill is a SIGKILL of a `leaky-zoo train --resume` process; the next process on the same folder is its resume, and
may be killed in turn. A third of the kills wait for a checkpoint that is being written, a tenth hit the start of the
process, the rest any moment, the L-BFGS phase included. After every process all checkpoints in its folder are compared
with those of the uninterrupted run, which keeps all of its own; at the end of a run also log, result and saved weights.
A resume counts as identical when everything after it was. `--record` writes soak.csv.
"""

import contextlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.progress import Progress

from benchmarks.common import options, write_table

TABLE = Path(__file__).with_suffix(".csv")
TIMEOUT = 600
KINDS = ("inside a checkpoint write", "in training", "in the L-BFGS phase", "before training")
AHEAD = 25  # checkpoints that a process may write before it is killed
RECIPE = """
name: soak
data: {{name: "{data}", batch_size: 48, input_dropout: 0.1, validation: "train[400:]", train: "train[:400]"}}
network: {{width: 24, depth: 3, effective_depth: 2.0, schedule: {{name: hamiltonian, interval: 30}}}}
objective: {{weight_decay: 0.01}}
optimizer: {{epochs: 100, learning_rate: 0.005, micro_batches: 2}}
lbfgs: {{iterations: 200, round: 10}}
early_stopping: 1000
log_every: 25
checkpoint_every: 20
"""


@dataclass
class Tally:
    """What has happened so far; shared by the threads that watch trainers."""

    wanted: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    claimed: int = 0
    kinds: Counter = field(default_factory=Counter)
    identical: int = 0
    differences: list[str] = field(default_factory=list)
    runs: int = 0

    def claim(self) -> bool:
        """Whether there is a kill left, which the caller now makes."""
        with self.lock:
            if self.claimed == self.wanted:
                return False
            self.claimed += 1
            return True

    def give_back(self) -> None:
        """The process had ended before it could be killed."""
        with self.lock:
            self.claimed -= 1


def start(recipe: Path, folder: Path, keep: int) -> subprocess.Popen:
    """A trainer, from the folder's last checkpoint."""
    command = [sys.executable, "-m", "leaky_zoo", "train", str(recipe), "--out", str(folder), "--resume"]
    command += ["--keep-checkpoints", str(keep)]
    with (folder.parent / f"{folder.name}.err").open("ab") as said:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)


def kill_at_random(
    process: subprocess.Popen, folder: Path, chance: random.Random, names: list[str], seconds: float
) -> str | None:
    """SIGKILL the trainer at a moment of some kind; the kind, or None if it had ended by then.

    Moments are counted in checkpoints of the uninterrupted run (`names`) with a random time after one of them, so that
    they are spread over the run however busy the machine is; `seconds` is what the uninterrupted run took.
    """
    kind = chance.choices(("write", "start", "any"), (0.33, 0.1, 0.57))[0]
    if kind == "start":
        wait(process, chance.uniform(0, seconds / 2))
    elif wait_until(process, lambda: owner(folder) == process.pid):
        done = len(names_up_to(folder, names))
        target = chance.randint(done, min(done + AHEAD, len(names) - 1))
        wait_until(process, lambda: len(names_up_to(folder, names)) >= target)
        wait(process, chance.expovariate(len(names) / seconds))
        if kind == "write":
            wait_until(process, lambda: bool(asides(folder)), 0.0005)
    if process.poll() is not None:
        return None
    process.kill()
    process.wait()
    if asides(folder):
        return "inside a checkpoint write"
    if owner(folder) != process.pid:
        return "before training"
    return "in the L-BFGS phase" if (checkpoint_names(folder) or [""])[-1].find("trained") > 0 else "in training"


def names_up_to(folder: Path, names: list[str]) -> list[str]:
    """The checkpoints of the uninterrupted run that this run has reached."""
    newest = (checkpoint_names(folder) or [""])[-1]
    return [name for name in names if name <= newest]


def wait(process: subprocess.Popen, seconds: float) -> None:
    """At most so long."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def wait_until(process: subprocess.Popen, true, pause: float = 0.01, limit: float = TIMEOUT) -> bool:
    """Whether it came true while the process ran."""
    deadline = time.monotonic() + limit
    while process.poll() is None and time.monotonic() < deadline:
        if true():
            return True
        time.sleep(pause)
    return False


def owner(folder: Path) -> int | None:
    """The process that trains there."""
    try:
        return json.loads((folder / ".lock-owner.json").read_text())["pid"]
    except (OSError, ValueError):
        return None


def asides(folder: Path) -> list[str]:
    """Checkpoints that are being written."""
    try:
        names = [path.name for path in (folder / "checkpoints").iterdir()]
    except OSError:
        return []
    return [name for name in names if name.startswith(".aside-") and "-removed-" not in name]


def checkpoint_names(folder: Path) -> list[str]:
    """Checkpoints, oldest first."""
    place = folder / "checkpoints"
    return sorted(path.name for path in place.iterdir() if path.name.startswith("step-")) if place.is_dir() else []


def timeless(path: Path) -> dict:
    """A JSON object but for its seconds."""
    return {**json.loads(path.read_text()), "seconds": None}


def differences(folder: Path, whole: Path, finished: bool) -> list[str]:
    """What in a run's folder is not as in the uninterrupted run."""
    found = []
    for name in checkpoint_names(folder):
        one, two = folder / "checkpoints" / name, whole / "checkpoints" / name
        same = (one / "arrays.npz").read_bytes() == (two / "arrays.npz").read_bytes()
        if not same or timeless(one / "state.json") != timeless(two / "state.json"):
            found.append(f"{folder.name}: checkpoint {name}")
    if finished:
        if (folder / "log.csv").read_bytes() != (whole / "log.csv").read_bytes():
            found.append(f"{folder.name}: log.csv")
        if timeless(folder / "result.json") != timeless(whole / "result.json"):
            found.append(f"{folder.name}: result.json")
        if weights(folder) != weights(whole):
            found.append(f"{folder.name}: model.keras")
        if checkpoint_names(folder)[-1] != checkpoint_names(whole)[-1]:
            found.append(f"{folder.name}: last checkpoint")
    return found


def weights(folder: Path) -> bytes:
    """As they are saved."""
    with zipfile.ZipFile(folder / "model.keras") as file:
        return file.read("model.weights.h5")


def soak(recipe: Path, folder: Path, whole: Path, seconds: float, tally: Tally, seed: int, tick) -> None:
    """Run after run, killing and resuming, until there are enough kills."""
    chance, names = random.Random(seed), checkpoint_names(whole)
    for number in range(10**6):
        run, resumes = folder / f"run-{seed}-{number}", 0
        while True:
            killing = tally.claim()
            if not killing and not resumes:
                return  # nothing left to do, and nothing open
            process = start(recipe, run, chance.choice((1, 2, 5)))
            kind = kill_at_random(process, run, chance, names, seconds) if killing else None
            if kind is None:
                if killing:
                    tally.give_back()
                process.wait(TIMEOUT)
            finished = process.returncode == 0
            wrong = differences(run, whole, finished)
            if kind is None and not finished:
                wrong.append(f"{run.name}: exit code {process.returncode}, see {run}.err")
            with tally.lock:
                tally.differences += wrong
                if kind:
                    tally.kinds[kind] += 1
                    tick(kind)
                if wrong or finished:
                    tally.identical += 0 if wrong else resumes
                    tally.runs += 1
                    if not wrong:
                        shutil.rmtree(run)
                    break
            resumes += 1


def make_recipe(folder: Path) -> Path:
    """The recipe of all runs, and its data."""
    source = np.random.default_rng(0)
    x = source.normal(size=(600, 8)).astype("float32")
    np.savez(folder / "data.npz", x=x, y=np.stack([np.abs(x[:, 0]), x[:, 1] * x[:, 2]], axis=1))
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(data=folder / "data.npz"))
    return recipe


def uninterrupted(recipe: Path, whole: Path) -> float:
    """The run that all others are compared with; its seconds, from when it trains."""
    process = start(recipe, whole, 1_000_000)
    wait_until(process, lambda: owner(whole) == process.pid)
    live = time.perf_counter()
    if code := process.wait(TIMEOUT):
        raise SystemExit(f"The uninterrupted run ended with exit code {code}: see {whole}.err")
    return time.perf_counter() - live


def main(kills: int, jobs: int, seed: int, record: bool) -> None:
    """Kill, resume, compare, and say how it went."""
    begin, tally = time.perf_counter(), Tally(kills)
    folder = Path(tempfile.mkdtemp(prefix="leaky-zoo-soak-"))
    recipe, whole = make_recipe(folder), folder / "whole"
    print(f"{kills} kills, seed {seed}, in {folder}", flush=True)
    with Progress(transient=True) as progress, ThreadPoolExecutor(jobs) as pool:
        task = progress.add_task("the uninterrupted run", total=kills)

        def tick(kind: str) -> None:
            progress.update(task, advance=1, description=f"killed {kind}")
            if not progress.console.is_terminal:
                print(f"{sum(tally.kinds.values())} of {kills} killed, this one {kind}", flush=True)

        seconds = uninterrupted(recipe, whole)
        chains = [pool.submit(soak, recipe, folder, whole, seconds, tally, seed + row, tick) for row in range(jobs)]
        for chain in chains:
            chain.result()
    for kind, count in sorted(tally.kinds.items()):
        print(f"{count:4d} {kind}")
    for line in tally.differences:
        print(f"different: {line}")
    if record:
        kinds = {kind.replace(" ", "_"): tally.kinds[kind] for kind in KINDS}
        row = {"kills": kills, "resumes_bit_identical": tally.identical, **kinds, "runs": tally.runs}
        write_table(TABLE, [row], seed=seed)
    print(f"{len(checkpoint_names(whole))} checkpoints in a run, {time.perf_counter() - begin:.0f} s")
    print(f"{tally.identical}/{kills} resumes bit-identical")
    if tally.identical != kills:
        raise SystemExit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    # `--jobs`: trainers at a time; `--seed`: of the moments, another one each time where none is given.
    chosen = options(__doc__, kills=3, jobs=2, seed=int, record=False)
    moments = random.SystemRandom().randrange(10**6) if chosen.seed is None else chosen.seed
    main(chosen.kills, chosen.jobs, moments, chosen.record)
