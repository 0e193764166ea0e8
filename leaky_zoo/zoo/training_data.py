"""From a network to the data it was trained on, or to other data for it: name, split and arrays."""

import os
import re
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from leaky_zoo.data import Dataset, content_sha256, load_data
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.geometry.subsample import even_rows
from leaky_zoo.networks import LeakyNetwork

LEAST_HELD_OUT = 360  # two thirds of them are enough for a reference of 20 directions
MOST_HELD_OUT = 5000
_BEGINNING = re.compile(r"^(\w+)\[:(\d+%?)\]$")


@dataclass(frozen=True)
class TrainingData:
    """A split of a data set, chosen for a network.

    Attributes:
        dataset: the data set, all splits of it.
        split: the one that was chosen, as `train` or `train[:90%]`.
    """

    dataset: Dataset
    split: str

    @property
    def about(self) -> dict[str, str]:
        """`{"name", "split", "sha256"}`, as an audit states its data; the hash is of the split's content."""
        name, arrays = self.dataset.identifier, self.arrays
        return {"name": name, "split": self.split, "sha256": content_sha256(*arrays)}

    @property
    def arrays(self) -> tuple[Any, Any]:
        """`(x, y)` of the split; `y` is None where there are no targets, and `x` on the disk where it is streamed."""
        return self.dataset.select(self.split)


def trained_on(network: keras.Model) -> dict[str, Any] | None:
    """`{"name", "split"}` of what a network was trained on, and the split's `sha256`; None where it says nothing."""
    return network.get_config()["dataset"] if isinstance(network, LeakyNetwork) else None


def training_data(
    network: keras.Model,
    data: str | None = None,
    split: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    task: str | None = None,
    stream: bool = False,
    need_targets: bool = True,
) -> TrainingData:
    """Load what a network was trained on, or another data set for it.

    Args:
        network: one of our networks, which carries the name and split of its training data; for any other model, `data`
            is needed.
        data: data set, as `load_data` takes it; labels are read as the network's classes, by name where it has names.
            Default None: what the network was trained on.
        split: split, as `test`. Default None: the split the network was trained on, if the data set is the same one
            by its name or has that very split under another name; else `train`.
        data_dir: TFDS folder. Default None: as `load_data`.
        task: as `load_data`, for a model that does not say its own. Default None.
        stream: as `load_data`. Default False.
        need_targets: as `load_data`. Default True.

    Raises:
        InvalidInputError: no `data` is given and the network does not say what it was trained on; or as `load_data` and
            `Dataset.select`.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> net = LeakyMLP((8, 8, 1), 10, dataset={"name": "optical_digits/fold_0", "split": "train[:500]"})
    >>> training_data(net).arrays[0].shape, training_data(net, "optical_digits/fold_1").about["split"]
    ((500, 8, 8, 1), 'train')
    """
    trained = trained_on(network) or {}
    name = data or trained.get("name")
    if name is None:
        raise InvalidInputError(f"{network.name} does not say what it was trained on: give --data (`data`).")
    classes = None
    if isinstance(network, LeakyNetwork):
        task = network.task.name
        if network.task.labels:
            classes = network.config.class_names or network.config.output_size
    dataset = load_data(name, data_dir, task=task, classes=classes, stream=stream, need_targets=need_targets)
    if split is None:
        same = trained.get("name") == dataset.identifier or _holds(dataset, trained)
        split = trained["split"] if same else "train"
    dataset.select(split)  # what is not there is refused now, not when it is used
    return TrainingData(dataset, split)


def _holds(dataset: Dataset, trained: dict[str, Any]) -> bool:
    """Whether the training split is in this data set, by its content."""
    if not trained.get("sha256"):
        return False
    try:
        return content_sha256(*dataset.select(trained["split"])) == trained["sha256"]
    except InvalidInputError:  # no such split
        return False


def held_out(network: keras.Model, samples: TrainingData) -> tuple[np.ndarray, str] | None:
    """Raw inputs of a data set that a network was not trained on: what live batches are to be compared with.

    What follows the part that it was trained on (`train[55000:]` after `train[:55000]`), else the split `validation`,
    else `test`: the first of them with at least 360 samples; of more than 5,000 as many, evenly spaced.

    Args:
        network: one of our networks.
        samples: as `training_data` gives them.

    Returns:
        `(x, split)`, float32; None where there is no such split.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> net = LeakyMLP((8, 8, 1), 10, dataset={"name": "optical_digits/fold_0", "split": "train[:1000]"})
    >>> x, split = held_out(net, training_data(net))
    >>> len(x), split
    (437, 'train[1000:]')
    """
    trained = (trained_on(network) or {}).get("split") or samples.split
    match = _BEGINNING.match(trained)
    for split in ([f"{match[1]}[{match[2]}:]"] if match else []) + ["validation", "test"]:
        if split.partition("[")[0] in samples.dataset.splits and split != trained:
            try:
                x = samples.dataset.select(split)[0]
            except InvalidInputError:  # nothing follows
                continue
            if len(x) >= LEAST_HELD_OUT:
                return np.asarray(x[even_rows(len(x), MOST_HELD_OUT)], np.float32), split
    return None
