"""Time from where Adam stops to a critical point: plain L-BFGS, Kronecker-factored coordinates, means of iterates.

    python -m benchmarks.science.convergence_time [--seeds 0-2]    writes convergence_time.csv; needs a quiet machine

The nets of figure 1 at L~ = 7 (teacher 30 -> 3 -> 30, 20 equal steps, width 100, mu = mu_io = 1e-3): 2000 steps of
Adam, as there, then L-BFGS in float64 from the same weights, until every layer of the middle half of the path
has a criticality residual of at most 0.05. It is looked at in every evaluation, of iterates and of means alike. `plain`
is scipy's L-BFGS without a restart. `ratio` is to the last method; `ratio_with_adam` is of
the sums with Adam's time.
"""

import time
from pathlib import Path

import numpy as np

from benchmarks.common import BUILD, markdown, options, read_table, write_table
from benchmarks.science.paper import figure1
from benchmarks.science.studies import recipe_of
from leaky_zoo.data import load_data
from leaky_zoo.processes.progress import track
from leaky_zoo.training import lbfgs, train
from leaky_zoo.zoo.recipe import LBFGSPart

TABLE = Path(__file__).with_suffix(".csv")
WANTED, EFFECTIVE_DEPTH = 0.05, 7.0
METHODS = {
    "plain": {"preconditioner": "none", "iterations": 4000},
    "plain, means of 10": {"preconditioner": "none", "iterations": 4000, "round": 4000, "average": 10},
    "factors": {"preconditioner": "kronecker", "iterations": 2000, "round": 100},
    "factors, means of 10": {"preconditioner": "kronecker", "iterations": 2000, "round": 100, "average": 10},
}


class ReachedError(Exception):
    """The residual is small enough."""


def run(network, x, y, method: str) -> dict:
    """One phase from the weights of `network`, which is changed."""
    depth, found, done = len(network.blocks), {}, 0
    middle = np.zeros(depth, bool)
    middle[depth // 4 : depth - depth // 4] = True

    class Watched(lbfgs.Objective):
        def __call__(self, vector):
            value, gradient = super().__call__(vector)
            residuals = np.array(self.criticality_residuals(gradient))
            found.update(objective=value, residual_middle=residuals[middle].max(),
                         residual_elsewhere=residuals[~middle].max())  # fmt: skip
            if found["residual_middle"] <= WANTED:
                raise ReachedError
            return value, gradient

    def count(iteration: int, objective: float, residual: float | None) -> None:
        nonlocal done
        done = iteration

    own = METHODS[method]
    part = LBFGSPart(**own, criticality=1e-9 if "average" in own else None)
    plain, lbfgs.Objective = lbfgs.Objective, Watched
    plain(network, x, y)(plain(network, x, y).get())  # the first call traces the layers
    started, reached = time.perf_counter(), False
    try:
        lbfgs.minimize_objective(network, x, y, part, count)
    except ReachedError:
        reached = True
    finally:
        lbfgs.Objective = plain
    return {"reached": reached, "seconds": time.perf_counter() - started, "iterations": done, **found}


def one_seed(seed: int) -> list[dict]:
    """All methods from the same weights, with their ratios to the last one."""
    # Trained here and not by a sweep: its Adam phase alone is wanted, and its seconds.
    recipe = recipe_of(figure1.BASE, next(figure1.cases(range(seed, seed + 1), (EFFECTIVE_DEPTH,))))
    recipe = recipe.model_copy(update={"lbfgs": None, "converge": False})
    network, result = train(recipe, BUILD / "convergence_time" / f"seed{seed}_2000", resume=True)
    x, y = load_data(recipe.data.name).select("train")
    found = {name: run(network.astype("float64"), x, y, name) for name in track(f"seed {seed}")(METHODS)}
    rows, best, adam = [], list(found.values())[-1]["seconds"], float(result.seconds)
    for name, row in found.items():
        ratios = {"ratio": row["seconds"] / best, "ratio_with_adam": (row["seconds"] + adam) / (best + adam)}
        rows.append({"seed": seed, "method": name} | row | {"adam_seconds": adam} | ratios)
    return rows


def table() -> str:
    """A line for each method, its seeds side by side."""
    columns = {"seconds": ("seconds", ".0f"), "iterations": ("iterations", ".0f"), "objective": ("objective", ".4f"),
               "residual elsewhere": ("residual_elsewhere", ".2f"), "times the last": ("ratio", ".1f"),
               "with Adam's time": ("ratio_with_adam", ".1f")}  # fmt: skip
    lines, rows = [], read_table(TABLE)
    for method in METHODS:
        own = [row for row in rows if row["method"] == method]
        lines.append((method, *(
            ", ".join(format(float(row[field]), digits) if row["reached"] == "True" else "not reached" for row in own)
            for field, digits in columns.values()
        )))  # fmt: skip
    return markdown(("method", *columns), lines)


if __name__ == "__main__":
    for chosen in options(__doc__, seeds=range(3)).seeds:
        write_table(TABLE, one_seed(chosen), ("seed", "method"), threads="all")
