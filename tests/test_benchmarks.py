"""Every benchmark can be imported and explains itself; what the pages say in numbers is what the tables say."""

import functools
import importlib
import itertools
import pkgutil
import runpy
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import benchmarks
from benchmarks import tables
from benchmarks.common import read_table
from benchmarks.science import codes, logit_drift, mnist_classes, mnist_rank, questions, schedule_selection, slopes
from benchmarks.science.studies import sweep_of
from benchmarks.science.zoo import baselines, fine_tuning, results, selection, staged_energy
from benchmarks.science.zoo.image_nets import Maker, keras_example, resnet_20
from benchmarks.science.zoo.progress import Progress
from benchmarks.science.zoo.results import multiply_adds
from leaky_zoo.data import load_data
from leaky_zoo.networks import LeakyConvNet, LeakyMLP
from leaky_zoo.zoo import Preset, list_presets

pytestmark = pytest.mark.tensorflow_only
ROOT = Path(__file__).parent.parent
# One runs under another Python, which has torch.
MODULES = [
    module.name
    for module in pkgutil.walk_packages(benchmarks.__path__, "benchmarks.")
    if not module.ispkg and not module.name.endswith("_torch")
]
COMMANDS = [
    name
    for name in MODULES
    if "\nif __name__ ==" in (ROOT / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
]


def test_all_modules_can_be_imported_from_the_root():
    assert len(COMMANDS) >= 18
    for name in MODULES:
        assert importlib.import_module(name).__doc__


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_explain_themselves(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with warnings.catch_warnings(), pytest.raises(SystemExit) as stop:
        warnings.filterwarnings("ignore", message=".*found in sys.modules after import of package")
        runpy.run_module(name, run_name="__main__")
    said = capsys.readouterr().out
    assert stop.value.code == 0
    # Its own name: what is to be typed.
    assert f"python -m {name}" in said


def test_studies_are_sweeps_of_valid_recipes():
    grids = [
        schedule_selection.sweep_of(task, depth, range(2)) for task in schedule_selection.SHORT for depth in (0, 7)
    ]
    grids.append(sweep_of("mnist_rank", mnist_rank.BASE, mnist_rank.cases(range(2))))
    for grid in grids:
        assert [cell.problem for cell in grid.cells() if cell.problem] == []
    # A case that comes twice is one run.
    assert len(grids[-1].cells()) == 2 * len(mnist_rank.RECIPES)


def test_multiply_adds_are_those_of_every_linear_map():
    dense = LeakyMLP((4,), 2, width=3, depth=5)
    assert multiply_adds(dense) == 4 * 3 + 5 * 3 * 3 + 3 * 2
    shape = {"width": 2, "depth": 5, "data_format": "channels_last"}
    image = LeakyConvNet((8, 8, 1), 3, **shape)
    stem, blocks, head = 16 * 25 * 2, 5 * 16 * 9 * 2 * 2, 4 * 9 * 2 * 4 + 4 * 3
    assert multiply_adds(image) == stem + blocks + head
    back = LeakyConvNet((8, 8, 1), None, task="autoencoding", **shape)
    assert multiply_adds(back) == stem + blocks + 16 * 25 * 2


def test_the_results_page_is_what_its_tables_and_the_presets_say():
    assert results.page() == results.PAGE.read_text(encoding="utf-8")
    rows = {row["preset"]: row for row in read_table(results.TABLE)}
    presets = {entry["name"]: Preset.open(entry["name"], ()).metadata for entry in list_presets()}
    assert rows.keys() == presets.keys()
    for name, metadata in presets.items():
        row, seeds = rows[name], metadata.get("seeds")
        assert row["weights_sha256"] == metadata["sha256"]["model.weights.h5"][:16]
        assert float(row["test"]) == pytest.approx(metadata["metrics"]["test"][row["metric"]], rel=1e-4)
        assert int(row["seeds"]) == (len(seeds["seeds"]) if seeds else 1)


def test_image_baselines_are_the_nets_they_are_called():
    maker = Maker("mixed_bfloat16", 1e-4)
    ends = maker.scaled((32, 32, 3), np.zeros(3), np.ones(3))
    widths = [16] * 7 + [32] * 6 + [64] * 6
    maps = sum(9 * before * after for before, after in itertools.pairwise([3, *widths])) + 65 * 10
    for normalised, others in ((True, 2 * sum(widths)), (False, sum(widths))):
        net = resnet_20(maker, *ends, 10, normalised)
        assert sum(int(np.prod(weight.shape)) for weight in net.trainable_variables) == maps + others
    # "cifar10_cnn" of Keras 2, as it says itself: 1,250,858 parameters.
    example = keras_example(maker, *ends, 10)
    assert sum(int(np.prod(weight.shape)) for weight in example.trainable_variables) == 1_250_858
    for net in (resnet_20(maker, *ends, 10, True), example):
        assert net.output.dtype == "float32"


def test_a_baseline_that_was_stopped_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    preset = Preset.open("leaky_conv_optical_digits_l3_equidistant")
    recipe = preset.recipe.model_copy(
        update={
            "data": preset.recipe.data.model_copy(update={"train": "train[:200]", "test": "test[:300]"}),
            "optimizer": preset.recipe.optimizer.model_copy(update={"epochs": 3}),
        }
    )
    data, finals = load_data(recipe.data.name), []
    model_of = functools.partial(baselines.model_of, "residual, norm", recipe, data)
    # What comes after the training takes a thousand batches.
    monkeypatch.setattr(baselines, "_settle", lambda model, *others: finals.append(model.get_weights()))
    whole = baselines.trained(model_of, recipe, data)
    progress = Progress(tmp_path / "progress.npz")
    keep, kept = progress.keep, []

    def stop(variables, steps):
        keep(variables, steps)
        kept.append(steps)
        if len(kept) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(progress, "keep", stop)
    with pytest.raises(KeyboardInterrupt):
        baselines.trained(model_of, recipe, data, progress)
    later = Progress(progress.path)
    assert baselines.trained(model_of, recipe, data, later) == whole
    assert later.seconds > 0
    for once, again in zip(*finals, strict=True):
        np.testing.assert_array_equal(once, again)
    with pytest.raises(SystemExit, match="another net"):
        later.restore([])


def test_the_zoo_studies_are_sweeps_of_valid_recipes():
    grids = [sweep_of(name, base, selection.cases(name)) for name, (base, _) in selection.STUDIES.items()]
    grids.append(sweep_of("staged_energy", staged_energy.BASE, staged_energy.cases(range(2))))
    for way in fine_tuning.WAYS:
        grids.append(sweep_of(fine_tuning.study(way), fine_tuning.base(way), fine_tuning.cases(range(2), (50,))))
    for grid in grids:
        assert [cell.problem for cell in grid.cells() if cell.problem] == []


@pytest.mark.parametrize("study", [codes, questions, slopes], ids=lambda study: study.__name__.rpartition(".")[2])
def test_what_a_table_has_is_not_trained_again(study, tmp_path, monkeypatch):
    asked = {
        codes: lambda: list(codes.cases(range(3))),
        questions: lambda: [case for _, _, cases in questions.cases() for case in cases],
        slopes: lambda: list(slopes.cases(range(2), (1, 2, 3), ("relu", "tanh"))),
    }[study]
    monkeypatch.setattr(study, "data", lambda *_: "no.npz")
    missing = asked()
    rows = [row for row in read_table(study.CSV) if row.get("question") != "widened"]  # made of others
    monkeypatch.setattr(study, "CSV", tmp_path / "none.csv")
    assert len(asked()) == len(missing) + len(rows)  # every row stands for one net of the study


def test_the_studies_of_codes_and_questions_are_valid_recipes(monkeypatch):
    for study in (codes, questions):
        monkeypatch.setattr(study, "data", lambda *words: f"{'_'.join(map(str, words))}.npz")
        monkeypatch.setattr(study, "CSV", Path("none.csv"))
    grids = [sweep_of("codes", codes.BASE, codes.cases(range(3)))]
    grids += [sweep_of(name, base, cases) for name, base, cases in questions.cases()]
    for grid in grids:
        assert [cell.problem for cell in grid.cells() if cell.problem] == []
    assert [len(grid.cells()) for grid in grids] == [92, 21, 9]
    assert len(list(logit_drift.every(range(2)))) == 18


def test_a_permutation_test_of_distances_finds_what_is_there_and_nothing_else(monkeypatch):
    monkeypatch.setattr(mnist_classes, "PERMUTATIONS", 400)
    random = np.random.default_rng(0)
    points = random.normal(size=(10, 5))
    turned = points @ np.linalg.qr(random.normal(size=(5, 5)))[0]
    assert mnist_classes.mantel(*map(mnist_classes.distances, (points, turned))) == pytest.approx((1, 1 / 401))
    found = [
        mnist_classes.mantel(*(mnist_classes.distances(random.normal(size=(10, 5))) for _ in range(2)))[1]
        for _ in range(40)
    ]
    assert 0.3 < np.mean(found) < 0.7  # uniform where nothing is shared


def test_tables_in_the_pages_are_those_of_the_tables_and_presets():
    assert tables.stale() == [], "run make docs"
