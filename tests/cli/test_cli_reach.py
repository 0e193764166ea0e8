"""Recipes and runs within reach: names, folders, data beside the recipe, what was reached, what comes next."""

import io
import json
import os
import shlex
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml

import leaky_zoo
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.processes import progress as progress_bars
from leaky_zoo.processes.progress import ProgressLines
from leaky_zoo.zoo import Recipe, recipe_of

pytestmark = pytest.mark.tensorflow_only
PRESET = "leaky_mlp_optical_digits_l7_equidistant"
NAMED = ["length", "width", "colour"]
RECIPE = {
    "name": "flowers",
    "data": {"name": "flowers.csv:kind", "batch_size": 20},
    "network": {"width": 6, "depth": 4, "effective_depth": 2.0},
    "optimizer": {"epochs": 2},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with a space in its name: a recipe, and its data beside it."""
    folder = tmp_path_factory.mktemp("a project") / "of mine"
    folder.mkdir()
    random = np.random.default_rng(0)
    rows = random.uniform(2, 30, (60, 3)).round(3)
    kinds = np.where(rows[:, 0] > 15, "oak", "elm")
    text = "\n".join(",".join([*map(str, row), kind]) for row, kind in zip(rows, kinds, strict=True))
    (folder / "flowers.csv").write_text(",".join([*NAMED, "kind"]) + "\n" + text)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return folder


@pytest.fixture(scope="module")
def run_folder(project):
    """A finished run of that recipe, trained from another folder."""
    leaky_zoo.train(project / "recipe.yaml", project / "runs" / "first run")
    return project / "runs" / "first run"


def test_data_are_found_beside_the_recipe(project, run_folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert Recipe.read(project / "recipe.yaml").data.name == f"{project}/flowers.csv:kind"
    monkeypatch.chdir(project)
    assert Recipe.read("recipe.yaml").data.name == "flowers.csv:kind"
    assert Recipe.read(run_folder / "recipe.yaml").data.name == f"{project}/flowers.csv:kind"


def test_names_of_the_registry_stay_names(tmp_path):
    (tmp_path / "wine").mkdir()
    recipe = {**RECIPE, "data": {"name": "wine"}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    assert Recipe.read(tmp_path / "recipe.yaml").data.name == "wine"


def test_a_recipe_from_whatever_names_one(project, run_folder):
    expected = Recipe.read(project / "recipe.yaml")
    for source in (expected, project / "recipe.yaml", str(project / "recipe.yaml"), run_folder, project):
        assert recipe_of(source) == expected
    assert recipe_of(RECIPE) == Recipe.from_dict(RECIPE)
    assert recipe_of(PRESET).name == PRESET
    for wrong in (3, None, "leaky_mlp_optical_digit", project / "none.yaml", {"name": "x"}):
        with pytest.raises(InvalidInputError):
            recipe_of(wrong)


def test_train_takes_a_dict(project, run_folder, tmp_path):
    recipe = {**RECIPE, "data": {**RECIPE["data"], "name": f"{project}/flowers.csv:kind"}}
    network, _ = leaky_zoo.train(recipe, tmp_path / "run")
    first = leaky_zoo.load_model(run_folder)
    for ours, theirs in zip(network.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_net_of_own_data_says_what_goes_in(run_folder, project):
    network = leaky_zoo.load_model(run_folder)
    given = network.input_description
    assert given["feature_names"] == NAMED
    values = np.loadtxt(project / "flowers.csv", delimiter=",", skiprows=1, usecols=(0, 1, 2))
    assert np.all(np.array(given["range"][0]) >= values.min(0) - 1e-4) and np.shape(given["range"]) == (2, 3)
    assert network.output_description["class_names"] == ["elm", "oak"]


def test_a_runs_folder_is_a_model(run_folder, project, line, tmp_path):
    code, out, _ = line("evaluate", run_folder, "--json")
    assert (
        code == 0
        and json.loads(out)["metrics"] == json.loads((run_folder / "result.json").read_text())["metrics"]["test"]
    )
    code, out, _ = line("analyze", run_folder, "--json")
    assert code == 0 and len(json.loads(out)["layers"]) == 4
    code, out, _ = line("export", run_folder, "--out", tmp_path / "net.onnx", "--json")
    assert code == 0
    carried = leaky_zoo.inspect_onnx(tmp_path / "net.onnx")
    assert carried["leaky_zoo.input"]["feature_names"] == NAMED and carried["leaky_zoo.schema_version"] == "1.2"
    assert leaky_zoo.OnnxModel(tmp_path / "net.onnx").input_description["range"] == carried["leaky_zoo.input"]["range"]
    code, out, _ = line("predict", run_folder, "--data", f"{project}/flowers.csv:kind", "--json")
    assert code == 0 and {row["label"] for row in json.loads(out)} <= {"elm", "oak"}


def test_a_run_that_has_not_ended_is_no_model(tmp_path, line):
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    code, _, err = line("evaluate", folder)
    assert code == 2 and "has not ended" in err and "--resume" in err


def test_training_ends_with_the_next_command_and_it_runs(project, line, monkeypatch):
    monkeypatch.chdir(project)
    code, _, err = line("train", "recipe.yaml", "--out", "runs/second run")
    assert code == 0
    (following,) = [each.removeprefix("next: ") for each in err.splitlines() if each.startswith("next: ")]
    words = shlex.split(following)
    assert words[:2] == ["leaky-zoo", "analyze"]
    assert line(*words[1:])[0] == 0
    assert (project / "runs" / "second run" / "audit.html").is_file()


def test_options_leave_what_the_recipe_does_not_say(project, line, tmp_path):
    """48 samples: fewer than a batch has where nobody says how many it has."""
    small = {**RECIPE, "data": {"name": f"{project}/flowers.csv:kind"}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(small))
    code, _, err = line("train", tmp_path / "small.yaml", "--out", tmp_path / "run", "--seed", 3)
    assert code == 0, err
    assert Recipe.read(tmp_path / "run" / "recipe.yaml").seed == 3


@pytest.mark.parametrize("task", ["autoencoding", "denoising"])
def test_nets_without_targets_are_audited_while_they_train(task, line, tmp_path):
    recipe = {
        "name": "code",
        "data": {"name": "optical_digits", "train": "train[:200]", **({"noise": 0.1} if task == "denoising" else {})},
        "network": {"task": "autoencoding", "width": 6, "depth": 4, "effective_depth": 1.0},
        "optimizer": {"epochs": 2},
    }
    (tmp_path / "code.yaml").write_text(yaml.safe_dump(recipe))
    code, _, err = line("train", tmp_path / "code.yaml", "--out", tmp_path / "run", "--audit-every", 1)
    assert code == 0, err
    assert len((tmp_path / "run" / "energies.csv").read_text().splitlines()) > 2


def test_training_says_what_was_reached(project, line, monkeypatch, tmp_path):
    monkeypatch.chdir(project)
    for criticality, word in ((1e-9, "not converged"), (1e9, "converged")):
        recipe = {**RECIPE, "objective": {"weight_decay": 0.01}, "converge": True,
                  "lbfgs": {"iterations": 12, "round": 6, "criticality": criticality}}  # fmt: skip
        (project / f"{word}.yaml").write_text(yaml.safe_dump(recipe))
        code, _, err = line("train", f"{word}.yaml", "--out", tmp_path / word)
        (said,) = [each for each in err.splitlines() if "converged: residual" in each]
        assert code == 0 and said.startswith(f"{word}: residual ") and f"of {criticality:g}" in said


def test_the_residual_that_decides_is_reported(tmp_path, project):
    recipe = {**RECIPE, "data": {**RECIPE["data"], "name": f"{project}/flowers.csv:kind"},
              "objective": {"weight_decay": 0.01}, "converge": True,
              "lbfgs": {"iterations": 20, "round": 10, "criticality": 1e-9, "average": 5}}  # fmt: skip
    seen = []
    _, result = leaky_zoo.train(recipe, tmp_path / "run", on_lbfgs_iteration=lambda *each: seen.append(each))
    judged = [residual for _, _, residual in seen if residual is not None]
    assert seen[0][2] is None and judged and min(judged) > 0
    assert len(seen) == result.lbfgs["iterations"]


def test_train_takes_a_presets_name(line, tmp_path, monkeypatch):
    code, _, err = line("train", "leaky_mlp_optical_digits_l7_equidistan", "--out", tmp_path / "run")
    assert code == 2 and PRESET in err
    monkeypatch.setattr("leaky_zoo.training.train", lambda plan, *_, **__: pytest.fail(plan.name))
    with pytest.raises(pytest.fail.Exception, match=PRESET):
        line("train", PRESET, "--out", tmp_path / "run")


@pytest.mark.parametrize("backend", ["torch", "nonsense"])
def test_a_backend_that_is_none_of_ours_is_a_sentence(backend, tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": backend}
    words = [sys.executable, "-m", "leaky_zoo", "evaluate", PRESET]
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and "KERAS_BACKEND" in done.stderr and backend in done.stderr
    assert len(done.stderr.splitlines()) == 1
    code = f"import leaky_zoo; leaky_zoo.from_preset({PRESET!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "InvalidInputError: KERAS_BACKEND must be tensorflow or jax here" in done.stderr


def test_training_on_another_backend_is_a_sentence(project, tmp_path):
    words = [sys.executable, "-m", "leaky_zoo", "train", project / "recipe.yaml", "--out", tmp_path / "run"]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": "jax"})
    assert done.returncode == 2 and "Training needs the TensorFlow backend" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "run").exists()


def test_no_bar_imports_while_tfds_replaces_import(monkeypatch):
    """As TFDS does while it starts, for all threads: a bar with a thread of its own would end in it."""
    from etils import epy

    terminal = progress_bars.Unwrapped(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(progress_bars, "err", terminal)
    with progress_bars.bar() as progress:
        task = progress.add_task("seed 0 [first]", total=3)
        with epy.lazy_imports():
            time.sleep(0.5)
        for done in range(1, 4):
            time.sleep(0.15)
            progress.update(task, completed=done, description=f"seed {done} [next]")
    shown = terminal.file.getvalue()
    assert all(words in shown for words in ("seed 0 [first]", "seed 1 [next]", "3/3"))


def test_without_a_terminal_there_is_one_line_a_minute():
    now, lines = [0.0], []
    with ProgressLines(lines.append, clock=lambda: now[0]) as progress:
        task = progress.add_task("training", total=1000)
        for epoch in range(1000):
            now[0] += 0.5
            progress.update(task, completed=epoch + 1, description=f"training: loss {1 / (epoch + 1):.3f}")
    assert len(lines) == 8  # 500 seconds
    assert lines[0] == "training: loss 0.008, 120 of 1000, 1 min"
