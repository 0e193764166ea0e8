"""The parts of a training split: one to fit on, one to choose on, one to measure the budget on."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from leaky_zoo.data import Dataset
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyNetwork

SMALLEST_PART = 20
_UP_TO = re.compile(r"^(\w+)\[:(\d+%?)\]$")


@dataclass(frozen=True)
class CompressionData:
    """Raw samples and targets in three parts that share no sample.

    Attributes:
        fit: `(x, y)` for moments and distillation.
        choose: `(x, y)` on which folds and ranks are compared.
        validation: `(x, y)` on which the budget is measured; nothing is chosen on it.
        words: where the parts come from.
    """

    fit: tuple[np.ndarray, np.ndarray]
    choose: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    words: str = "given by the caller"

    def __post_init__(self) -> None:
        for name in ("fit", "choose", "validation"):
            x, y = getattr(self, name)
            if len(x) != len(y) or len(x) < SMALLEST_PART:
                raise InvalidInputError(
                    f"Each part needs at least {SMALLEST_PART} samples and as many targets. Received: {name} of "
                    f"{len(x)} and {len(y)}"
                )


def split_for(network: LeakyNetwork, dataset: Dataset, split: str = "train") -> CompressionData:
    """Three parts of the training split.

    Where the network was trained on the beginning of it (`train[:55000]`), what follows was not seen in training: its
    last two thirds are for validation, the first third to choose on. Else the last sixth of the split is for
    validation, the twelfth before it to choose on; the network has seen both in training, so that a drop there is
    rather over- than underestimated. The rest, or what the network was trained on, is to fit on.

    Args:
        network: as trained; its configuration says on what.
        dataset: the data.
        split: which split to divide. Default "train".

    Raises:
        InvalidInputError: no such split, or one too small.
    """
    x, y = dataset.select(split)
    trained = (network.config.dataset or {}) if isinstance(network, LeakyNetwork) else {}
    match = _UP_TO.match(trained.get("split") or "") if trained.get("name") == dataset.identifier else None
    first, second = len(x) - len(x) // 4, len(x) - len(x) // 6
    words = f"{split}: the last sixth, which the net was trained on"
    if match and match[1] == split:
        seen = len(dataset.select(trained["split"])[0])
        if len(x) - seen >= 3 * SMALLEST_PART:
            first, second = seen, seen + (len(x) - seen) // 3
            words = f"{split}: the part after the first {seen} samples, which the net was not trained on"
    cuts = (slice(None, first), slice(first, second), slice(second, None))
    fit, choose, validation = [(x[cut], network.task.targets(x[cut], None if y is None else y[cut])) for cut in cuts]
    return CompressionData(fit, choose, validation, words)


@dataclass(frozen=True)
class Metric:
    """What the budget is about.

    Attributes:
        name: "accuracy" (drops in percentage points) or "loss" (drops in percent of it).
        loss: the network's loss, one value for each sample.
    """

    name: str
    loss: Callable[[Any, Any], Any]

    @classmethod
    def of(cls, network: LeakyNetwork, name: str | None = None) -> "Metric":
        """The metric of a network's task, or the one of this name.

        Raises:
            InvalidInputError: no such metric, or accuracy of what is no classifier.
        """
        own = "accuracy" if network.task.labels else "loss"
        chosen = name or own
        if chosen not in ("accuracy", "loss") or (chosen == "accuracy" and own != "accuracy"):
            accepted = "'accuracy' or 'loss'" if own == "accuracy" else "'loss'"
            raise InvalidInputError(f"`metric` of this network is {accepted}. Received: metric={name!r}")
        return cls(chosen, network.loss_function().call)

    def value(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        """The metric: a share of the samples, or the mean loss."""
        return float(np.mean(self.each(outputs, targets)))

    def each(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The metric of each sample, float64: 1 or 0 for right or wrong, or the loss."""
        if self.name == "accuracy":
            return (outputs.argmax(-1) == targets).astype(np.float64)
        return np.asarray(self.loss(targets, outputs.astype(np.float32)), np.float64)

    def drop(self, before: float, after: float) -> float:
        """By how much a value is worse: percentage points of accuracy, or percent of the loss; without rounding noise.

        Example:
        >>> Metric("accuracy", lambda y, o: 0.0).drop(0.9933, 0.9923)  # 10 of 10,000 samples: within a budget of 0.1
        0.1
        """
        if self.name == "accuracy":
            return round(100 * (before - after), 9)
        return round(100 * (after - before) / before, 9) if before > 0 else float(after > before) * 100

    def standard_error(self, before: np.ndarray, after: np.ndarray, which: np.ndarray) -> float:
        """Of the drop, over samples; copies of one sample count as one.

        Args:
            before: what `each` gives of the whole net.
            after: the same of the smaller one.
            which: number of the sample that each of them is of.

        Example:
        >>> before, after = np.ones(4), np.array([1.0, 0.0, 1.0, 1.0])
        >>> metric = Metric("accuracy", lambda y, o: 0.0)
        >>> [round(metric.standard_error(before, after, np.array(which)), 1) for which in ([0, 1, 2, 3], [0, 0, 1, 1])]
        [25.0, 25.0]
        """
        counts = np.bincount(which)
        change = np.bincount(which, after - before)[counts > 0] / counts[counts > 0]
        scale = 1.0 if self.name == "accuracy" else max(float(np.mean(before)), 1e-300)
        return 100 * float(np.std(change, ddof=1)) / scale / float(np.sqrt(len(change)))
