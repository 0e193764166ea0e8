"""Command lines whose arguments or files are wrong, and the command that reads them."""

import contextlib
import io
import random
import sys
from pathlib import Path
from typing import Any

from benchmarks.robustness.fuzz.archives import spoil_npz
from benchmarks.robustness.fuzz.networks import ReportedError, spoil_keras, spoil_onnx, user_arrays
from benchmarks.robustness.fuzz.presets import SWEEP, spoil_name, yaml_file
from benchmarks.robustness.fuzz.text import spoil_bytes, write
from leaky_zoo import cli


def spoil_command(path: Path, onnx_file: bytes, keras_file: bytes, chance: random.Random) -> list[str]:
    """A command line whose arguments or files are wrong."""
    sweep = {**SWEEP, "invalid": "fail", "grid": {"seed": [0, -1]}}
    made = {
        "onnx": lambda: write(path / "net.onnx", spoil_onnx(onnx_file, chance)),
        "keras": lambda: write(path / "net.keras", spoil_keras(keras_file, chance)),
        "npz": lambda: write(path / "mine.npz", spoil_npz(user_arrays(chance), b"", chance)),
        "recipe": lambda: write(path / "recipe.yaml", spoil_bytes(b"name: [\n", chance)),
        "sweep": lambda: yaml_file("sweep.yaml", sweep)(path, chance),
        "name": lambda: spoil_name(chance),
    }

    def junk() -> str:
        pool = ("-1", "nan", "1e999", "0", "abc", "", "--", "-", "9" * 5000, "\udcff", "1/0", "[x]")
        return chance.choice(pool)

    out = str(path / "out")
    commands = (
        lambda: ["inspect", made["onnx"]()],
        lambda: ["verify", made["onnx"](), "--json"],
        lambda: ["info", made["name"]()],
        lambda: ["list", made["name"](), chance.choice(("--json", "--all", junk()))],
        lambda: ["evaluate", made["keras"](), "--data", made["npz"]()],
        lambda: ["evaluate", made["name"](), "--split", junk()],
        lambda: ["analyze", made["keras"](), "--gamma-0", junk()],
        lambda: ["analyze", made["keras"](), "--plot", out + chance.choice((".gif", "", ".png/x.png"))],
        lambda: [
            "export",
            made["keras"](),
            "--out",
            out + chance.choice((".txt", "", ".onnx")),
            "--data",
            made["npz"](),
        ],
        lambda: ["train", made["recipe"](), "--out", out],
        lambda: ["train", made["name"](), "--out", out, "--seed", junk(), "--devices", junk()],
        lambda: ["sweep", made["sweep"](), "--out", out, "--no-build", "--dry-run"],
        lambda: ["sweep", "run", made["sweep"](), "--out", out, "--no-build", "--shard", junk(), "--dry-run"],
        lambda: ["sweep", "report", made["name"]()],
        lambda: ["merge-audits", made["npz"](), "--save", out],
        lambda: ["compare", made["name"](), made["keras"](), "--report", out + chance.choice((".html", ".txt"))],
        lambda: ["sweep", chance.choice(("--jobs", "--threads", "--shard", "--out")), junk()],
        lambda: [junk(), junk()],
        lambda: [chance.choice(("inspect", "verify", "info", "train", "sweep")), *[junk() for _ in range(3)]],
    )
    # What no operating system can pass as an argument is not an input.
    return ["".join(letter for letter in str(word) if letter not in "\x00\ud800") for word in chance.choice(commands)()]


def read_command(arguments: list[str]) -> None:
    """A command in this process: any exit code but that of a traceback."""
    out, error = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    before = sys.argv
    sys.argv = ["leaky-zoo", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            cli.main()
        code: Any = 0
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv = before
    for stream in (out, error):
        stream.flush()
    words = error.buffer.getvalue().decode("utf-8")  # type: ignore[attr-defined]
    assert "Traceback" not in words, words
    assert code in (0, 1, 2), (code, words)
    if code:
        assert words.strip() or out.buffer.getvalue(), "nothing was said"  # type: ignore[attr-defined]
        raise ReportedError(" ".join(words.split())[:3000] or "a check failed")
