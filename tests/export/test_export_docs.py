"""Every command and every line of Python of deploying, monitoring and ONNX files, but for what installs or runs on."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import run_python

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / f"{name}.md" for name in ("deploy", "monitoring", "onnx_files")]  # in this order
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
# Tested elsewhere in this folder (the service, Node, the page), or needing a container engine.
ELSEWHERE = ("pip install", "uvicorn", "LEAKY_ZOO_MODEL", "curl", "docker", "cd export/node", "node ", "make web")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder like the repository's top; the page's commands run there in order."""
    folder = tmp_path_factory.mktemp("room")
    for name in ("examples", "export"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def test_the_page_has_commands():
    assert len([command for command in COMMANDS if not command.startswith(ELSEWHERE)]) >= 11


@pytest.mark.tensorflow_only
def test_commands_run(room):
    for command in COMMANDS:
        if command.startswith(ELSEWHERE):
            continue
        program, *words = shlex.split(command, comments=True)
        if program == "leaky-zoo":
            done = run_python("-m", "leaky_zoo", *words, cwd=room)
        else:
            start = {"python": sys.executable, "cp": "cp", "mkdir": "mkdir"}[program]
            done = subprocess.run([start, *words], cwd=room, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)


@pytest.mark.filterwarnings("ignore")
def test_python_runs(tmp_path, digits_file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for source, target in re.findall(r"^cp (\S+) (\S+)", TEXT, re.MULTILINE):
        (tmp_path / target).parent.mkdir(exist_ok=True)
        (tmp_path / target).write_bytes((ROOT / source).read_bytes())
    (tmp_path / "build" / "watched.onnx").write_bytes(digits_file.read_bytes())
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(compile(block, "docs", "exec"), names)
    assert len(names["labels"]) == 3 and names["chances"].shape == (3, 10)


def test_make_web_is_there():
    done = subprocess.run(
        ["make", "--dry-run", "--assume-old", ".venv/.ready", "web"], cwd=ROOT, capture_output=True, text=True,
        env={key: value for key, value in os.environ.items() if key != "MAKEFLAGS"}, check=True,
    )  # fmt: skip
    assert "--bind 127.0.0.1" in done.stdout and "manifest.py" in done.stdout


def test_numbers_of_the_monitor_are_those_of_its_table():
    import csv

    path = ROOT / "benchmarks" / "science" / "drift_monitor.csv"
    rows = [row for row in csv.DictReader(path.read_text().splitlines()) if row["chosen"] == "yes"]

    def values(drift, share=0.0):
        return [float(row["value"]) for row in rows if row["drift"] == drift and float(row["share"]) == share]

    clean = values("none: held-out")
    assert len(clean) == 10
    assert f"{100 * np.mean(clean):.1f}% of 20,000" in " ".join(TEXT.split())
    assert f"between {100 * min(clean):.1f} and {100 * max(clean):.1f}%" in " ".join(TEXT.split())
    assert f"it is {100 * np.mean(values('none: test split')):.1f}%" in " ".join(TEXT.split())
    drifts = ("class left out", "noise 0.3", "rotation 45")
    assert all(min(values(drift, 1.0)) >= 0.9995 for drift in drifts)
    quarter = [f"{values(drift, 0.25)[0]:.2f}" for drift in drifts]
    assert f"{quarter[0]}, {quarter[1]} and {quarter[2]}" in " ".join(TEXT.split())
