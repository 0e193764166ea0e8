"""Commands in-process: answers, JSON alone on stdout, exit codes, one clear sentence for bad input."""

import json
import shlex
import shutil

import numpy as np
import pytest

from leaky_zoo import cli
from leaky_zoo.analysis import analyze
from leaky_zoo.data import load_data
from leaky_zoo.flow import evaluate_network
from leaky_zoo.io.files import sha256
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.zoo import save_to_preset

NAME = "leaky_mlp_optical_digits_l2_equidistant"
RECIPE = """
name: leaky_mlp_optical_digits_l2_equidistant
data: {name: optical_digits/fold_1, batch_size: 128}
network: {width: 8, depth: 4, effective_depth: 2.0}
optimizer: {epochs: 2, learning_rate: 0.01}
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A models folder with one small untrained digits preset."""
    folder = tmp_path_factory.mktemp("models")
    digits = load_data("optical_digits/fold_1")
    about = {"name": digits.identifier, "split": "train"}
    network = LeakyMLP(
        (8, 8, 1), 10, width=8, depth=4, effective_depth=2.0, weight_decay=1e-3, dataset=about,
        class_names=list(digits.class_names), **digits.statistics("train"),
    )  # fmt: skip
    metrics = {"test": evaluate_network(network, *digits.select("test"))}
    audit = analyze(network, *digits.select("train"), data=about)
    save_to_preset(network, folder / NAME, metrics=metrics, audit=audit, golden_inputs=digits.select("test")[0])
    return folder


@pytest.fixture
def run(models, monkeypatch, capsys):
    """Run a command line; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("LEAKY_ZOO_MODELS", str(models))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["leaky-zoo", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return call


def test_list(run):
    code, out, _ = run("list", "--json")
    (entry,) = json.loads(out)
    assert code == 0
    keys = {"name", "task", "dataset", "effective_depth", "schedule", "depth", "width", "parameters", "metrics"}
    assert keys <= entry.keys()
    assert NAME in run("list")[1]
    assert json.loads(run("list", "mnist", "--json")[1]) == []


def test_info(run):
    code, out, _ = run("info", NAME, "--json")
    assert code == 0 and json.loads(out)["files"]["model.weights.h5"] > 0
    assert "sha256.config.json" in run("info", NAME)[1]


def test_evaluate_reproduces_the_published_metric(run):
    published = json.loads(run("list", "--json")[1])[0]["metrics"]["test"]
    code, out, _ = run("evaluate", NAME, "--json")
    measured = json.loads(out)["metrics"]
    assert code == 0
    assert measured["accuracy"] == published["accuracy"]
    assert measured["loss"] == pytest.approx(published["loss"], rel=1e-6)
    assert "accuracy" in run("evaluate", NAME)[1]


def test_analyze_json_has_the_documented_fields(run, tmp_path):
    plot, audit = tmp_path / "plot.png", tmp_path / "audit.json"
    code, out, _ = run("analyze", NAME, "--json", "--plot", plot, "--save", audit)
    answer = json.loads(out)
    assert code == 0 and answer["gamma_0"] == 1e-5 and answer["n"] == 1437
    assert len(answer["layers"]) == 4
    needed = {
        "cost_of_identity", "kinetic_energy", "potential_energy", "hamiltonian", "criticality_residual",
        "out_of_image_fraction", "stable_rank",
    }  # fmt: skip
    assert all(needed <= layer.keys() for layer in answer["layers"])
    assert answer["data"]["is_training_split"] is True
    assert plot.read_bytes().startswith(b"\x89PNG") and json.loads(audit.read_text()) == answer
    code, out, err = run("analyze", NAME, "--split", "test")
    assert code == 0 and "COI" in out and "training split" in err


def test_own_data(run, tmp_path):
    random = np.random.default_rng(0)
    file = tmp_path / "mine.npz"
    np.savez(file, x=random.integers(0, 17, (50, 8, 8, 1)), y=random.integers(0, 10, 50))
    code, out, _ = run("evaluate", NAME, "--data", file, "--json")
    assert code == 0 and json.loads(out)["samples"] == 10


def test_train_then_evaluate_the_run(run, tmp_path):
    recipe, folder = tmp_path / "recipe.yaml", tmp_path / "run"
    recipe.write_text(RECIPE)
    code, out, _ = run("train", recipe, "--out", folder, "--json", "--seed", 3)
    answer = json.loads(out)
    assert code == 0 and answer["device"] == "CPU"
    assert {"recipe.yaml", "log.csv", "checkpoints", "model.keras", "result.json"} <= {p.name for p in folder.iterdir()}
    measured = json.loads(run("evaluate", folder / "model.keras", "--json")[1])["metrics"]
    assert measured == pytest.approx(answer["metrics"]["test"], rel=1e-6)
    code, _, err = run("train", recipe, "--out", folder)
    assert code == 2 and "--resume" in err
    code, _, err = run("train", recipe, "--out", folder, "--resume")
    assert code == 2 and "seed is 3 there and 0 here" in err  # the run has another seed
    assert run("train", recipe, "--out", folder, "--resume", "--seed", 3)[0] == 0


def test_a_run_that_does_not_converge_says_so(run, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE + "converge: true\nlbfgs: {iterations: 2}\n")
    code, out, err = run("train", recipe, "--out", tmp_path / "run", "--json")
    assert code == 0 and json.loads(out)["converged"] is False
    assert "not converged: residual" in err and "of 0.05" in err


def test_export_inspect_verify(run, tmp_path):
    file = tmp_path / "net.onnx"
    code, out, _ = run("export", NAME, "--out", file, "--json")
    assert code == 0 and json.loads(out)["bytes"] == file.stat().st_size
    code, out, _ = run("inspect", file, "--json")
    carried = json.loads(out)
    assert code == 0 and carried["leaky_zoo.audit"]["n"] == 1437
    assert "of 4 layers" in run("inspect", file)[1]
    assert run("verify", file)[0] == 0
    assert json.loads(run("verify", file, "--json")[1])["passed"] is True
    again = tmp_path / "again.onnx"
    run("export", NAME, "--out", again)
    assert file.read_bytes() == again.read_bytes()


def test_export_of_a_keras_file_is_analysed(run, models, tmp_path):
    from leaky_zoo.zoo import from_preset

    from_preset(models / NAME).save(tmp_path / "net.keras")
    code, _, _ = run("export", tmp_path / "net.keras", "--out", tmp_path / "net.onnx")
    assert code == 0
    assert json.loads(run("inspect", tmp_path / "net.onnx", "--json")[1])["leaky_zoo.audit"]["n"] == 1437


def test_verify_says_no_with_exit_code_1(run, tmp_path):
    import onnx

    file = tmp_path / "net.onnx"
    run("export", NAME, "--out", file)
    model = onnx.load(file)
    head = next(tensor for tensor in model.graph.initializer if tensor.name.startswith("head"))
    changed = onnx.numpy_helper.to_array(head) + 1.0
    head.CopyFrom(onnx.numpy_helper.from_array(changed.astype("float32"), head.name))
    onnx.save(model, file)
    code, out, _ = run("verify", file)
    assert code == 1 and "FAILED" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate", "leaky_mlp_optical_digit_l2_equidistant"), NAME),
        (("evaluate", NAME, "--data", "mnest"), "mnist"),
        (("evaluate", NAME, "--data", "none.npz"), "No such file"),
        (("evaluate", NAME, "--data", "bottleneck_teacher"), "not one-hot"),
        (("evaluate", NAME, "--split", "train[90%"), "train[90%"),
        (("analyze", NAME, "--gamma-0", "-1"), "gamma_0=-1"),
        (("analyze", NAME, "--plot", "plot.gif"), "plot.gif"),
        (("export", NAME, "--out", "net.txt"), "net.txt"),
        (("inspect", "none.onnx"), "none.onnx"),
        (("verify", "none.onnx"), "none.onnx"),
        (("train", "none.yaml", "--out", "run"), "none.yaml"),
        (("info", ".."), "metadata.json"),
    ],
)
def test_bad_input_exits_2_with_one_sentence(run, arguments, message):
    code, out, err = run(*arguments)
    assert code == 2 and out == ""
    assert message in " ".join(err.split())
    assert "Traceback" not in err


def test_bad_recipe_names_the_field(run, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("depth: 4", "depth: -4"))
    code, _, err = run("train", recipe, "--out", tmp_path / "run")
    assert code == 2 and "network.depth" in err and not (tmp_path / "run").exists()


def test_impossible_depth_is_refused_before_anything_is_written(run, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("effective_depth: 2.0", "effective_depth: 7.0"))
    code, _, err = run("train", recipe, "--out", tmp_path / "run")
    assert code == 2 and "depth >= 8" in err and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "command",
    ["list", "info", "train", "sweep", "evaluate", "analyze", "export", "publish", "inspect", "verify", "demo"],
)
def test_help_has_an_example(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0 and f"leaky-zoo {command}" in " ".join(out.split())


def test_demo_does_the_whole_job_and_prints_commands_that_run(run, monkeypatch, tmp_path):
    monkeypatch.delenv("LEAKY_ZOO_MODELS")  # the shipped presets
    code, out, err = run("demo", "--out", tmp_path / "de mo")
    assert code == 0 and "warning" not in (out + err).lower()
    assert {path.suffix for path in (tmp_path / "de mo").iterdir()} == {".png", ".json", ".onnx"}
    assert "bottleneck of rank 4" in out and "in 4 directions" in out
    commands = [shlex.split(line) for line in out.partition("Try next:")[2].splitlines() if line]
    assert len(commands) == 3
    for program, *arguments in commands:
        assert program.endswith("leaky-zoo") and run(*arguments)[0] == 0


@pytest.mark.parametrize("command", ["evaluate", "analyze"])
@pytest.mark.parametrize(
    ("labels", "words"), [(np.arange(50) % 20, "10 classes"), (np.linspace(0, 1, 50), "no labels of classes")]
)
def test_targets_that_do_not_fit_are_refused(run, tmp_path, command, labels, words):
    np.savez(tmp_path / "mine.npz", x=np.zeros((50, 8, 8, 1)), y=labels)
    code, _, err = run(command, NAME, "--data", tmp_path / "mine.npz", "--split", "train")
    assert code == 2 and words in err


def test_damaged_golden_pairs_are_one_clear_error(run, models, tmp_path):
    folder, file = tmp_path / NAME, tmp_path / "net.onnx"
    shutil.copytree(models / NAME, folder)
    digest = sha256(folder / "golden.npz")
    (folder / "golden.npz").write_bytes(b"damaged")
    code, _, err = run("export", folder, "--out", file)
    assert code == 1 and "golden.npz has changed" in " ".join(err.split()) and not file.exists()
    text = (folder / "metadata.json").read_text().replace(digest, sha256(folder / "golden.npz"))
    (folder / "metadata.json").write_text(text)
    code, _, err = run("export", folder, "--out", file)
    assert code == 2 and "golden" in err and not file.exists()


def test_suggest_writes_a_recipe_and_says_why(run, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    code, out, err = run("suggest", "--data", "optical_digits", "--out", recipe, "--effective-depth", "5")
    assert code == 0 and "network.depth" in out and "leaky-zoo train" in err
    code, out, _ = run("suggest", "--data", "optical_digits", "--effective-depth", "5", "--json")
    answer = json.loads(out)
    assert code == 0 and answer["recipe"]["network"]["effective_depth"] == 5.0 and answer["reasons"][0]["reason"]
    code, _, err = run("suggest", "--data", "optical_digits", "--out", recipe)
    assert code == 2 and "there already" in err
    code, _, err = run("suggest", "--data", "nothing_like_it")
    assert code == 2 and "nothing_like_it" in err
