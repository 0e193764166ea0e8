"""analyze, merge-audits and compare: pages, shards, any model, one clear sentence for bad input."""

import json

import keras
import numpy as np
import pytest

from leaky_zoo import cli
from leaky_zoo.analysis import Audit
from leaky_zoo.networks import LeakyMLP


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two small nets of ours, another model, and their data."""
    folder = tmp_path_factory.mktemp("analysis")
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 4)).astype("float32")
    np.savez(folder / "data.npz", x=x, y=random.integers(0, 3, 60), x_test=x[:10], y_test=np.zeros(10, int))
    for depth in (2.0, 3.0):
        net = LeakyMLP(
            (4,), 3, width=5, depth=5, effective_depth=depth, weight_decay=1e-3, name=f"net_{depth:g}",
            dataset={"name": str(folder / "data.npz"), "split": "train"},
        )  # fmt: skip
        net.save(folder / f"net_{depth:g}.keras")
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(6, name="hidden"), keras.layers.Dense(3)])
    other.save(folder / "other.keras")
    return folder


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command line; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["leaky-zoo", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return call


def test_analyze_writes_page_figure_and_audit(run, folder, tmp_path):
    outputs = [tmp_path / name for name in ("audit.html", "audit.png", "audit.json")]
    code, out, err = run(
        "analyze", folder / "net_2.keras", "--report", outputs[0], "--plot", outputs[1], "--save", outputs[2]
    )
    assert code == 0 and "not at a critical point" in out and str(outputs[0]) in err
    assert all(path.stat().st_size > 1000 for path in outputs)
    assert "net_2" in outputs[0].read_text()
    code, out, _ = run("analyze", folder / "net_2.keras", "--json")
    answer = json.loads(out)
    assert code == 0 and set(answer["bottleneck_rank"]) == {
        "low", "high", "estimate", "verdict", "layers", "stationary_directions", "weight_directions",
    }  # fmt: skip
    assert Audit.load(outputs[2]).to_dict() == answer


def test_shards_merge_to_the_audit(run, folder, tmp_path):
    model, parts = folder / "net_2.keras", [tmp_path / f"part{place}.npz" for place in (1, 2)]
    for place, path in enumerate(parts, start=1):
        assert run("analyze", model, "--shard", f"{place}/2", "--save", path)[0] == 0
    _, whole, _ = run("analyze", model, "--json")
    code, merged, _ = run("merge-audits", *parts, "--report", tmp_path / "merged.html", "--json")
    whole, merged = json.loads(whole), json.loads(merged)
    assert code == 0 and merged["n"] == whole["n"] == 60
    for one, two in zip(whole["layers"], merged["layers"], strict=True):
        assert one["cost_of_identity"] == pytest.approx(two["cost_of_identity"], rel=1e-9)
        assert one["hamiltonian"] == pytest.approx(two["hamiltonian"], rel=1e-9)
    assert run("merge-audits", parts[0])[0] == 2


def test_any_model_is_analysed_on_named_data(run, folder, tmp_path):
    code, out, _ = run("analyze", folder / "other.keras", "--data", folder / "data.npz", "--json")
    answer = json.loads(out)
    assert code == 0 and answer["kind"] == "representations" and answer["layers"][0]["name"] == "hidden"
    code, out, _ = run("analyze", folder / "other.keras", "--data", folder / "data.npz", "--layers", "hidden",
                       "--report", tmp_path / "other.html")  # fmt: skip
    assert code == 0 and "hidden" in out and (tmp_path / "other.html").exists()


def test_compare_takes_models_and_audits(run, folder, tmp_path):
    saved = tmp_path / "saved.json"
    run("analyze", folder / "net_3.keras", "--save", saved)
    code, out, _ = run("compare", folder / "net_2.keras", saved, "--report", tmp_path / "c.html")
    assert code == 0 and "net_2" in out and "net_3" in out
    assert "2 audits side by side" in (tmp_path / "c.html").read_text()
    code, out, _ = run("compare", folder / "net_2.keras", saved, "--json")
    assert code == 0 and [row["model"] for row in json.loads(out)] == ["net_2", "net_3"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["analyze", "net_2.keras", "--report", "page.pdf"], "--report writes .html"),
        (["analyze", "net_2.keras", "--plot", "plot.html"], "--plot writes"),
        (["analyze", "net_2.keras", "--shard", "3/2", "--save", "p.npz"], "--shard is I/N"),
        (["analyze", "net_2.keras", "--shard", "a", "--save", "p.npz"], "Received: a"),
        (["analyze", "net_2.keras", "--shard", "1/2"], "--save PART.npz"),
        (["analyze", "net_2.keras", "--shard", "1/2", "--save", "p.npz", "--report", "p.html"], "merge-audits"),
        (["analyze", "net_2.keras", "--products", "float16"], "products='float16'"),
        (["analyze", "net_2.keras", "--gamma-0", "0"], "gamma_0=0.0"),
        (["analyze", "net_2.keras", "--layers", "block_1"], "is analysed whole"),
        (["analyze", "net_2.keras", "--strategy", "nowhere"], "strategy='nowhere'"),
        (["analyze", "other.keras"], "give --data"),
        (
            ["analyze", "other.keras", "--data", "data.npz", "--shard", "1/2", "--save", "p.npz"],
            "--shard needs a LeakyConvNet or",
        ),
        (["analyze", "other.keras", "--data", "data.npz", "--layers", "none"], "Received: layers=none"),
        (["compare", "net_2.keras"], "two models or more"),
        (["compare", "net_2.keras", "nothing.json"], "nothing.json"),
        (["compare", "net_2.keras", "net_3.keras", "--report", "c.txt"], "--report writes .html"),
        (["analyze", "net_2.keras", "--shard", "1/2", "--save", "p.npz", "--json"], "leave --json out"),
        (["analyze", "net_2.keras", "--shard", "1/2", "--save", "p.npz", "--layers", "a"], "leave --layers out"),
        (["analyze", "net_2.keras", "--shard", "1/2", "--save", "p.npz", "--devices", "2"], "leave --devices out"),
        (["analyze", "net_2.keras", "--products", "float32", "--gamma-0", "1e-8"], "at least 1e-06 with float32"),
        (["merge-audits", "data.npz", "--save", "data.npz"], "--save writes .json"),
        (["merge-audits", "nothing.npz"], "No such part: nothing.npz"),
        (["merge-audits", "data.npz"], "data.npz is not a part"),
    ],
)
def test_bad_input_is_one_clear_sentence(run, folder, monkeypatch, arguments, words):
    monkeypatch.chdir(folder)
    before = sorted(path.name for path in folder.iterdir())
    code, out, err = run(*arguments)
    assert code == 2 and words in err and not out and err.startswith("leaky-zoo:")
    assert sorted(path.name for path in folder.iterdir()) == before


def test_inputs_alone_of_a_classifier_are_analysed_without_momenta(tmp_path, line):
    x = np.random.default_rng(0).integers(0, 17, (40, 8, 8, 1)).astype("uint8")
    np.savez(tmp_path / "x.npz", x=x)
    code, said, _ = line("analyze", "digits", "--data", tmp_path / "x.npz", "--relu-samples", 0)
    assert code == 0 and "the momentum needs targets" in said
