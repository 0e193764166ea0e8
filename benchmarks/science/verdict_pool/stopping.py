"""How many L-BFGS iterations until every layer's residual is 0.05: Clarke's, and that of the sign masks.

    python -m benchmarks.science.verdict_pool.stopping [--nets 8]        writes stopping.csv

Paired: nets of the calibration set (of each generator the first that reaches a Clarke residual of 0.05 in the pool, in
the pool's order) are trained again with Adam, then one trajectory of L-BFGS in float64 is followed, in rounds of 200
iterations as there, at the end of each of which both residuals are looked at. It goes on after Clarke's is small, until
that of the sign masks is as well or the iterations are four times as many. Where it never is, the ratio is a bound.
"""

import contextlib
from pathlib import Path

from benchmarks.common import BUILD, options, read_table, write_table
from benchmarks.science.verdict_pool.measure import NETS
from benchmarks.science.verdict_pool.pool import Case, cases
from leaky_zoo.processes.progress import track
from leaky_zoo.training import Recipe, train
from leaky_zoo.training.lbfgs import LBFGSProgress, minimize_objective
from leaky_zoo.zoo.training_data import training_data

TABLE = Path(__file__).with_suffix(".csv")
WANTED, ROUND, FACTOR, MOST = 0.05, 200, 4, 2400


class EnoughError(Exception):
    """Nothing more is to be seen on this trajectory."""


def follow(case: Case) -> dict[str, object]:
    """Both counts of one net."""
    recipe = Recipe.from_dict({**case.recipe.model_dump(), "lbfgs": None, "converge": False})
    network, _ = train(recipe, BUILD / "verdict_pool_stopping" / case.name, resume=True)
    x, y = training_data(network).arrays
    twin = network.astype("float64")
    assert case.recipe.lbfgs_phase is not None
    settings = case.recipe.lbfgs_phase.model_copy(
        update={"round": ROUND, "criticality": 1e-9, "iterations": FACTOR * MOST}
    )
    found: dict[str, int] = {}
    least: dict[str, float] = {}

    def look(now: LBFGSProgress) -> None:
        worst = {"signs": max(now.criticality_residuals), "clarke": max(now.clarke_residuals or [1.0])}
        for name, residual in worst.items():
            least[name] = min(residual, least.get(name, residual))
            if residual <= WANTED:
                found.setdefault(name, now.iterations)
        late = now.iterations >= (FACTOR * found["clarke"] if "clarke" in found else MOST)
        if late or len(found) == len(worst):
            found["followed"] = now.iterations
            raise EnoughError

    with contextlib.suppress(EnoughError):
        minimize_objective(twin, x, twin.task.targets(x, y), settings, on_round=look)
    clarke, signs = found.get("clarke"), found.get("signs")
    return {
        "net": case.name, "iterations_clarke": clarke, "iterations_signs": signs, "followed": found["followed"],
        "least_clarke": least["clarke"], "least_signs": least["signs"],
        "ratio_at_least": clarke and (signs or found["followed"]) / clarke,
    }  # fmt: skip


def main(nets: int) -> None:
    """One row for each net."""
    reached = {row["net"] for row in read_table(NETS) if float(row["worst_clarke_residual"]) <= WANTED}
    chosen: dict[str, Case] = {}
    for case in cases("calibration"):
        if case.name in reached:
            chosen.setdefault(case.generator, case)
    for case in track("following")(list(chosen.values())[:nets]):
        write_table(TABLE, [follow(case)], ("net",), samples="up to 300", residual=WANTED, round=ROUND)


if __name__ == "__main__":
    main(options(__doc__, nets=8).nets)
