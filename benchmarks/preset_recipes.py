"""The recipes of the shipped presets, as a function of data set, effective depth and schedule."""

from leaky_zoo.training import Recipe

EFFECTIVE_DEPTHS = (0, 1, 3, 7, 12)
SCHEDULES = ("equidistant", "irregular", "adaptive", "learnable", "hamiltonian")
# rho L~ <= 0.9 bounds the depth from below, for irregular steps (1 + a / 4) times as far.
DEPTHS = {
    "optical_digits": {0: 10, 1: 10, 3: 10, 7: 14, 12: 21},
    "teacher_k3": {0: 12, 1: 12, 3: 12, 7: 12, 12: 20},
    "mnist": {0: 12, 1: 12, 3: 12, 7: 12, 12: 20},
}


def preset_recipe(task: str, effective_depth: int, schedule: str, seed: int = 0) -> Recipe:
    """The recipe of `leaky_mlp_<task>_l<L~>_<schedule>`."""
    depth, chosen = DEPTHS[task][effective_depth], SCHEDULE_ARGUMENTS.get((task, schedule), schedule)
    path = {"depth": depth, "effective_depth": effective_depth, "schedule": chosen}
    common = {"name": f"leaky_mlp_{task}_l{effective_depth}_{schedule}", "seed": seed, "network": path}
    special = LOW_RANK if (task, effective_depth, schedule) == ("mnist", 7, "irregular") else {}
    special = special or SPECIAL.get((task, effective_depth), {})
    return Recipe.from_dict(_merge(_merge(common, PARTS[task]), special))


def _merge(first: dict, second: dict) -> dict:
    merged = dict(first)
    for key, value in second.items():
        merged[key] = {**first.get(key, {}), **value} if isinstance(value, dict) else value
    return merged


PARTS = {
    "optical_digits": {
        "data": {"name": "optical_digits/fold_0", "batch_size": 64, "input_dropout": 0.2},
        "network": {"width": 128},
        "objective": {"weight_decay": 3e-4, "io_weight_decay": 1e-3},
        "optimizer": {"epochs": 150, "learning_rate": 2e-3},
    },
    "teacher_k3": {
        "data": {"name": "bottleneck_teacher/k3", "batch_size": "full"},
        "network": {"width": 64},
        "objective": {"weight_decay": 1e-3, "ramp": 0.4},
        "optimizer": {"steps": 4000, "learning_rate": 2e-3},
        "lbfgs": {"iterations": 2000, "criticality": 0.05},
        "log_every": 200,
    },
    "mnist": {
        "data": {"name": "mnist", "batch_size": 256, "input_dropout": 0.2},
        "network": {"width": 256},
        "objective": {"weight_decay": 1.4e-4, "io_weight_decay": 1e-3},
        "optimizer": {"epochs": 40, "learning_rate": 1.5e-3},
    },
}
SCHEDULE_ARGUMENTS = {
    # H is conserved to first order in rho: where neighbouring steps differ much, -2H/L~ differs too.
    ("teacher_k3", "hamiltonian"): {"name": "hamiltonian", "floor": 0.9},
}
# "constant 3e-3" of mnist_rank.py: layers that can be cut to few directions at no cost (docs/choosing.md).
LOW_RANK = {
    "data": {"input_dropout": 0.0, "translation": 2},
    "network": {"schedule": {"name": "irregular", "amplitude": -2.0}},
    "objective": {"weight_decay": 4.286e-4, "io_weight_decay": 3e-4},
    "optimizer": {"epochs": 40, "learning_rate": 2e-3},
}
SPECIAL = {
    # At L~ = 7 what is left of the inputs decays by exp(-7) only over the whole path. A large mu_io keeps the ends
    # small beside the code and puts the bottleneck on a plateau of gamma_0; its price is a code that grows all along.
    ("teacher_k3", 7): {"objective": {"weight_decay": 4e-4, "io_weight_decay": 8e-2}},
    ("mnist", 7): {"optimizer": {"epochs": 60}},  # more epochs sharpen the gap of the weights
}
