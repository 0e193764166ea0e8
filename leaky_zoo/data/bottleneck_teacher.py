"""Teachers that pass through a code of known dimension, as a TFDS builder."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from leaky_zoo.data.checks import check_generated

HIDDEN = 100
SAMPLES = {"train": 1000, "test": 1000}


class BottleneckTeacherConfig(tfds.core.BuilderConfig):
    """A teacher: the dimensions its signal passes through, the kind of its maps, and its seed.

    Args:
        name: configuration name.
        dimensions: input, codes, output.
        residual: residual maps (paper, figure 2) instead of ReLU nets with one hidden layer (figure 1).
        seed: seed of weights and samples. Default 0.
    """

    def __init__(self, name: str, dimensions: tuple[int, ...], residual: bool = False, seed: int = 0) -> None:
        path = " -> ".join(map(str, dimensions))
        super().__init__(name=name, description=f"{'Residual' if residual else 'ReLU'} teacher {path}, seed {seed}.")
        self.dimensions, self.residual, self.seed = dimensions, residual, seed


class BottleneckTeacher(tfds.core.GeneratorBasedBuilder):
    """Regression with a known inner dimension `k`: Gaussian inputs through random nets with a code between them."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [  # noqa: RUF012 (TFDS wants a list)
        *(BottleneckTeacherConfig(f"k{k}", (30, k, 30)) for k in (2, 3, 5, 8)),
        BottleneckTeacherConfig("resnet", (30, 6, 3, 30), residual=True),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        dimensions = self.builder_config.dimensions
        return self.dataset_info_from_configs(
            description=self.__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "x": tfds.features.Tensor(shape=(dimensions[0],), dtype=np.float32),
                    "y": tfds.features.Tensor(shape=(dimensions[-1],), dtype=np.float32),
                }
            ),
            supervised_keys=("x", "y"),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        config = self.builder_config
        check_generated(f"bottleneck_teacher/{config.name}", floats=teacher_summary_arrays(config))
        splits = teacher_arrays(config.dimensions, config.residual, config.seed)
        return {split: self._generate_examples(*pair) for split, pair in splits.items()}

    def _generate_examples(self, x: np.ndarray, y: np.ndarray) -> Iterator[tuple[int, dict[str, Any]]]:
        for row in range(len(x)):
            yield row, {"x": x[row], "y": y[row]}


def teacher_summary_arrays(config: BottleneckTeacherConfig) -> dict[str, np.ndarray]:
    """The arrays of a configuration by name, as the record of generated data has them."""
    splits = teacher_arrays(config.dimensions, config.residual, config.seed)
    return {f"{split}_{key}": value for split, pair in splits.items() for key, value in zip("xy", pair, strict=True)}


def teacher_arrays(
    dimensions: tuple[int, ...], residual: bool = False, seed: int = 0, non_negative: bool = False
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Samples of a teacher: `{"train": (x, y), "test": (x, y)}`, float32.

    Inputs are standard normal. Each map is a random net from one dimension to the next; its output is standardised
    with the training split's mean and deviation, so codes and targets have mean 0 and variance 1 there. Paper,
    appendix on experiments, as far as it says; hidden width 100 and Gaussian He weights without biases are ours.

    Args:
        dimensions: input, codes, output; at least two.
        residual: each map is `in -> 100`, three residual ReLU blocks, `100 -> out`. Default False: one hidden layer.
        seed: seed of weights and samples. Default 0.
        non_negative: replace inputs and inner codes by their absolute values, so that they fill an orthant instead of
            surrounding the origin. Default False.

    Example:
    >>> x, y = teacher_arrays((30, 3, 30))["train"]
    >>> x.shape, y.shape, abs(float(y.std()) - 1) < 1e-6
    ((1000, 30), (1000, 30), True)
    """
    random = np.random.default_rng(np.random.SeedSequence([seed, *dimensions, int(residual)]))
    train = SAMPLES["train"]
    x = random.standard_normal((sum(SAMPLES.values()), dimensions[0]))
    signal = x = np.abs(x) if non_negative else x
    for place, (size_in, size_out) in enumerate(pairwise(dimensions), start=2):
        signal = _random_map(random, signal, size_in, size_out, residual)
        signal = (signal - signal[:train].mean(0)) / signal[:train].std(0)
        if non_negative and place < len(dimensions):
            signal = np.abs(signal)
    x, y = x.astype(np.float32), signal.astype(np.float32)
    return {"train": (x[:train], y[:train]), "test": (x[train:], y[train:])}


def _random_map(
    random: np.random.Generator, signal: np.ndarray, size_in: int, size_out: int, residual: bool
) -> np.ndarray:
    hidden = signal @ random.normal(0, np.sqrt((1 if residual else 2) / size_in), (size_in, HIDDEN))
    if residual:
        for _ in range(3):
            inner = np.maximum(hidden, 0) @ random.normal(0, np.sqrt(2 / HIDDEN), (HIDDEN, HIDDEN))
            hidden = hidden + inner
    return np.maximum(hidden, 0) @ random.normal(0, np.sqrt(2 / HIDDEN), (HIDDEN, size_out))
