"""Data sets by name, and the one function that loads any of them, a user's file included."""

import contextlib
import difflib
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from leaky_zoo.data.dataset import Dataset
from leaky_zoo.data.user_file import load_npz
from leaky_zoo.errors import InvalidInputError, LeakyZooError, MissingExtraError, naming_extras
from leaky_zoo.io.reading import shown
from leaky_zoo.networks.tasks import TASKS


@dataclass(frozen=True)
class DatasetRecord:
    """One entry of the registry.

    Attributes:
        task: `"classification"` or `"regression"`.
        keys: feature names of input and target in TFDS.
        configs: configurations, the first being the default; empty when there is one only.
        module: module whose import registers our builder; None for a data set that TFDS itself carries.
        normalize_features: see `Dataset`.
        about: one sentence for the cards of presets: what the data are and where they come from. Default "".
        licence: of the data. Default "not stated".
    """

    task: str
    keys: tuple[str, str]
    configs: tuple[str, ...] = ()
    module: str | None = None
    normalize_features: bool = False
    about: str = ""
    licence: str = "not stated"


DATASETS: dict[str, DatasetRecord] = {
    "optical_digits": DatasetRecord(
        "classification",
        ("image", "label"),
        tuple(f"fold_{fold}" for fold in range(5)),
        "leaky_zoo.data.optical_digits",
        about="Handwritten digits, 8 x 8 pixels (E. Alpaydin, C. Kaynak, UCI repository 1998), from scikit-learn.",
        licence="CC BY 4.0",
    ),
    "bottleneck_teacher": DatasetRecord(
        "regression",
        ("x", "y"),
        ("k3", "k2", "k5", "k8", "resnet"),
        "leaky_zoo.data.bottleneck_teacher",
        normalize_features=True,
        about="Made by this project: Gaussian inputs through a random teacher with a narrow code.",
        licence="Apache-2.0",
    ),
    "mnist": DatasetRecord(
        "classification",
        ("image", "label"),
        about="Handwritten digits, 28 x 28 pixels (Y. LeCun, C. Cortes, C. Burges), as TFDS has them.",
        licence="CC BY-SA 3.0",
    ),
}


def load_data(identifier: str, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Load a data set into memory.

    Args:
        identifier: `name`, `name/config`, or the path of an `.npz` file with `x` and `y`.
        data_dir: TFDS folder to look in. Default None: `TFDS_DATA_DIR`, then TFDS's own default.

    Returns:
        The `Dataset`.

    Raises:
        InvalidInputError: unknown name or config, a file that cannot be used, or a data set that is neither on this
            machine nor can be downloaded.

    Example:
    >>> digits = load_data("optical_digits/fold_0")
    >>> digits.select("test")[0].shape
    (360, 8, 8, 1)
    """
    if identifier.endswith(".npz"):
        return load_npz(identifier)
    name, _, config = identifier.partition("/")
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, n=1)
        raise InvalidInputError(
            f"Unknown data set {shown(identifier)}{f', did you mean {near[0]!r}?' if near else '.'} "
            f"Known: {', '.join(DATASETS)}; or a path that ends in .npz."
        )
    record = DATASETS[name]
    config = config or (record.configs[0] if record.configs else "")
    if config and config not in record.configs:
        raise InvalidInputError(
            f"{name} has the configs {', '.join(record.configs) or '(none)'}. Received: {shown(identifier)}"
        )
    splits, class_names = _read(name, config, record, data_dir)
    return Dataset(name, config or None, record.task, splits, class_names, record.normalize_features)


def _read(
    name: str, config: str, record: DatasetRecord, data_dir: str | os.PathLike[str] | None
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], tuple[str, ...] | None]:
    with _quiet_tfds() as tfds:
        if record.module:
            import_module(record.module)
        builder = _prepared(tfds, f"{name}/{config}" if config else name, bool(record.module), data_dir)
        splits = {}
        for split in builder.info.splits:
            everything = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1, shuffle_files=False))
            x, y = (np.asarray(everything[key]) for key in record.keys)
            splits[split] = (x, y)
        feature = builder.info.features[record.keys[1]]
        return splits, tuple(feature.names) if TASKS[record.task].labels else None


def _prepared(tfds: Any, identifier: str, ours: bool, data_dir: str | os.PathLike[str] | None) -> Any:
    """A builder whose files are on the disk: found, generated (ours), or downloaded."""
    named = data_dir or os.environ.get("TFDS_DATA_DIR")
    # Ours can be generated anywhere; a read-only TFDS folder must not stop that.
    places = [named, cache_dir() / "tfds"] if ours else [named]
    builders = [tfds.builder(identifier, data_dir=place and str(place)) for place in places if place or not ours]
    for builder in builders:
        if builder.is_prepared():
            return builder
    if ours:
        builder = builders[-1]
        _generate(tfds, identifier, builder)
        return tfds.builder(identifier, data_dir=str(places[-1]))  # a fresh one: a builder reads its files once
    builder = builders[0]
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout belongs to answers
            builder.download_and_prepare()
    except Exception as error:
        raise InvalidInputError(
            f"{identifier} is not in {builder.data_path.parent} and could not be downloaded "
            f"({type(error).__name__}): point --data-dir (or TFDS_DATA_DIR) at a TFDS folder that has it."
        ) from error
    return builder


def _generate(tfds: Any, identifier: str, builder: Any) -> None:
    """Generate aside and rename, so that two processes that start at once do not disturb each other."""
    target = Path(builder.data_path)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=cache_dir(), prefix=".aside-"))
    try:
        other = tfds.builder(identifier, data_dir=str(aside))
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS announces a download that is none
            other.download_and_prepare()
        try:
            Path(other.data_path).rename(target)
        except OSError:
            if not builder.is_prepared():  # not another process that was first
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def cache_dir() -> Path:
    """Where generated data sets are kept: `LEAKY_ZOO_CACHE`, or `~/.cache/leaky_zoo`."""
    path = Path(os.environ.get("LEAKY_ZOO_CACHE") or Path.home() / ".cache" / "leaky_zoo")
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def _quiet_tfds() -> Iterator[Any]:
    """TFDS without its progress bars and download chatter."""
    try:
        with naming_extras():
            import tensorflow_datasets as tfds
    except MissingExtraError:
        raise
    except ImportError as error:  # a broken installation, not a missing data set
        raise LeakyZooError(f"tensorflow-datasets cannot be imported: {error}") from error
    tfds.disable_progress_bar()
    yield tfds
