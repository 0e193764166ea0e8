"""Whether presets still reach what their metadata say: every metric measured again from weights and data."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import keras
import numpy as np

from leaky_zoo.data import Dataset, load_data
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.flow import evaluate_network
from leaky_zoo.io.reading import shown
from leaky_zoo.zoo import Preset
from leaky_zoo.zoo.training_data import trained_on

EXACT, ROUNDED, DIFFERS, UNCHECKED = "exact", "to rounding", "differs", "not checked"
SPLITS = ("test", "validation", "train")
# Another processor adds in another order; nothing else may move a loss, and nothing an accuracy.
ROUNDING = 1e-6
GOLDEN_TOLERANCE = 1e-5  # of the largest output


@dataclass(frozen=True)
class Checked:
    """One preset, measured again.

    Attributes:
        name: of the preset.
        status: `"exact"`: every metric is the published number to the last bit; `"to rounding"`: accuracies are the
            same and the loss within 1e-6 of itself, as another processor gives it; `"differs"`; `"not checked"`: its
            data are not on this machine.
        published: the metrics of its metadata.
        measured: those found now; `{}` where it was not checked.
        seconds: for data and evaluation.
        words: what differs, or why it was not checked; "" where nothing is to be said.
    """

    name: str
    status: str
    published: dict[str, float]
    measured: dict[str, float]
    seconds: float
    words: str = ""


def check_presets(
    names: Iterable[str | os.PathLike[str]],
    split: str = "test",
    data_dir: str | os.PathLike[str] | None = None,
) -> Iterator[Checked]:
    """Measure presets again and compare with their metadata, one after the other. This project.

    Args:
        names: as `Preset.open` takes them; those on the same data are best side by side, as the last data set is kept.
        split: which of the published metrics: "test", "validation" or "train", each with the slice that the recipe
            names. Default "test".
        data_dir: TFDS folder. Default None: as `load_data`.

    Yields:
        What was found of each.

    Raises:
        InvalidInputError: another split, or a preset that cannot be used.
        ChangedFileError: a preset's files are not those that its metadata name.

    Example:
    >>> [found.status in (EXACT, ROUNDED) for found in check_presets(["leaky_mlp_optical_digits_l1_irregular"])]
    [True]
    """
    if split not in SPLITS:
        raise InvalidInputError(f"`split` must be one of {', '.join(SPLITS)}. Received: split={shown(split)}")
    kept: dict[tuple[str, str | None], Dataset] = {}
    for name in names:
        keras.backend.clear_session()  # many networks one after the other
        begin = time.perf_counter()
        preset = Preset.open(name)
        published = preset.metadata["metrics"].get(split)
        if not published:
            yield Checked(preset.name, UNCHECKED, {}, {}, 0.0, f"it publishes nothing of the {split} split")
            continue
        try:
            data = _data(preset, data_dir, kept)
        except InvalidInputError as error:
            yield Checked(preset.name, UNCHECKED, published, {}, time.perf_counter() - begin, str(error))
            continue
        slices = preset.recipe.data.model_dump() if preset.recipe else {}
        measured = evaluate_network(preset.network, *data.select(slices.get(split) or split))
        status, words = _compared(published, measured)
        yield Checked(preset.name, status, published, measured, time.perf_counter() - begin, words)


def _data(
    preset: Preset, data_dir: str | os.PathLike[str] | None, kept: dict[tuple[str, str | None], Dataset]
) -> Dataset:
    """The data that a preset was trained on; only the last ones are kept.

    Raises:
        InvalidInputError: it does not say, or they are not on this machine.
    """
    network = preset.network
    name = (trained_on(network) or {}).get("name")
    if name is None:
        raise InvalidInputError(f"{preset.name} does not say what it was trained on.")
    key = name, network.task.name if network.task.from_inputs else None
    if key not in kept:
        kept.clear()
        classes = (network.config.class_names or network.config.output_size) if network.task.labels else None
        kept[key] = load_data(name, data_dir, task=key[1], classes=classes)
    return kept[key]


def check_golden(preset: Preset) -> None:
    """Compare a preset's network with its golden pairs, where it has any.

    Raises:
        CheckFailedError: it gives other outputs than it gave when they were written.
    """
    if preset.golden is None:
        return
    inputs, expected = preset.golden
    found = preset.network.predict_on_batch(inputs.astype(preset.network.inputs[0].dtype))
    error = float(np.abs(found - expected).max() / max(np.abs(expected).max(), np.finfo(np.float32).tiny))
    if not error <= GOLDEN_TOLERANCE:
        raise CheckFailedError(
            f"{preset.name} does not give its golden outputs: relative error {error:.2g}, {GOLDEN_TOLERANCE:g} is "
            "allowed. Its layers compute something else than when it was trained."
        )


def keep_published(
    published: dict[str, dict[str, float]], measured: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    """For each split what was measured; what was published where the two differ by another processor's rounding.

    Example:
    >>> keep_published({"test": {"loss": 0.25}}, {"test": {"loss": 0.2500000001}, "train": {"loss": 0.5}})
    {'test': {'loss': 0.25}, 'train': {'loss': 0.5}}
    """
    return {
        split: published[split] if split in published and _compared(published[split], found)[0] == ROUNDED else found
        for split, found in measured.items()
    }


def _compared(published: dict[str, float], measured: dict[str, float]) -> tuple[str, str]:
    """Status, and what differs in words."""
    if measured == published:
        return EXACT, ""
    wrong = [
        f"{name} {published.get(name)} published, {measured.get(name)} measured"
        for name in sorted(published.keys() | measured.keys())
        if not _close(name, published.get(name), measured.get(name))
    ]
    return (DIFFERS, "; ".join(wrong)) if wrong else (ROUNDED, "")


def _close(name: str, published: float | None, measured: float | None) -> bool:
    if published is None or measured is None:
        return False
    return abs(published - measured) <= (ROUNDING * abs(published) if name == "loss" else 0.0)
