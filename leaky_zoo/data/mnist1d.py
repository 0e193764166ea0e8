"""MNIST-1D after Greydanus: signals of length 40, ten templates padded, stretched, moved and buried in noise."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from scipy.ndimage import gaussian_filter1d

from leaky_zoo.data.checks import check_generated

SAMPLES = {"train": 4000, "test": 1000}
LENGTH = 40
PADDING = (36, 60)  # zeros after a template, both ends included
HEIGHT = 6.0  # templates of deviation one are divided by it
SCALE, SHEAR = 0.4, 0.75
MAX_SHIFT = 48
CORRELATED_NOISE, CORRELATION, WHITE_NOISE = 0.25, 2.0, 0.02
# One curve for each digit, drawn by hand in the paper: heights at twelve places from the top of the digit down.
TEMPLATES = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)
_CITATION = """@article{greydanus2020scaling, author={Greydanus, Sam},
title={Scaling down Deep Learning}, journal={arXiv preprint arXiv:2011.14439}, year={2020}}"""


class Mnist1d(tfds.core.GeneratorBasedBuilder):
    """4,000 + 1,000 generated signals of length 40 in ten classes (Greydanus, "Scaling down Deep Learning", 2020)."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=self.__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "signal": tfds.features.Tensor(shape=(LENGTH, 1), dtype=np.float32),
                    "label": tfds.features.ClassLabel(names=[str(digit) for digit in range(10)]),
                }
            ),
            supervised_keys=("signal", "label"),
            citation=_CITATION,
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        splits = signal_arrays()
        check_generated("mnist1d", **summary_arrays(splits))
        return {split: self._generate_examples(*pair) for split, pair in splits.items()}

    def _generate_examples(self, signals: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, dict[str, Any]]]:
        for row, (signal, label) in enumerate(zip(signals, labels, strict=True)):
            yield row, {"signal": signal, "label": int(label)}


def summary_arrays(splits: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    """Arguments of `check_generated`: signals by summaries, labels by hash."""
    return {
        "floats": {f"{split}_signal": signals for split, (signals, _) in splits.items()},
        "integers": {f"{split}_label": labels for split, (_, labels) in splits.items()},
    }


def signal_arrays(seed: int = 0) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Signals and labels: `{"train": (signals, labels), "test": ...}`, classes in equal numbers.

    The steps and their sizes are the paper's: a template of twelve points is followed by 36 to 60 zeros, scaled by
    0.8 to 1.2, and moved round by up to 47 places; smooth noise takes the place of the zeros, white noise and a ramp of
    random slope are added everywhere, and the whole is sampled at 40 places.

    Args:
        seed: of all draws. Default 0.

    Returns:
        float32 signals `(n, 40, 1)` and int64 labels `(n,)`.

    Example:
    >>> signals, labels = signal_arrays()["train"]
    >>> signals.shape, np.bincount(labels).tolist() == [400] * 10
    ((4000, 40, 1), True)
    """
    random = np.random.default_rng(np.random.SeedSequence([seed, LENGTH]))
    templates = np.array(TEMPLATES)
    templates = (templates - templates[:, :1]) / templates.std(1, keepdims=True) / HEIGHT  # from zero to zero
    signals, labels = [], []
    for count in SAMPLES.values():
        rows = random.permutation(np.arange(count) % 10).astype(np.int64)
        signals.append(np.stack([_signal(random, templates[label]) for label in rows]).astype(np.float32)[..., None])
        labels.append(rows)
    return {split: pair for split, *pair in zip(SAMPLES, signals, labels, strict=True)}  # type: ignore[misc]


def _signal(random: np.random.Generator, template: np.ndarray) -> np.ndarray:
    zeros = random.integers(PADDING[0], PADDING[1] + 1)
    length = len(template) + PADDING[1]
    signal = _sampled(np.concatenate([template, np.zeros(zeros)]), length)
    there = _sampled(np.concatenate([np.ones(len(template)), np.zeros(zeros)]), length) > 0
    signal *= 1 + SCALE * random.uniform(-0.5, 0.5)
    shift = random.integers(MAX_SHIFT)
    signal, there = np.roll(signal, shift), np.roll(there, shift)
    smooth = gaussian_filter1d(CORRELATED_NOISE * random.standard_normal(length), CORRELATION)
    signal = np.where(there, signal, smooth) + WHITE_NOISE * random.standard_normal(length)
    signal -= SHEAR * random.uniform(-0.5, 0.5) * np.linspace(-0.5, 0.5, length)
    return _sampled(signal, LENGTH)


def _sampled(signal: np.ndarray, length: int) -> np.ndarray:
    """The signal at so many evenly spaced places, linearly in between."""
    return np.interp(np.linspace(0, len(signal) - 1, length), np.arange(len(signal)), signal)
