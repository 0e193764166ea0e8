"""A study: a grid of recipes that `leaky-zoo sweep` trains, and the finished nets that it measures.

Runs live in `build/<study>`; none is done twice, and an interrupted one goes on.
"""

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.common import BUILD, ROOT, options
from leaky_zoo.io.files import replacing, write_text
from leaky_zoo.io.reading import read_json
from leaky_zoo.processes.progress import track
from leaky_zoo.sweeps import RunState, Sweep, SweepFolder
from leaky_zoo.sweeps.spec import cell_name
from leaky_zoo.training import Recipe


@dataclass(frozen=True)
class Net:
    """One finished run: its name, recipe, `result.json` and folder."""

    name: str
    recipe: Recipe
    result: dict[str, Any]
    folder: Path

    def load(self) -> tuple[Any, Any]:
        """The network, and its data set."""
        from leaky_zoo.data import load_data
        from leaky_zoo.zoo import load_model

        return load_model(self.folder / "model.keras"), load_data(self.recipe.data.name)


def sweep_of(name: str, base: dict[str, Any], cases: Iterable[dict[str, Any]]) -> Sweep:
    """The sweep of these cases (fields of a recipe by their dotted paths); one that comes twice is run once."""
    distinct = {cell_name(case): case for case in cases}
    return Sweep.from_dict({"name": name, "recipe": {**base, "name": name}, "cases": list(distinct.values())})


def recipe_of(base: dict[str, Any], case: dict[str, Any]) -> Recipe:
    """The recipe of one case."""
    recipe = sweep_of("one", base, [case]).cells()[0].recipe
    assert recipe
    return recipe


def run_sweep(sweep: Sweep, jobs: int, shard: str, module: str | None = None) -> None:
    """Train what is missing, each net on one thread; `module` registers a family that is not ours."""
    file = BUILD / f"{sweep.name}.yaml"
    write_text(file, yaml.safe_dump(sweep.model_dump(mode="json"), sort_keys=False))
    command = [sys.executable, "-m", "leaky_zoo", *(["--import", module] if module else []), "sweep", "run", file,
               "--out", BUILD / sweep.name, "--jobs", jobs, "--threads", 1, "--shard", shard]  # fmt: skip
    if code := subprocess.run(list(map(str, command)), check=False, cwd=ROOT).returncode:
        raise SystemExit(code)


def run_here(sweep: Sweep) -> list[Net]:
    """Train what is missing one by one in this process: for many small nets, where starting a process costs most."""
    import keras

    from leaky_zoo.training import train

    folder, cells = SweepFolder(BUILD / sweep.name), sweep.cells()
    folder.check(cells)
    folder.prepare(sweep, cells)
    nets = []
    for cell in cells:
        assert cell.recipe
        run = folder.run(cell.name)
        if run.state() != RunState.DONE:
            keras.backend.clear_session()
            train(cell.recipe, run.folder, resume=True)
        nets.append(Net(run.name, cell.recipe, read_json(run.result), run.folder))
        found = nets[-1].result["metrics"]
        print(cell.name, found.get("validation", found["test"]), flush=True)  # candidates are not seen on test data
    return nets


def finished(name: str) -> Iterator[Net]:
    """Every net of a study that is there, with a bar."""
    runs = [run for run in SweepFolder(BUILD / name).runs() if run.state() == RunState.DONE]
    for run in track(name)(runs):
        yield Net(run.name, Recipe.read(run.recipe), read_json(run.result), run.folder)


def main(
    document: str | None,
    name: str,
    base: dict[str, Any],
    cases: Callable[..., Iterable[dict[str, Any]]],
    measure: Callable[[], None],
    draw: Callable[[], None] | None = None,
    module: str | None = None,
    **grid: Any,
) -> None:
    """The commands of a study: `train` what `cases(**grid)` has, `measure` what is there, `draw` the tables' figure.

    With `--here` nets are trained one by one in this process: for small ones, where starting a process costs most.
    """
    steps = ("train", "measure", *(["draw"] if draw else []))
    chosen = vars(options(document, *steps, **grid, jobs=2, shard="1/1", here=False))
    step, jobs, shard, here = (chosen.pop(key) for key in ("step", "jobs", "shard", "here"))
    if step == "train":
        sweep = sweep_of(name, base, cases(**chosen))
        run_here(sweep) if here else run_sweep(sweep, jobs, shard, module)
    elif step == "measure":
        measure()
    elif draw:
        draw()


def teacher_file(name: str, dimensions: tuple[int, ...], **arguments: Any) -> str:
    """The samples of `teacher_arrays(dimensions, **arguments)` as a file in `build/teachers`, as recipes name it.

    Args:
        name: of the file, without `.npz`; it is written when first asked for.
        dimensions: of the teacher.
        arguments: of `teacher_arrays`.
    """
    from leaky_zoo.data.bottleneck_teacher import teacher_arrays

    path = BUILD / "teachers" / f"{name}.npz"
    if not path.exists():
        (x, y), (x_test, y_test) = (teacher_arrays(dimensions, **arguments)[split] for split in ("train", "test"))
        with replacing(path) as aside:
            np.savez_compressed(aside, x=x, y=y, x_test=x_test, y_test=y_test)
    return path.relative_to(ROOT).as_posix()
