"""A starting recipe from the shape and size of the data, each choice with its reason."""

import math
import re
from dataclasses import dataclass

import numpy as np

from leaky_zoo.arguments import naming_the_nearest
from leaky_zoo.data import Dataset
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.layers import get_schedule
from leaky_zoo.networks.families import get_family
from leaky_zoo.networks.tasks import TASKS
from leaky_zoo.zoo.recipe import MOST_ITERATIONS, Recipe

SMALL = 5_000  # the most samples for which full batches and L-BFGS are suggested
# rho L~ = 0.58 for equal steps, and 0.875 for steps of 1.5 / L at the ends: within the cap of 0.9.
LAYERS_PER_EFFECTIVE_DEPTH = 12 / 7


@dataclass(frozen=True)
class Suggestion:
    """What `suggest` proposes.

    Attributes:
        recipe: validated, ready for `train`.
        reasons: `(field, value, why)` for each choice.
    """

    recipe: Recipe
    reasons: tuple[tuple[str, str, str], ...]


@naming_the_nearest
def suggest(data: Dataset, effective_depth: float = 7.0, family: str = "mlp") -> Suggestion:
    """Propose a recipe for a data set: somewhere to start from, not an optimum (this project).

    The choices are those of the shipped presets of like size and of the study in docs/step_sizes.md.

    Args:
        data: with a `train` split.
        effective_depth: `L~ >= 0`. Default 7, where the presets have a clear bottleneck.
        family: `"mlp"`, `"conv"` for images, or a family of your own. Default `"mlp"`.

    Returns:
        The `Suggestion`.

    Raises:
        InvalidInputError: no training split, a family that does not fit the data, or an effective depth out of range.

    Example:
    >>> from leaky_zoo.data import load_data
    >>> suggestion = suggest(load_data("optical_digits"), effective_depth=3.0)
    >>> suggestion.recipe.network.depth, suggestion.recipe.data.batch_size
    (10, 64)
    """
    if not (effective_depth >= 0 and math.isfinite(effective_depth)):
        raise InvalidInputError(
            f"`effective_depth` must be finite and not negative. Received: effective_depth={effective_depth}"
        )
    image = len(data.input_shape) == 3
    network, task = get_family(family), TASKS[data.targets_task]
    if not network.takes(data.input_shape):
        raise InvalidInputError(
            f"The family {family!r} is not for samples of this shape. Received: family={family!r}, "
            f"samples of shape {data.input_shape}"
        )
    samples, outputs = len(data.select("train")[0]), data.output_size
    chosen: dict[str, tuple[object, str]] = {}
    why = data.notes[-1] if data.notes else f"{outputs} classes" if data.task == "classification" else "numbers"
    chosen["task"] = data.task, f"{why} ({outputs} output{'s' if outputs != 1 else ''})"
    chosen["network.effective_depth"] = effective_depth, "asked for" if effective_depth != 7 else "a clear bottleneck"
    depth = max(10, math.ceil(LAYERS_PER_EFFECTIVE_DEPTH * effective_depth))
    longest = effective_depth / depth
    chosen["network.depth"] = depth, f"rho L~ = {longest:.2f} for equal steps; the cap is 0.9"
    own = {f"network.{field}": choice for field, choice in network.suggestions(samples).items()}
    chosen["network.width"] = own["network.width"]
    full = not task.labels and samples <= SMALL
    batch = "full" if full else _batch(samples)
    chosen["data.batch_size"] = batch, "the whole objective at each step" if full else f"{samples:,} samples"
    if task.labels and image:
        chosen["data.input_dropout"] = 0.2, "of the pixels dropped in each step, as for the presets"
    chosen |= own
    if full:
        chosen["objective.weight_decay"] = 1e-3, "the paper's; io_weight_decay is the same"
        chosen["objective.ramp"] = 0.2, "the full weight from the start collapses the rank"
        chosen["optimizer.steps"], rate = (3000, "full batches"), 1e-2
        chosen["converge"] = True, "small enough for L-BFGS: energies mean something at a critical point only"
        chosen["lbfgs.iterations"] = MOST_ITERATIONS, "at most; it ends at a residual of 0.05"
        chosen["lbfgs.average"] = 50, "L-BFGS is also judged at the mean of its last 50 iterates"
        chosen["lbfgs.round"] = 100, "iterations until its coordinates are renewed"
    else:
        if task.labels:
            decay = float(f"{1e-3 / max(effective_depth, 1.0):.2g}")
            chosen["objective.weight_decay"] = decay, "mu = lambda / L~ with lambda = 1e-3"
            chosen["objective.io_weight_decay"] = 1e-3, "lambda"
        else:
            chosen["objective.weight_decay"] = 1e-3, "the paper's; io_weight_decay is the same"
        epochs = _epochs(samples)
        steps = epochs * -(-samples // _batch(samples))
        chosen["optimizer.epochs"], rate = (epochs, f"{steps:,} steps"), 1.5e-3
    chosen["optimizer.learning_rate"] = rate, "peak of the cosine, Adam"
    asked = chosen.pop("task")
    recipe = Recipe.from_dict(_nested(_name(data, family, effective_depth, chosen), data, family, chosen))
    return Suggestion(
        recipe, tuple((field, str(value), why) for field, (value, why) in ({"task": asked} | chosen).items())
    )


def _batch(samples: int) -> int:
    return int(min(64 if samples <= 10_000 else 256, samples))


def _epochs(samples: int) -> int:
    """About ten thousand steps, in 10 to 300 passes."""
    return int(np.clip(round(10_000 * _batch(samples) / samples), 10, 300))


def _name(data: Dataset, family: str, effective_depth: float, chosen: dict) -> str:
    stem = re.sub(r"\.(npz|(csv|tsv)(\.gz)?|parquet|pq)(:|$)", "_", data.name.rsplit("/", 1)[-1].lower())
    known = re.sub(r"[^a-z0-9]+", "_", stem).strip("_") or "data"
    schedule = get_schedule(chosen["network.schedule"][0])
    return f"leaky_{family}_{known}_l{effective_depth:g}_{schedule.name}"


def _nested(name: str, data: Dataset, family: str, chosen: dict) -> dict:
    """The chosen fields as a recipe's mapping."""
    test = "test" if "test" in data.splits else "train"
    recipe: dict = {"name": name, "data": {"name": data.identifier, "test": test}, "network": {"family": family}}
    if data.asked:
        recipe["data"]["task"] = data.task
    for field, (value, _) in chosen.items():
        part, _, key = field.rpartition(".")
        (recipe.setdefault(part, {}) if part else recipe)[key] = value
    return recipe
