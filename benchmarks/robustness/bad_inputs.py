"""Bad input to every reader of the project: each must be refused with one clear sentence, and leave nothing behind.

    python -m benchmarks.robustness.bad_inputs [--count N] [--seed N] [--reader NAME,...] [--out FILE]

Generates N spoiled inputs (seeded) over all readers. Each must end in one of two ways: refused by an error of ours, its
message one bounded line that names the file or the field; or accepted and usable, because the change did no harm.
Everything else is counted apart: tracebacks (any other exception, or a crash), hangs (over 20 seconds of the processor,
or 5 minutes), unclear messages, files left behind, and code that was run. Exits with 1 if any of these is not zero.

A worker process does the reading; when it crashes or hangs, the input is counted, and another worker goes on with the
next. A sample of the command lines also goes through the real `leaky-zoo` process. Writes bad_inputs.csv; with
`--reader`, the rows of other readers stay as they are.
"""

import json
import os
import queue
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common import ROOT, options, read_table, write_table
from leaky_zoo.errors import InvalidInputError, LeakyZooError

TABLE = Path(__file__).with_suffix(".csv")
LIMIT_SECONDS = 20.0  # of the processor
WALL_LIMIT_SECONDS = 300.0
# Shares of the readers, out of 25,200; 10,000 of them meet the runtime.
SHARES = {
    "recipe": 2500, "sweep": 1700, "preset metadata.json": 1300, "preset config.json": 1200, "preset weights": 900,
    "preset golden.npz": 900, "preset name": 500, "audit": 1400, "audit part .npz": 500, ".keras": 1600,
    "user .npz": 1900, "onnx inspect": 1200, "onnx describe": 1200, "onnx verify": 1200, "onnx runtime": 1200,
    "onnx metadata": 2000, "onnx monitor": 2000, "onnx attach": 1200, "command line": 800,
}  # fmt: skip
OUTCOMES = ("refused", "accepted", "unclear", "traceback", "hang", "left files", "ran code")
BAD = OUTCOMES[2:]


def main() -> None:
    """Spoil, read, judge, and write the table."""
    chosen = options(__doc__, count=sum(SHARES.values()), seed=0, reader=str, workers=1, processes=40, out=TABLE,
                     _worker=Path)  # fmt: skip
    if chosen.worker:
        work(chosen.worker, chosen.seed)
        return
    readers = chosen.reader.split(",") if chosen.reader else list(SHARES)
    if not set(readers) <= set(SHARES):
        raise InvalidInputError(f"--reader is some of {', '.join(SHARES)}. Received: {chosen.reader}")
    total = sum(SHARES.values())
    todo = [
        (name, index)
        for name, share in SHARES.items()
        if name in readers
        for index in range(max(1, round(share * chosen.count / total)))
    ]
    place = Path(tempfile.mkdtemp())
    begin = time.perf_counter()
    try:
        counts = share_out(todo, chosen.seed, place, chosen.workers)
        if "command line" in readers and chosen.processes:
            counts["leaky-zoo process"] = real_processes(chosen.processes, chosen.seed, place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    rows = [{"reader": name, "inputs": c.total(), **{key: c[key] for key in OUTCOMES}} for name, c in counts.items()]
    if chosen.reader and chosen.out.exists():
        old = [row for row in read_table(chosen.out) if row["reader"] not in ("all", *counts)]
        rows += [{key: value if key == "reader" else int(value) for key, value in row.items()} for row in old]
        rows.sort(key=lambda row: [*SHARES, "leaky-zoo process"].index(row["reader"]))
    whole = {"reader": "all", **{key: sum(row[key] for row in rows) for key in ("inputs", *OUTCOMES)}}
    write_table(chosen.out, [*rows, whole], seed=chosen.seed)
    print(chosen.out.read_text())
    print(f"{whole['inputs']:,} inputs in {time.perf_counter() - begin:.0f} s")
    if any(whole[outcome] for outcome in BAD):
        sys.exit(1)


def share_out(todo: list[tuple[str, int]], seed: int, place: Path, workers: int) -> dict[str, Counter[str]]:
    """The inputs over several workers, every n-th to each; what an input is does not depend on it."""
    places = [place / str(worker) for worker in range(workers)]
    for each in places:
        each.mkdir()
    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(lambda row: drive(todo[row::workers], seed, places[row]), range(workers)))
    counts: dict[str, Counter[str]] = {name: Counter() for name in dict.fromkeys(name for name, _ in todo)}
    for found in parts:
        for name, counter in found.items():
            counts[name] += counter
    return counts


def drive(todo: list[tuple[str, int]], seed: int, place: Path) -> dict[str, Counter[str]]:
    """Feed a worker; start another one where it dies or hangs."""
    counts: dict[str, Counter[str]] = {}
    seconds: Counter[str] = Counter()
    at = 0
    while at < len(todo):
        worker = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, "--worker", str(place), "--seed", str(seed)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=(place / "words.txt").open("w"), text=True, cwd=ROOT,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "LEAKY_ZOO_MODELS": str(place / "good")},
        )  # fmt: skip
        assert worker.stdin and worker.stdout
        answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=listen, args=(worker.stdout, answers), daemon=True).start()
        answers.get(timeout=300)  # ready
        for reader, index in todo[at:]:
            asked = time.perf_counter()
            worker.stdin.write(json.dumps([reader, index]) + "\n")
            worker.stdin.flush()
            line = wait_for(answers, worker.pid)
            answer = {"outcome": "hang", "words": ""}
            if line is not None:
                answer = json.loads(line) if line else {"outcome": "traceback", "words": f"crash, {worker.wait()}"}
            counts.setdefault(reader, Counter())[answer["outcome"]] += 1
            seconds[reader] += time.perf_counter() - asked
            if answer["outcome"] in BAD:
                print(reader, index, answer["outcome"], answer["words"][-700:], flush=True)
            at += 1
            if not line:
                break
            if sys.stderr.isatty() and at % 20 == 0:
                print(f"\r{at:,}/{len(todo):,}", end="", file=sys.stderr)
        worker.kill()
        worker.wait()
    print("seconds:", ", ".join(f"{name} {spent:.0f}" for name, spent in seconds.most_common()))
    return counts


def wait_for(answers: "queue.SimpleQueue[str]", pid: int) -> str | None:
    """The worker's answer; None when it takes more processor time, or far more time, than any input may."""
    begin, before = time.monotonic(), processor_seconds(pid)
    while True:
        try:
            return answers.get(timeout=LIMIT_SECONDS / 4)
        except queue.Empty:
            # On a machine that is busy with other things a clock alone would call a slow process hung.
            waited = time.monotonic() - begin
            if processor_seconds(pid) - before > LIMIT_SECONDS or waited > WALL_LIMIT_SECONDS:
                return None


def processor_seconds(pid: int) -> float:
    """Processor time of a process; 0 of one that is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def listen(stream: Any, answers: "queue.SimpleQueue[str]") -> None:
    """Lines to the queue; an empty one at the end."""
    for line in stream:
        answers.put(line)
    answers.put("")


def work(place: Path, seed: int) -> None:
    """Read what the driver asks for, one input after another."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from benchmarks.robustness.fuzz.readers import make_good, make_readers

    (place / "good").mkdir(exist_ok=True)
    readers = make_readers(make_good(place / "good"))
    room = place / "room"
    answers.write("ready\n")
    for line in sys.stdin:
        name, index = json.loads(line)
        shutil.rmtree(room, ignore_errors=True)
        room.mkdir()
        os.chdir(room)
        answers.write(json.dumps(one(readers[name], random.Random(f"{seed}/{name}/{index}"), room)) + "\n")


def one(reader: Any, chance: random.Random, room: Path) -> dict[str, Any]:
    """Spoil, read, judge."""
    subject = reader.spoil(room, chance)
    before = listing(room)
    answer = {"outcome": "accepted", "words": ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            reader.read(subject)
    except LeakyZooError as error:
        words = str(error)
        one_line = "\n" not in words and 0 < len(words) <= 4000 and words.isprintable()
        named = not reader.names or any(name in words for name in reader.names) or bool(re.search(r"`[\w.]+`", words))
        answer = {"outcome": "refused" if one_line and named else "unclear", "words": words[:2000]}
    except BaseException:
        answer = {"outcome": "traceback", "words": traceback.format_exc()}
    left = listing(room) - before
    if any("owned" in name for name in left) or Path("/tmp/owned.txt").exists():
        answer = {"outcome": "ran code", "words": str(left)}
    elif answer["outcome"] == "refused" and left:
        answer = {"outcome": "left files", "words": str(left)}
    return answer


def listing(room: Path) -> set[str]:
    """All that is there."""
    return {str(path.relative_to(room)) for path in room.rglob("*")}


def real_processes(count: int, seed: int, place: Path) -> Counter[str]:
    """Command lines through the real command."""
    from benchmarks.robustness.fuzz.commands import spoil_command
    from benchmarks.robustness.fuzz.readers import make_good

    (place / "good").mkdir()
    good = make_good(place / "good")
    counter: Counter[str] = Counter()
    environment = os.environ | {"LEAKY_ZOO_MODELS": str(place / "good")}
    for index in range(count):
        room = place / f"process-{index}"
        room.mkdir()
        chance = random.Random(f"{seed}/process/{index}")
        words = spoil_command(room, good.onnx.read_bytes(), good.keras.read_bytes(), chance)
        before = listing(room)
        command = [sys.executable, "-m", "leaky_zoo", *words]
        try:
            done = subprocess.run(
                command, cwd=room, capture_output=True, timeout=120, check=False, env=environment,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            outcome, said = "hang", ""
        else:
            said = done.stderr.decode("utf-8", "replace")
            outcome = "refused" if done.returncode in (1, 2) else "accepted" if done.returncode == 0 else "traceback"
            if "Traceback" in said:
                outcome = "traceback"
            elif outcome == "refused" and listing(room) - before:
                outcome = "left files"
        counter[outcome] += 1
        if outcome in BAD:
            print("process", index, outcome, words, said[-700:], flush=True)
    return counter


if __name__ == "__main__":
    main()
