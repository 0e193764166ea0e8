"""The launcher of a local cluster, with workers that only wait, die or count: no TensorFlow."""

import os
import signal
import subprocess
import sys
import time

import pytest

from leaky_zoo.cli import main
from leaky_zoo.errors import PeerLostError
from leaky_zoo.processes.cluster import launch

WORKER = """
import json, os, sys, time, signal
from pathlib import Path
from leaky_zoo.processes.parent import end_with_parent
end_with_parent()
task = json.loads(os.environ["TF_CONFIG"])
index, folder = task["task"]["index"], Path(sys.argv[1])
assert len(set(task["cluster"]["worker"])) == 2 and sys.argv[-2:] == ["--strategy", "multi_worker"]
attempt = len(list(folder.glob(f"{index}-*")))
(folder / f"{index}-{attempt}-{os.getpid()}").write_text(" ".join(sys.argv[2:]))
print("chief speaks" if index == 0 else "nobody hears this", flush=True)
"""
DIES_ONCE = (
    WORKER
    + """
if index == 1 and attempt == 0:
    while not list(folder.glob("0-0-*")):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(0 if attempt else 100)
"""
)
WRONG_INPUT = (
    WORKER
    + """
if index == 1:
    while not list(folder.glob("0-0-*")):
        time.sleep(0.01)
    print("this is wrong", file=sys.stderr)
    sys.exit(2)
time.sleep(100)
"""
)
WAITS = WORKER + "time.sleep(100)"


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().split()[2] != "Z"


def pids(folder):
    return [int(path.name.split("-")[-1]) for path in folder.iterdir()]


def command(code, folder):
    return [sys.executable, "-c", code, str(folder)]


def test_a_dead_worker_restarts_all_from_the_checkpoint(tmp_path, capfd):
    launch(command(DIES_ONCE, tmp_path), 2, restarts=1, out=tmp_path, resume=False)
    assert len(pids(tmp_path)) == 4 and not any(map(alive, pids(tmp_path)))
    resumed = {path.name.split("-")[1]: "--resume" in path.read_text() for path in tmp_path.iterdir()}
    assert resumed == {"0": False, "1": True}
    out, err = capfd.readouterr()
    assert out == "chief speaks\n" * 2 and "killed by SIGKILL" in err and "restart 1 of 1" in err


def test_too_many_deaths_are_said_with_an_exit_code_to_try_again(tmp_path):
    with pytest.raises(PeerLostError, match="Worker 1 was killed by SIGKILL"):
        launch(command(DIES_ONCE, tmp_path), 2, restarts=0, out=tmp_path, resume=False)
    assert not any(map(alive, pids(tmp_path)))


def test_wrong_input_is_not_tried_again(tmp_path, capfd):
    with pytest.raises(SystemExit) as stop:
        launch(command(WRONG_INPUT, tmp_path), 2, restarts=5, out=tmp_path, resume=False)
    assert stop.value.code == 2 and len(pids(tmp_path)) == 2 and not any(map(alive, pids(tmp_path)))
    assert "Worker 1 of 2 failed: this is wrong" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_workers_end_with_their_launcher(tmp_path, number, code):
    script = (
        "import sys; from pathlib import Path; from leaky_zoo.processes.cluster import launch\n"
        "try:\n    launch(sys.argv[1:], 2, restarts=0, out=Path('.'), resume=False)\n"
        "except KeyboardInterrupt:\n    sys.exit(130)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, *command(WAITS, tmp_path)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(60) == code
    while any(map(alive, pids(tmp_path))) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(alive, pids(tmp_path)))


@pytest.mark.parametrize(
    "arguments",
    [["0"], ["2", "--restarts", "-1"], ["2", "--devices", "2"], ["2", "--strategy", "cpu"]],
)
def test_what_does_not_go_together_is_refused(tmp_path, monkeypatch, capsys, arguments):
    recipe, out = tmp_path / "r.yaml", tmp_path / "run"
    recipe.touch()
    monkeypatch.setattr("sys.argv", ["leaky-zoo", "train", str(recipe), "--out", str(out), "--workers", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2 and "Received" in capsys.readouterr().err
