"""One preset from its `recipe.yaml`: train it, audit it, measure it, write its folder and its ONNX file."""

import contextlib
import difflib
import hashlib
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from leaky_zoo.analysis import Audit, analyze
from leaky_zoo.data import DATASETS, Dataset
from leaky_zoo.deploy import export_model
from leaky_zoo.deploy.zoo_models import can_watch
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow import evaluate_network
from leaky_zoo.flow.kinks import why_not
from leaky_zoo.io.files import making_folder, replacing
from leaky_zoo.io.reading import MAX_YAML_BYTES, decoded, parse_yaml, read_bytes, shown
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.publishing.claims import check_golden, keep_published
from leaky_zoo.publishing.compressed import KEY, compressed_files, export_folder
from leaky_zoo.publishing.seeds import other_seeds
from leaky_zoo.training import train
from leaky_zoo.training.building import data_of
from leaky_zoo.zoo import Preset, Recipe, UnknownPresetError, models_dir
from leaky_zoo.zoo.index import FILES, is_path
from leaky_zoo.zoo.saving import write_preset
from leaky_zoo.zoo.training_data import TrainingData

RUNS = Path("build") / "publish"
# What belongs to the weights: written when they are, and kept byte for byte as long as they are.
KEPT = ("config.json", "model.weights.h5", "golden.npz")
# What is measured or looked up again; all else that the metadata of these weights say stays said.
RENEWED = ("metrics", "sha256", "selection", "trained_with", "input", "output", "class_names", "data", "licence", KEY)
RELU_SAMPLES = 2000  # on which ReLUs are left out


@dataclass(frozen=True)
class Published:
    """What was written.

    Attributes:
        name: of the preset.
        folder: where it is.
        trained: whether weights were trained now, or were there.
        metrics: measured, by split.
        audit: its analysis.
        onnx: the ONNX file, or None where the recipe wants none.
    """

    name: str
    folder: Path
    trained: bool
    metrics: dict[str, dict[str, float]]
    audit: Audit
    onnx: Path | None


def find_recipes(target: str | os.PathLike[str]) -> list[Path]:
    """The folders with a recipe that a name or path stands for.

    Args:
        target: a name in the folder of presets (`LEAKY_ZOO_MODELS`, or `models/`); the path of a folder that holds a
            `recipe.yaml`; or the path of a zoo, a folder of such folders.

    Raises:
        InvalidInputError: there is none.

    Example:
    >>> [folder.name for folder in find_recipes("leaky_mlp_optical_digits_l7_equidistant")]
    ['leaky_mlp_optical_digits_l7_equidistant']
    """
    folder = Path(target) if is_path(target) else models_dir() / os.fspath(target)
    found = [folder] if (folder / "recipe.yaml").is_file() else []
    if not found and is_path(target):
        found = sorted(path.parent for path in folder.glob("*/recipe.yaml"))
        if not found:
            raise InvalidInputError(f"{target} holds no recipe.yaml, and no folder in it does.")
    if not found:
        known = [path.parent.name for path in models_dir().glob("*/recipe.yaml")]
        near = difflib.get_close_matches(os.fspath(target), known)
        raise UnknownPresetError(
            f"{models_dir()} has no recipe of the name {shown(os.fspath(target))}. "
            f"Nearest: {', '.join(near) or 'none'}. A folder is given as a path."
        )
    return found


class Publication:
    """A preset about to be published; what cannot be is refused when this is made, before any work.

    A folder is complete or as it was: everything is written aside and takes its place in one step, and the ONNX file
    after it.

    Args:
        folder: a folder with a `recipe.yaml` whose `name` is the folder's.
        refresh: do everything but training, which asks for weights; metrics that differ by another processor's rounding
            alone stay as they were. Default False: train where there are none.
        export: folder of the ONNX files, `<name>/model.onnx` each. Default None: `export/` beside the zoo's folder.
        runs: folder of the training runs; one that was stopped goes on from its last checkpoint, and a finished one is
            taken as it is. Default `build/publish`.
        data_dir: TFDS folder. Default None: as `load_data`.

    Attributes:
        recipe: what the folder's `recipe.yaml` says.
        preset: the weights that are there, or None: `run` will train.

    Raises:
        InvalidInputError: no recipe, one of another name, one that did not train the weights that are there, nothing to
            refresh, or files in the folder that are none of a preset.
        ChangedFileError: config, weights or golden pairs are not those that the metadata name.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        refresh: bool = False,
        export: str | os.PathLike[str] | None = None,
        runs: str | os.PathLike[str] = RUNS,
        data_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self.folder, self.data_dir, self._refresh = Path(folder), data_dir, refresh
        source = str(self.folder / "recipe.yaml")
        self._yaml = read_bytes(source, MAX_YAML_BYTES, "recipe")
        self.recipe = Recipe.from_dict(parse_yaml(decoded(self._yaml, source), source), source)
        self._trained_with = hashlib.sha256(self.recipe.training.to_yaml().encode()).hexdigest()
        name = self.folder.resolve().name
        self._export = export_folder(self.folder, export)
        self._run_folder = Path(runs) / f"{name}-{self._trained_with[:8]}"
        if self.recipe.name != name:
            raise InvalidInputError(f"{source}: name must be the folder's, {name}. Received: {self.recipe.name}")
        if self.recipe.strategy == "multi_worker":
            raise InvalidInputError(
                f"{source}: a cluster is trained with `leaky-zoo train --workers N --out "
                f"{shlex.quote(str(self._run_folder))}`; leave "
                "`strategy` out of the recipe, and publish takes that run."
            )
        others = ", ".join(sorted(path.name for path in self.folder.iterdir() if path.name not in FILES))
        if others:
            raise InvalidInputError(f"{self.folder} has files that are not a preset's; move them away: {others}")
        self._network: LeakyNetwork | None = None
        self._about: dict[str, Any] = {}  # what is known of how it was trained
        self.preset = self._opened()
        if refresh and self.preset is None:
            raise InvalidInputError(f"{self.folder} has no weights to refresh: leave --refresh out to train them.")

    def train(
        self,
        *,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        on_lbfgs_iteration: Callable[[int, float, float | None], None] | None = None,
    ) -> LeakyNetwork:
        """Train the weights, unless they are there; `run` does it too, without watchers.

        Args:
            callbacks, on_lbfgs_iteration: as `leaky_zoo.train`. Default: none.

        Returns:
            The network.

        Raises:
            CheckFailedError: the weights that are there do not give their golden outputs any more.
            Whatever `leaky_zoo.train` raises: a run that was stopped goes on from its last checkpoint.
        """
        if self.preset is not None:
            check_golden(self.preset)
            self._about = {key: value for key, value in self.preset.metadata.items() if key not in RENEWED}
            self._network = self.preset.network
            return self._network
        if self.recipe.publish.audit_split:  # one that cannot be read is refused now, not after the training
            data_of(self.recipe, self.data_dir).select(self.recipe.publish.audit_split)
        self._network, result = train(
            self.recipe,
            self._run_folder,
            data_dir=self.data_dir,
            resume=True,
            callbacks=callbacks,
            on_lbfgs_iteration=on_lbfgs_iteration,
        )
        self._about = {"device": result.device, "training_seconds": result.seconds}
        if result.lbfgs:
            said = ("objective", "iterations", "evaluations", "converged")
            self._about["lbfgs"] = {key: result.lbfgs[key] for key in said if key in result.lbfgs}
        return self._network

    def run(self, *, track: Callable[[Any], Any] | None = None, extra: dict[str, Any] | None = None) -> Published:
        """Train if need be, audit, measure, write.

        Args:
            track: wraps the batches of the analysis, to draw a bar. Default None.
            extra: more metadata that a study found, as `cross_validation`. Default None.

        Raises:
            CheckFailedError: the network does not give its golden outputs, or the ONNX graph does not agree with it.
            Whatever `train`, `load_data` and `analyze` raise. In all cases what was there before is there.
        """
        network = self.train() if self._network is None else self._network
        data, part = data_of(self.recipe, self.data_dir), self.recipe.data
        splits = {"train": part.train, "validation": part.validation, "test": part.test}
        metrics = {name: evaluate_network(network, *data.select(split)) for name, split in splits.items() if split}
        if self.preset is not None:
            metrics = keep_published(self.preset.metadata["metrics"], metrics)
        audited = self.recipe.publish.audit_split or part.train
        named = {"name": data.identifier, "split": audited}
        x, y = data.select(audited)
        # A net that was brought to a critical point is judged by the residual that decided when it was there.
        clarke = self.recipe.converge and why_not(network, len(x)) is None
        audit = analyze(network, x, y, data=named, track=track, relu_samples=RELU_SAMPLES, clarke=clarke)
        wanted, measured = self.recipe.publish.seeds, self._about.get("seeds", {"seeds": [self.recipe.seed]})
        if not self._refresh and len(measured["seeds"]) != wanted:
            self._about.pop("seeds", None)
            if wanted > 1:
                self._about["seeds"] = other_seeds(self.recipe, self._run_folder, metrics["test"], self.data_dir)
        compressed = compressed_files(self._export, network)
        about = self._about | (extra or {}) | self._facts(data) | ({KEY: compressed} if compressed else {})
        onnx = self._write(network, data, metrics, audit, about)
        return Published(self.recipe.name, self.folder, self.preset is None, metrics, audit, onnx)

    def _opened(self) -> Preset | None:
        """The weights that are there, if this recipe trained them."""
        if not (self.folder / "model.weights.h5").is_file():
            return None
        preset = Preset.open(self.folder, KEPT)
        stated = preset.metadata.get("trained_with", preset.metadata["sha256"].get("recipe.yaml"))
        if stated not in (self._trained_with, hashlib.sha256(self._yaml).hexdigest()):
            raise InvalidInputError(
                f"{self.folder / 'recipe.yaml'} did not train the weights beside it: what it says of the training has "
                "changed. Undo that, or remove model.weights.h5 to train again."
            )
        return preset

    def _facts(self, data: Dataset) -> dict[str, Any]:
        """What follows from recipe and data."""
        x, _ = data.select(self.recipe.data.train)
        record = DATASETS.get(data.name)
        edges = np.vectorize(lambda edge: float(f"{edge:.6g}"))(data.input_range(self.recipe.data.train)).tolist()
        names = {"feature_names": list(data.feature_names)} if data.feature_names else {}
        facts: dict[str, Any] = {
            "licence": self.recipe.publish.licence,
            "trained_with": self._trained_with,
            "input": {"shape": list(x.shape[1:]), "dtype": x.dtype.name, "range": edges, **names},
        }
        if record and record.about:
            facts["data"] = {"about": record.about, "licence": record.licence}
            if record.licence_source:
                facts["data"]["licence_source"] = record.licence_source
        if self.recipe.network.source:
            facts["fine_tuned_from"] = {"name": self.recipe.network.source}
        return facts

    def _write(
        self,
        network: LeakyNetwork,
        data: Dataset,
        metrics: dict[str, dict[str, float]],
        audit: Audit,
        about: dict[str, Any],
    ) -> Path | None:
        kept = {file: self.preset.content(file) for file in KEPT if self.preset.has(file)} if self.preset else {}
        onnx = self._export / "model.onnx" if self.recipe.publish.onnx else None
        with contextlib.ExitStack() as stack:
            new_onnx = stack.enter_context(replacing(onnx)) if onnx else None
            folder = stack.enter_context(making_folder(self.folder, replace=True))
            write_preset(
                network,
                folder,
                self.recipe.name,
                kept=kept | {"recipe.yaml": self._yaml},
                recipe=self.recipe,
                metrics=metrics,
                audit=audit,
                golden_inputs=data.select(self.recipe.data.test)[0],
                extra=about,
            )
            written = Preset.open(folder)
            check_golden(written)
            if new_onnx:
                # It watches for drift where some samples were held out: the data are at hand.
                watches = can_watch(network, TrainingData(data, self.recipe.data.train))
                export_model(written, new_onnx, monitor=watches, data_dir=self.data_dir)
        return onnx
