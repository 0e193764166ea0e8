"""From a plan to a smaller net: factors, distillation, fewer bits, a temperature; the record of what became of it."""

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from leaky_zoo.compress.chain import Link, Map, Step, build_model, numbers_of, read_maps
from leaky_zoo.compress.data import CompressionData, Metric
from leaky_zoo.compress.distill import copies, distill
from leaky_zoo.compress.divergence import Divergence
from leaky_zoo.compress.folding import leaks_absorbed, normalization_folded
from leaky_zoo.compress.plan import Choice, CompressionPlan, describe_choice
from leaky_zoo.compress.search import run_model
from leaky_zoo.compress.storage import check_storage, int8_of, rounded
from leaky_zoo.data.augmentation import Augmentation
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow import weights_sha256
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.runtime import fit_temperature

AUGMENTED = "validation_augmented"
COPIES = 8  # of each validation sample, changed as in training, that the budget is measured on too
# Of the deviations of inputs: the smallest rows of the first map then keep four of int8's seven bits, and all of
# float16's digits.
FOLDED_WHERE: dict[str, dict[str, Any]] = {"int8": {"largest_spread": 10.0}, "float16": {"deviations": (1e-3, 1e3)}}
WORSE = 1e6  # taken off the score of an epoch whose metric is below that of the beginning


@dataclass(frozen=True)
class Compressed:
    """A smaller net.

    Attributes:
        model: a Keras model, float32, from raw inputs to the outputs of the whole net.
        links: its chain.
        storage: of its kernels: "float32", "float16" or "int8"; the model has them rounded so.
        temperature: its logits are to be divided by before the softmax; None for what is no classifier.
        record: what became of each layer and what it cost, as `leaky_zoo.compression` holds it.
    """

    model: keras.Model
    links: list[Link]
    storage: str
    temperature: float | None
    record: dict[str, Any]


def compress(
    network: LeakyNetwork,
    plan: CompressionPlan,
    data: CompressionData | None = None,
    *,
    choice: int = -1,
    epochs: int = 0,
    storage: str = "float32",
    augmentation: Augmentation | None = None,
    folder: str | os.PathLike[str] | None = None,
    report: Callable[[int, float], None] | None = None,
) -> Compressed:
    """Make the smaller net of a plan.

    Args:
        network: the whole net; left alone.
        plan: made for it.
        data: as `plan_compression` had it; for distillation, the temperature and the validation drop. Default None:
            without them.
        choice: which of the plan's choices. Default -1: the largest, which needs no distillation.
        epochs: of distillation. Default 0: none.
        storage: "float32", "float16" or "int8". Default "float32".
        augmentation: the recipe's, for distillation. Default None: none.
        folder: for checkpoints of the distillation. Default None: none.
        report: called with each epoch of distillation and its score.

    Returns:
        The `Compressed` net, with `record["cost"]` measured on `data.validation`; and, with an augmentation, on eight
        augmented copies of each of its samples: a tenth of a point of a few thousand samples is chance.

    Raises:
        InvalidInputError: no such choice, epochs without data, or as `distill` and `rounded`.
    """
    if not -len(plan.choices) <= choice < len(plan.choices):
        raise InvalidInputError(f"The plan has {len(plan.choices)} choices. Received: choice={choice}")
    check_storage(storage)
    if epochs and data is None:
        raise InvalidInputError(f"Distillation needs `data`. Received: epochs={epochs}, data=None")
    chosen, metric = plan.choices[choice], Metric.of(network, plan.metric)
    shape, name = network.config.input_shape, f"{network.name}_compressed"
    links, scores = chosen.links, []
    if epochs and data is not None:
        model = build_model(links, shape, name)
        score = epoch_score(network, metric, data, model, augmentation)
        place = None if folder is None else Path(folder) / f"choice_{choice % len(plan.choices)}"
        about = {"source": weights_sha256(network), "steps": plan.steps, **describe_choice(chosen)}
        scores = distill(
            model,
            network,
            data.fit,
            score,
            epochs=epochs,
            augmentation=augmentation,
            folder=place,
            about=about,
            report=report,
        )
        links = read_maps(model, links)
    links, exact = stored(links, storage), build_model(links, shape, name)
    model = build_model(links, shape, name)
    temperature = None
    if data is not None and network.task.labels:
        temperature = fit_temperature(run_model(model, np.asarray(data.choose[0], np.float32)), data.choose[1])
    record = _record(network, plan, chosen, links, storage)
    if scores:
        kept = max(range(len(scores)), key=lambda epoch: (scores[epoch], epoch))
        divergence = [float(f"{-scores[epoch]:.5g}") for epoch in (0, kept)]
        record["settings"]["distillation"] = {"epochs": epochs, "kept": kept, "divergence": divergence}
    if data is not None:
        models, (x, y) = (network, exact, model), data.validation
        record["cost"] = {"validation": measured_cost(metric, models, (x, y))}
        if augmentation is not None and augmentation.changes_inputs:
            moved, which = copies(x, np.arange(len(x)), augmentation, COPIES)
            record["cost"][AUGMENTED] = measured_cost(metric, models, (moved, y[which]), which)
        record["settings"]["data"] = data.words
    return Compressed(model, links, storage, temperature, record)


def stored(links: Sequence[Link], storage: str) -> list[Link]:
    """The chain as a file of this storage holds it: normalisation and leaks in its maps, where these can be rounded.

    A scale of int8 is for a whole column, and float16 has few digits below 6e-5: features of very different, or very
    large or small units stay apart. Biases over a small product of leaks may be too large for float16.

    Raises:
        InvalidInputError: as `rounded`, whatever is folded.
    """
    folded = normalization_folded(links, **FOLDED_WHERE.get(storage, {}))
    for form in (leaks_absorbed(folded), folded):
        with contextlib.suppress(InvalidInputError):
            return rounded(form, storage)
    return rounded(links, storage)


def epoch_score(
    network: LeakyNetwork,
    metric: Metric,
    data: CompressionData,
    begin: keras.Model,
    augmentation: Augmentation | None = None,
) -> Callable[[keras.Model], float]:
    """What distillation keeps the best epoch by: how near its outputs are to the whole net's.

    On the samples to choose on, and on eight augmented copies of each. Labels of few samples are no judge: by them an
    early epoch is the luckiest of many, whose outputs are twice as far off as the last one's. An epoch whose metric on
    the samples themselves is worse than at the beginning does not count.
    """
    x, y = np.asarray(data.choose[0], np.float32), data.choose[1]
    rows = x
    if augmentation is not None and augmentation.changes_inputs:
        rows = np.concatenate([x, copies(x, np.arange(len(x)), augmentation, COPIES)[0]])
    between, wanted = Divergence(network), run_model(network, rows)
    first = float(np.mean(metric.each(run_model(begin, x), y)))

    def score(model: keras.Model) -> float:
        outputs = run_model(model, rows)
        worse = metric.drop(first, float(np.mean(metric.each(outputs[: len(x)], y)))) > 0
        return -between.at_best_scale(outputs, wanted) - (WORSE if worse else 0.0)

    return score


def measured_cost(
    metric: Metric,
    models: Sequence[keras.Model],
    samples: tuple[np.ndarray, np.ndarray],
    which: np.ndarray | None = None,
) -> dict[str, Any]:
    """The metric of the whole net and of the smaller one on these samples, and the drop with its standard error.

    Args:
        metric: of the budget.
        models: the whole net, the smaller one before its rounding, and after it.
        samples: `(x, y)`.
        which: number of the sample that each of them is a copy of. Default None: each is its own.
    """
    x, y = np.asarray(samples[0], np.float32), samples[1]
    whole, exact, small = (metric.each(run_model(each, x), y) for each in models)
    before, unrounded, after = (float(np.mean(each)) for each in (whole, exact, small))
    error = metric.standard_error(whole, small, np.arange(len(x)) if which is None else which)
    return {
        "metric": metric.name,
        "samples": len(x),
        "before": before,
        "after": after,
        "drop": metric.drop(before, after),
        "standard_error": float(f"{error:.3g}"),
        "drop_of_rounding": metric.drop(unrounded, after),
    }


def _record(
    network: LeakyNetwork, plan: CompressionPlan, choice: Choice, links: list[Link], storage: str
) -> dict[str, Any]:
    parts = [link for link in links if isinstance(link, Map | Step)]
    layers = [_became(link, name, storage, choice.candidate.left_out) for link in parts for name in link.made_of]
    return {
        "source": {
            "name": network.name,
            "weights_sha256": weights_sha256(network),
            "parameters": plan.numbers,
        },
        "parameters": numbers_of(links),
        "layers": layers,
        "settings": {
            "max_drop": plan.max_drop,
            "metric": plan.metric,
            "storage": storage,
            **({} if plan.steps is None else {"steps": plan.steps}),
            **describe_choice(choice),
        },
    }


def _became(link: Map | Step, name: str, storage: str, left_out: tuple[int, ...]) -> dict[str, Any]:
    """What became of one layer of the whole net, which this link does the work of."""
    size = _bytes(link, storage) if link.made_of[0] == name else 0
    if isinstance(link, Step):
        became = f"kept, {len(link.down)} of {link.width} units with a ReLU"
        became = became if link.made_of[0] == name else f"folded into {link.name}"
        return {"name": name, "became": became, "rank": len(link.carry), "bytes": size}
    rank = link.factors[0].shape[-1] if len(link.factors) == 2 else None
    if len(link.made_of) > 1:
        became = f"folded into {link.name}"
    elif link.layer in left_out:
        became = "relu dropped"
    else:
        became = "kept"
    became = became if rank is None else f"{became}, factored"
    return {"name": name, "became": became, "rank": rank, "bytes": size}


def _bytes(link: Map | Step, storage: str) -> int:
    """Of its numbers in this storage."""
    kernels, biases = ([each for each in link.weights if (each.ndim > 1) == kind] for kind in (True, False))
    width = {"float32": 4, "float16": 2, "int8": 1}[storage]
    size = width * sum(each.size for each in kernels)
    size += (4 if storage == "float32" else 2) * sum(each.size for each in biases)
    if storage == "int8":
        size += 4 * sum(int8_of(each)[1].size for each in kernels)
    return size
