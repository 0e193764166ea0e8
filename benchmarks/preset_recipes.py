"""The recipes of the shipped presets, as a function of data set, effective depth and schedule."""

from leaky_zoo.training import Recipe

EFFECTIVE_DEPTHS = (0, 1, 3, 7, 12)
SCHEDULES = ("equidistant", "irregular", "adaptive", "learnable", "hamiltonian")
# rho Lt <= 0.9 bounds the depth from below, for irregular steps (1 + a / 4) times as far.
DEPTHS = {
    "optical_digits": {0: 10, 1: 10, 3: 10, 7: 14, 12: 21},
    "teacher_k3": {0: 12, 1: 12, 3: 12, 7: 12, 12: 20},
    "mnist": {0: 12, 1: 12, 3: 12, 7: 12, 12: 20},
}


def preset_recipe(task: str, effective_depth: int, schedule: str, seed: int = 0) -> Recipe:
    """The recipe of `leaky_mlp_<task>_l<L~>_<schedule>`."""
    common = {
        "name": f"leaky_mlp_{task}_l{effective_depth}_{schedule}",
        "network": {"depth": DEPTHS[task][effective_depth], "effective_depth": effective_depth, "schedule": schedule},
        "seed": seed,
    }
    return Recipe.from_dict(_merge(common, _PARTS[task]))


def _merge(first: dict, second: dict) -> dict:
    return first | {
        key: {**first.get(key, {}), **value} if isinstance(value, dict) else value for key, value in second.items()
    }


_PARTS = {
    "optical_digits": {
        "data": {"name": "optical_digits/fold_0", "batch_size": 64, "input_dropout": 0.2},
        "network": {"width": 128},
        "objective": {"weight_decay": 3e-4, "io_weight_decay": 1e-3},
        "optimizer": {"epochs": 150, "learning_rate": 2e-3},
    },
    "teacher_k3": {
        "data": {"name": "bottleneck_teacher/k3", "batch_size": "full"},
        "network": {"width": 64},
        "objective": {"weight_decay": 1e-3, "io_weight_decay": 1e-2, "ramp": 0.4},
        "optimizer": {"steps": 4000, "learning_rate": 2e-3},
        "lbfgs": {"iterations": 2000, "criticality": 0.05},
        "log_every": 200,
    },
    "mnist": {
        "data": {"name": "mnist", "batch_size": 256, "input_dropout": 0.2},
        "network": {"width": 256},
        "objective": {"weight_decay": 1.4e-4, "io_weight_decay": 1e-3},
        "optimizer": {"epochs": 60, "learning_rate": 1.5e-3},
    },
}
