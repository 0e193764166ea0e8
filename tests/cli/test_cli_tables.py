"""Tables on narrow terminals and in pipes; versions; readers that leave."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import leaky_zoo
from leaky_zoo.cli.tables import Output, Rows, table
from leaky_zoo.zoo import list_presets

ROOT = Path(__file__).parents[2]
ONNX = ROOT / "export" / "leaky_mlp_optical_digits_l7_equidistant" / "model.onnx"
NAMES = [preset["name"] for preset in list_presets()]
ROWS = Rows("", ["name", "why"], [["a_name_without_a_space_that_is_long", "for a reason in very many words " * 4]])


def on_terminal(rows, width):
    text = io.StringIO()
    Output(file=text, force_terminal=True, width=width, color_system=None, legacy_windows=False).print(rows)
    return text.getvalue()


def command(*words, cut=None, **environment):
    """A command in a pipe; its exit code, what it wrote (the first `cut` bytes of it), and its errors."""
    kept = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    process = subprocess.Popen(
        [sys.executable, "-m", "leaky_zoo", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=kept | environment,
    )  # fmt: skip
    if cut is None:
        out, err = process.communicate()
    else:
        out = process.stdout.read(cut) if cut else b""
        process.stdout.close()
        err = process.stderr.read()
        process.wait()
    process.stderr.close()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_names_and_numbers_do_not_break_on_a_terminal(width):
    rows = [(preset["name"], preset["depth"], f"{preset['parameters']:,}") for preset in list_presets()]
    shown = on_terminal(table("presets", ("name", "depth", "parameters"), rows), width)
    for name, _, parameters in rows:
        assert re.search(rf"^ ?{re.escape(name)} .*{parameters}", shown, re.MULTILINE)


def test_words_wrap_within_the_terminal():
    shown = on_terminal(ROWS, 80)
    assert max(map(len, shown.splitlines())) <= 80 and ROWS.rows[0][0] in shown
    assert " ".join(shown.split()).count("many words") >= 3


def test_the_list_of_presets_fits_a_terminal_of_80_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = command("list")[1].splitlines()
    assert len(shown) > len(NAMES) and max(map(len, shown)) <= 80
    assert any(line.startswith("mnist: leaky_mlp_mnist_l7") for line in shown)


def test_a_pipe_gets_plain_unbroken_lines():
    code, out, err = command("list")
    assert code == 0 and err == "" and "\x1b" not in out and "─" not in out
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line.strip()}
    assert lines["name"] == ["name", "L~", "parameters", "test"] and set(NAMES) <= set(lines)
    assert all(len(lines[name]) >= 4 and lines[name][1].replace(".", "").isdigit() for name in NAMES)
    assert all(line == line.rstrip() for line in out.splitlines())


def test_inspect_says_what_matters_first_and_no_base64():
    code, out, _ = command("inspect", ONNX)
    keys = [line.split("  ")[0] for line in out.splitlines()]
    assert code == 0 and keys[2] == "network" and keys.index("goes in") < keys.index("weights_sha256")
    assert "from 0 to 16" in out and "logits" in out and "accuracy: 0.99" in out
    assert max(len(word) for word in out.split()) <= 120


def test_info_says_what_goes_in_and_comes_out():
    code, out, _ = command("info", "leaky_mlp_optical_digits_l7_equidistant")
    assert code == 0
    assert re.search(r"^goes in +raw samples of shape \(8, 8, 1\), uint8 values from 0 to 16", out, re.MULTILINE)
    assert re.search(r"^comes out +logits", out, re.MULTILINE) and re.search(r"^classes +0, 1, 2", out, re.MULTILINE)


def test_a_filter_that_nothing_matches_is_said():
    code, out, err = command("list", "zzz")
    assert code == 0 and out == "" and "'zzz'" in err


def test_version():
    code, out, _ = command("--version")
    assert code == 0 and re.fullmatch(r"leaky-zoo \d+\.\d+\.\d+\n", out)
    assert re.fullmatch(r"\d+\.\d+\.\d+", leaky_zoo.__version__)


@pytest.mark.parametrize("cut", [0, 10])
@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["inspect", ONNX, "--json"], ["--help"]])
def test_a_reader_that_leaves_is_fine(words, cut):
    code, _, err = command(*words, cut=cut)
    assert code == 0 and err == ""


def test_a_pipe_does_not_hide_errors():
    assert command("info", "nothing_of_this_name", cut=0)[0] == 2


def test_scaled_inputs_are_warned_of_in_words(tmp_path):
    np.savez(tmp_path / "scaled.npz", x=np.random.default_rng(0).uniform(0, 1, (5, 8, 8, 1)))
    code, out, err = command("predict", ONNX, "--data", tmp_path / "scaled.npz", "--json")
    assert code == 0 and len(json.loads(out)) == 5
    assert err.startswith("warning: Inputs go from 0") and len(err.splitlines()) == 1 and ".py" not in err
