"""Sweep files: grids, names, shards, and what is said of one that is wrong."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from leaky_zoo.cli.sweep_watch import watcher_for
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.processes.shards import parse_shard, shard_of
from leaky_zoo.sweeps import RunState, Sweep, SweepFolder
from leaky_zoo.sweeps.check import find_problems
from leaky_zoo.sweeps.figures import plot_sweep, plots
from leaky_zoo.sweeps.folder import write_status
from leaky_zoo.sweeps.report import collect_rows, summarize_rows, to_csv
from leaky_zoo.sweeps.run import Plan
from leaky_zoo.sweeps.spec import cell_name

BASE = {"name": "base", "data": {"name": "optical_digits"}, "optimizer": {"epochs": 2}}


def make(**changes):
    return Sweep.from_dict({"name": "toy", "recipe": BASE, "grid": {"seed": [0, 1]}, **changes})


def test_cases_are_combined_with_the_whole_grid():
    cases = [{"network.depth": 10, "network.effective_depth": 3}, {"network.depth": 20, "network.effective_depth": 7}]
    sweep = make(
        cases=cases, grid={"network.schedule": ["equidistant", {"name": "irregular", "amplitude": 1}], "seed": [0]}
    )
    cells = sweep.cells()
    assert sweep.size == len(cells) == 4
    found = {(c.recipe.network.depth, c.recipe.network.effective_depth, str(c.recipe.network.schedule)) for c in cells}
    assert len(found) == 4
    assert len({cell.name for cell in cells}) == 4
    assert cells[0].recipe.name == f"toy.{cells[0].name}"


def test_names_do_not_depend_on_the_rest_of_the_grid():
    small, large = make().cells(), make(grid={"seed": [5, 1, 0, 2]}).cells()
    assert {cell.name for cell in small} < {cell.name for cell in large}


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5})?", fullmatch=True), st.sampled_from(
    [1, 1.5, 1e-20, True, None, "a", "A", "a b", "x" * 90, {"name": "s", "k": 1}, {"name": "s", "k": 2}, "../..", ""]
), min_size=1, max_size=6))  # fmt: skip
def test_any_fields_give_a_name_that_is_one_plain_folder(fields):
    name = cell_name(fields)
    assert 0 < len(name) <= 120 and "/" not in name and name not in (".", "..") and name.isprintable()


@pytest.mark.parametrize("value", [1_000_000, 10**12, 1e6, 1e20, 2.5e6, 1234567])
def test_large_numbers_name_runs_too(value):
    (cell,) = make(grid={"optimizer.learning_rate": [value]}).cells()
    assert cell.problem is None and cell.recipe.optimizer.learning_rate == value


def test_a_schedule_argument_is_a_field():
    base = {**BASE, "network": {"schedule": "irregular"}}
    (cell,) = make(recipe=base, grid={"network.schedule.amplitude": [0.5]}).cells()
    assert cell.recipe.network.schedule == {"name": "irregular", "amplitude": 0.5}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": {}}, "give `grid` or `cases`"),
        ({"grid": {"seed": []}}, "grid.seed"),
        ({"grid": {"seed": [1, 1]}}, "seed has a value twice"),
        ({"grid": {"Seed": [1]}}, "grid.Seed"),
        ({"grid": {"name": ["a"]}}, "name: cannot be swept"),
        ({"grid": {"seed": list(range(101)), "network.depth": list(range(100))}}, "10,100 runs"),
        ({"cases": [{"seed": 1}]}, "in `grid` and in `cases`"),
        ({"cases": [{"network.depth": 1}, {"network.width": 1}]}, "the same fields"),
        ({"invalid": "ignore"}, "invalid"),
        ({"jobs": 2}, "jobs"),
        ({"name": "../up"}, "name"),
        ({"recipe": 3}, "recipe"),
    ],
)
def test_a_sweep_that_is_wrong_is_named_by_its_field(changes, message):
    with pytest.raises(InvalidInputError, match=message) as error:
        make(**changes)
    assert "\n" not in str(error.value)


def test_a_wrong_value_is_reported_by_its_cell():
    cells = make(grid={"network.depth": [0, 10], "network.widht": [3]}).cells()
    assert all("network.widht" in cell.problem for cell in cells)
    assert ["network.depth" in cell.problem for cell in cells] == [True, False]
    cells = make(grid={"network.depth": [0, 10]}).cells()
    assert [cell.recipe is None for cell in cells] == [True, False]
    assert cells[0].name == "depth-0" and cells[0].problem.startswith("network.depth:")


WINE = {"name": "base", "data": {"name": "wine"}, "optimizer": {"epochs": 2}}  # 142 samples to train on
IMAGES = {**BASE, "network": {"family": "resnet", "depth": 6}}


@pytest.mark.tensorflow_only
@pytest.mark.parametrize(
    ("base", "grid", "problems"),
    [
        (WINE, {"seed": [0]}, [None]),
        (WINE, {"data.batch_size": [142, 256]}, [None, "must be at most 142"]),
        (WINE, {"data.flip": [0.0, 0.5]}, [None, "`flip` needs images"]),
        ({**WINE, "data": {"name": "wine", "batch_size": 32}}, {"optimizer.micro_batches": [1, 64]}, [None, "64"]),
        ({**WINE, "data": {"name": "wine", "batch_size": 32}}, {"optimizer.micro_batches": [64, 1]}, ["64", None]),
        (IMAGES, {"network.effective_depths": [[1.0, 1.0, 2.0]]}, [None]),
        (IMAGES, {"network.schedules": [["irregular", "equidistant", "equidistant"]]}, [None]),
        (IMAGES, {"data.crop_padding": [2, 8]}, [None, "larger than it"]),
        (
            {**IMAGES, "data": {"name": "optical_digits", "flip": 0.5}},
            {"network.data_format": ["channels_last", "channels_first"]},
            [None, "(height, width, channels)"],
        ),
    ],
)
def test_the_check_refuses_what_cannot_be_trained_and_nothing_else(base, grid, problems):
    cells = make(recipe=base, grid=grid).cells()
    found = find_problems(cells)
    for cell, words in zip(cells, problems, strict=True):
        assert words in found[cell.name] if words else cell.name not in found


def test_the_base_recipe_may_be_a_file_beside_the_sweep(tmp_path):
    (tmp_path / "base.yaml").write_text(json.dumps(BASE))
    file = tmp_path / "sweep.yaml"
    file.write_text("{name: toy, recipe: base.yaml, grid: {seed: [0]}}")
    assert Sweep.read(file).cells()[0].recipe.optimizer.epochs == 2
    file.write_text("{name: toy, recipe: none.yaml, grid: {seed: [0]}}")
    with pytest.raises(InvalidInputError, match=r"none\.yaml"):
        Sweep.read(file)


def test_shards_share_all_runs_out():
    runs = list(range(23))
    parts = [shard_of(runs, f"{index}/5") for index in range(1, 6)]
    assert sorted(run for part in parts for run in part) == runs and max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("shard", ["0/2", "3/2", "a/b", "1", "1/0", "-1/2", "1/2/3", "", "1/99999999999", "²/2"])
def test_a_wrong_shard_is_refused(shard):
    with pytest.raises(InvalidInputError, match="--shard is I/N"):
        parse_shard(shard)


def test_a_changed_recipe_for_the_same_folder_is_refused_with_the_field(tmp_path):
    folder = SweepFolder(tmp_path / "out")
    sweep = make()
    folder.prepare(sweep, sweep.cells())
    folder.check(make(grid={"seed": [0, 1, 2]}).cells())  # a larger grid is no change
    changed = make(recipe={**BASE, "optimizer": {"epochs": 3}})
    with pytest.raises(InvalidInputError, match=r"optimizer\.epochs: 2 there, 3 now"):
        folder.check(changed.cells())


def test_a_folder_with_other_things_in_it_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(InvalidInputError, match="neither empty nor a sweep's folder"):
        SweepFolder(tmp_path).check(make().cells())
    with pytest.raises(InvalidInputError, match="must be a folder"):
        SweepFolder(tmp_path / "thesis.tex").check(make().cells())


def test_rows_and_spread_of_a_sweep_that_is_half_done(tmp_path):
    folder, sweep = SweepFolder(tmp_path / "out"), make(grid={"network.depth": [8, 10], "seed": [0, 1]})
    folder.prepare(sweep, sweep.cells())
    for row, cell in enumerate(sweep.cells()[:3]):
        run = folder.run(cell.name)
        run.folder.mkdir()
        second = {} if row else {"lbfgs": {"converged": True}}
        run.result.write_text(json.dumps({"metrics": {"test": {"loss": 1.0 + row}}, "device": "CPU"} | second))
        (run.folder / "log.csv").write_text(f"epoch,step,loss\n1,5,9.0\n2,10,{2.0 + row}\n")
        write_status(run, {"state": "done", "seconds": 3.0, "attempts": 1, "versions": {"numpy": "2"}, "threads": 1})
    rows = collect_rows(folder, sweep)
    assert [row["state"] for row in rows] == ["done", "done", "done", "waiting"]
    assert [row["network.depth"] for row in rows] == [8, 8, 10, 10]
    assert [row["objective"] for row in rows] == [2.0, 3.0, 4.0, None]
    assert rows[0]["converged"] is True and rows[1]["converged"] is None
    assert rows[0]["version/numpy"] == "2" and rows[3]["test/loss"] is None
    first, second = summarize_rows(rows, sweep)
    assert first["runs"] == 2 and first["test/loss mean"] == 1.5
    assert first["test/loss std"] == pytest.approx(0.5**0.5)
    assert second["runs"] == 1 and second["test/loss std"] is None
    assert to_csv(rows).splitlines()[0].startswith("run,state,network.depth,seed,objective,test/loss,seconds")
    run.result.write_text('{"metrics": 3}')
    with pytest.raises(InvalidInputError, match=r"result\.json"):
        collect_rows(folder, sweep)


def test_the_live_table_shows_what_runs_and_what_became_of_it(tmp_path):
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=30)
    folder, sweep = SweepFolder(tmp_path / "out"), make(grid={"seed": [0, 1, 2]})
    cells = sweep.cells()
    folder.prepare(sweep, cells)
    plan = Plan(folder, cells, {cell.name: RunState.WAITING for cell in cells}, [cell.name for cell in cells])
    with watcher_for(console) as watcher:
        watcher.begin(plan)
        run = folder.run("seed-0")
        run.folder.mkdir()
        (run.folder / "log.csv").write_text("epoch,step,loss\n1,50,0.25\n")
        write_status(run, {"state": "running", "seconds": 4.0})
        watcher.tick()
        watcher.ended("seed-1", {"state": "failed", "seconds": 7.0, "message": "exit code 2: [no] such data"})
        watcher.tick()
    drawn = Text.from_ansi(console.file.getvalue()).plain
    assert "3 runs: 0 running, 3 waiting" in drawn and "1 running, 1 waiting, 1 failed" in drawn
    assert "50" in drawn and "0.25" in drawn and "[no] such data" in drawn
    lines = io.StringIO()
    with watcher_for(Console(file=lines, width=120)) as watcher:
        watcher.begin(plan)
        watcher.ended("seed-1", {"state": "failed", "seconds": 7.0, "message": "out of [memory]"})
        watcher.tick()
    assert lines.getvalue().splitlines()[1] == "[1/3] failed seed-1, 7 s: out of [memory]"


def test_figures_have_axes_labels_and_a_line_for_each_combination():
    rows = [
        {"run": f"{depth}{name}{seed}", "state": "done", "network.effective_depth": depth, "network.schedule": name,
         "seed": seed, "objective": 1.0 * depth + seed, "test/loss": 2.0 * depth + seed}
        for depth in (1.0, 3.0) for name in ("adaptive", "learnable") for seed in (0, 1)
    ]  # fmt: skip
    sweep = make(
        grid={"network.effective_depth": [1, 3], "network.schedule": ["adaptive", "learnable"], "seed": [0, 1]}
    )
    names = [name for name, _, _ in plots(rows, sweep)]
    assert names == [
        "objective_by_network_effective_depth", "test_loss_by_network_effective_depth",
        "objective_by_network_schedule", "test_loss_by_network_schedule",
    ]  # fmt: skip
    axes = plot_sweep(rows, sweep, "network.effective_depth", "test/loss").axes[0]
    lines = {line.get_label(): list(line.get_ydata()) for line in axes.lines if not line.get_label().startswith("_")}
    assert lines == {"adaptive": [2.5, 6.5], "learnable": [2.5, 6.5]}
    assert axes.get_xlabel().startswith("effective depth") and axes.get_ylabel() == "test loss"
    assert "2 seeds" in axes.get_title()
    axes = plot_sweep(rows, sweep, "network.schedule", "objective").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["adaptive", "learnable"]
    assert plots([], sweep) == []
