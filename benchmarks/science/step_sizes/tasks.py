"""The tasks of the study, its schedules by the name they have in the tables, and the recipe of a run."""

from benchmarks.science.step_sizes.ablations import CHANGES, VARIANTS, schedule_of
from benchmarks.science.studies import teacher_file
from leaky_zoo.layers import Irregular
from leaky_zoo.training import Recipe

# Weaker and stronger, for each task; mu_io is the same.
MUS = {
    "teacher_k3": (1e-3, 2e-3),
    "teacher_resnet": (1e-3, 2e-3),
    "digits": (2e-4, 5e-4),
    "digits_conv": (2e-4, 5e-4),
    "mnist_10k": (2e-4, 5e-4),
}
TASKS = tuple(MUS)
NETWORKS = {
    # The paper's figure 1 with the coarse steps that its depth bound allows: rho L~ = 0.58.
    "teacher_k3": {"width": 64, "depth": 12, "effective_depth": 7},
    # Figure 2: L~ = 3, few layers, where a step size matters most.
    "teacher_resnet": {"width": 64, "depth": 8, "effective_depth": 3},
    "digits": {"width": 64, "depth": 12, "effective_depth": 7},
    "digits_conv": {"family": "conv", "width": 16, "depth": 12, "effective_depth": 7},
    "mnist_10k": {"width": 64, "depth": 12, "effective_depth": 7},
}
# Adam on batches and fewer iterations of L-BFGS, where a full batch costs too much.
SHORTER = {
    "data": {"batch_size": 250},
    "optimizer": {"steps": 2000, "learning_rate": 5e-3},
    "lbfgs": {"iterations": 150, "criticality": 0.03},
}
SCHEDULES = {
    "equidistant": "equidistant",
    **{name: schedule for name, (_, schedule) in VARIANTS.items()},
    # The steps that learnable nets end with on the first teacher, by eye.
    "ends_large": {"name": "fixed", "step_sizes": [1.45, 1.15, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.9, 1.35, 1.45]},
    # Other depths: fewer layers than the task's, down to what the cap allows, and more.
    **{f"equidistant_l{depth}": "equidistant" for depth in (4, 8, 20, 40)},
    **{f"learnable_l{depth}": "learnable" for depth in (4, 20)},
    "irregular_reversed_l40": {"name": "irregular", "amplitude": -2.0},
}


def recipe_of(task: str, schedule: str, seed: int, mu: float) -> Recipe:
    """The recipe of a run."""
    chosen = schedule_of(task, schedule, seed, mu) if schedule in VARIANTS else SCHEDULES[schedule]
    network = NETWORKS[task] | {"schedule": chosen}
    if schedule == "ends_at_cap":
        network["schedule"] = ends_at_cap(network["depth"], network["effective_depth"])
    name, _, depth = schedule.rpartition("_l")
    if name and depth.isdigit():
        network["depth"] = int(depth)
    recipe = {
        "name": f"{task}_{schedule}_seed{seed}",
        "data": {"name": data_name(task, seed), "batch_size": "full"},
        "network": network,
        "objective": {"weight_decay": mu, "ramp": 0.2},
        "optimizer": {"steps": 3000, "learning_rate": 1e-2},
        "lbfgs": {"iterations": 600, "criticality": 0.03},
        "log_every": 500,
        "seed": seed,
    } | CHANGES.get(schedule, {})
    if task in ("digits_conv", "mnist_10k"):
        recipe |= SHORTER | {"data": recipe["data"] | SHORTER["data"]}
    if task == "mnist_10k":
        recipe["data"]["train"] = "train[:10000]"
    return Recipe.from_dict(recipe)


def ends_at_cap(depth: int, effective_depth: float, most: float = 3.5) -> dict:
    """Irregular steps whose ends are as large as the cap allows, in tenths; beyond -4 the middle would be negative."""
    tenths = range(round(-10 * most), 1)
    amplitudes = [tenth / 10 for tenth in tenths]
    steps = {amplitude: Irregular(amplitude) for amplitude in amplitudes}
    allowed = [a for a, rule in steps.items() if rule.within_cap(rule.initial(depth, effective_depth), effective_depth)]
    return {"name": "irregular", "amplitude": allowed[0]}


def data_name(task: str, seed: int) -> str:
    """A registry name, or the file of this seed's teacher."""
    if task == "mnist_10k":
        return "mnist"
    if task in ("digits", "digits_conv"):
        return f"optical_digits/fold_{seed % 5}"
    if task == "teacher_k3":
        return teacher_file(f"k3_seed{seed}", (30, 3, 30), seed=seed)
    return teacher_file(f"resnet_seed{seed}", (30, 6, 3, 30), residual=True, seed=seed)
