"""What each part of a schedule does: variants of the study's schedules, one thing changed in each.

Their runs are the study's (`study train --schedules adaptive_every_50,...`) and go to the same tables; `table`
writes them beside equal steps.
"""

from pathlib import Path

from benchmarks.common import markdown, read_table, shown
from benchmarks.science.step_sizes.compare import pairs, read_results
from leaky_zoo.layers.schedules import Equidistant, Irregular, Learnable

DETAILS = Path(__file__).with_name("details.csv")


class LearnableBeyondOne(Learnable):
    """Learnable steps that may overshoot the leak, `rho L~` up to 1.5: what the library's cap costs."""

    name = "learnable_beyond_one"

    def __init__(self, **arguments) -> None:
        super().__init__(**(arguments | {"cap": 0.9}))
        self.cap = 1.5


class MiddleBeyondOne(Equidistant):
    """Equal steps at the start (a block refuses to be built beyond one), the paper's irregular ones from then on.

    With 8 layers at L~ = 7 their `rho L~` is 0.55 at the ends and up to 1.2 in the middle, inside the bottleneck.
    """

    name = "middle_beyond_one"
    interval, freeze_at = 1, 0.001

    def __init__(self, **arguments) -> None:
        super().__init__(**(arguments | {"cap": 0.9}))
        self.cap = 1.5

    def update(self, step_sizes, path):
        return Irregular(amplitude=2.0).initial(len(step_sizes), 0.0)


# Name in the tables, what it says in the page, and the schedule.
VARIANTS = {
    "adaptive": ("adaptive (paper): every 200 steps", "adaptive"),
    "adaptive_every_50": ("adaptive, every 50 steps", {"name": "adaptive", "interval": 50}),
    "adaptive_every_1000": ("adaptive, every 1000 steps", {"name": "adaptive", "interval": 1000}),
    "adaptive_frozen_20": ("adaptive, frozen after 20% of training", {"name": "adaptive", "freeze_at": 0.2}),
    "adaptive_final": ("the last steps of adaptive, fixed from the start", {"name": "fixed"}),
    "equidistributing": ("equidistributing, beta 0.5: K norm", "equidistributing"),
    "equidistributing_euclidean": ("equidistributing, beta 0.5: Euclidean norm",
                                   {"name": "equidistributing", "norm": "euclidean"}),
    "local_error": ("local error", "local_error"),
    "hamiltonian": ("hamiltonian", "hamiltonian"),
    "hamiltonian_corrected": ("hamiltonian, weights corrected", {"name": "hamiltonian", "keeps_function": True}),
    "hamiltonian_frozen_20": ("hamiltonian, frozen after 20% of training", {"name": "hamiltonian", "freeze_at": 0.2}),
    "hamiltonian_low_floor": ("hamiltonian, floor 0.1 for 0.5", {"name": "hamiltonian", "floor": 0.1}),
    "irregular": ("irregular (paper): amplitude 2", "irregular"),
    "irregular_reversed": ("irregular, amplitude -2", {"name": "irregular", "amplitude": -2.0}),
    "irregular_reversed_same_start": ("irregular, amplitude -2, weights start with the variance of equal steps",
                                      {"name": "irregular", "amplitude": -2.0}),
    # On the nets of 8 layers the amplitude is another: tasks.py.
    "ends_at_cap": ("irregular, as large at the ends as the cap allows, amplitude -2.6",
                    {"name": "irregular", "amplitude": -2.6}),
    "fast_large": ("equidistributing, beta -0.5: K norm", {"name": "equidistributing", "beta": -0.5}),
    "fast_large_euclidean": ("equidistributing, beta -0.5: Euclidean norm",
                             {"name": "equidistributing", "beta": -0.5, "norm": "euclidean"}),
    "fast_large_frozen_20": ("equidistributing, beta -0.5: K norm, frozen after 20%",
                             {"name": "equidistributing", "beta": -0.5, "freeze_at": 0.2}),
    "learnable": ("learnable", "learnable"),
    "learnable_fast": ("learnable, gain 5", {"name": "learnable", "gain": 5.0}),
    "learnable_slow": ("learnable, gain 0.2", {"name": "learnable", "gain": 0.2}),
    "learnable_entropy": ("learnable, entropy penalty 0.1", {"name": "learnable", "entropy": 0.1}),
    "learnable_from_hamiltonian": ("learnable, from the last steps of hamiltonian", {"name": "learnable"}),
    "learnable_final": ("the last steps of learnable, fixed from the start", {"name": "fixed"}),
    "learnable_beyond_one": ("learnable, rho L~ up to 1.5", {"name": "learnable_beyond_one"}),
    "middle_beyond_one_l8": ("8 steps, large in the middle, rho L~ up to 1.2 there", {"name": "middle_beyond_one"}),
    "equidistant_l8": ("8 equal steps", "equidistant"),
    "equidistant_l40": ("40 equal steps", "equidistant"),
    "equidistant_long": ("equal steps, twice as many steps of Adam", "equidistant"),
}  # fmt: skip
# Steps taken over from the end of another schedule's run of the same seed, and the argument that takes them.
TAKEN_FROM = {
    "learnable_from_hamiltonian": ("hamiltonian", "start_at"),
    "adaptive_final": ("adaptive", "step_sizes"),
    "learnable_final": ("learnable", "step_sizes"),
}
CHANGES = {"equidistant_long": {"optimizer": {"steps": 6000, "learning_rate": 1e-2}}}


def schedule_of(task: str, name: str, seed: int, mu: float) -> str | dict:
    """The schedule of a variant; what it takes over must be in details.csv."""
    schedule = VARIANTS[name][1]
    if name not in TAKEN_FROM:
        return schedule
    source, argument = TAKEN_FROM[name]
    wanted = (task, source, str(seed), f"{mu:g}", "adam")
    for row in read_table(DETAILS):
        if tuple(row[key] for key in ("task", "schedule", "seed", "mu", "phase")) == wanted:
            steps = [float(step) for step in row["step_sizes"].split()]
            # Rounded in the table, a step at the cap may be beyond it: 0.2% of the way to equal steps.
            return schedule | {argument: [0.998 * step + 0.002 / len(steps) for step in steps]}
    raise SystemExit(f"{name} takes its steps from {source}: train and collect that first, {task}, seed {seed}.")


def table(task: str = "teacher_k3", mu: float = 1e-3) -> str:
    """Every variant against equal steps on one task, paired by seed: objective and test error after both phases."""
    columns = ("schedule", "pairs", "objective after Adam", "after L-BFGS", "test error after Adam", "after L-BFGS")
    results, lines = read_results(), []
    for name, (words, _) in VARIANTS.items():
        found = [pairs(results[task, mu, phase], name, "equidistant") for phase in ("adam", "lbfgs")]
        if len(found[0][0]):
            objectives = [shown(change, 2, "%", "+") for change, _, _ in found]
            errors = [shown(new - old, 4, "", "+") for _, new, old in found]
            lines.append((words, len(found[0][0]), *objectives, *errors))
    return markdown(columns, lines)
