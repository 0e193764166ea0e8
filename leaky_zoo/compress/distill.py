"""A few epochs against the whole net's outputs, under the recipe's own augmentation (Hinton et al. 2015)."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from leaky_zoo.compress.divergence import Divergence
from leaky_zoo.data.augmentation import Augmentation
from leaky_zoo.data.pipeline import training_pipeline
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.archives import read_npz
from leaky_zoo.io.files import replacing
from leaky_zoo.networks import LeakyNetwork

LEARNING_RATE = 1e-3
BATCH = 256


def batches(
    x: np.ndarray,
    augmentation: Augmentation | None,
    batch_size: int,
    first_step: int = 0,
    targets: np.ndarray | None = None,
) -> Any:
    """An endless stream of augmented `(x, targets)`, 0 where none are given; mixing of samples is left out."""
    changes = asdict(replace(augmentation or Augmentation(0), mixup=0.0))
    seed, targets = changes.pop("seed"), np.zeros(len(x), np.int32) if targets is None else targets
    return training_pipeline(x, targets, batch_size, seed, first_step=first_step, **changes)


def augmented(x: np.ndarray, augmentation: Augmentation | None) -> np.ndarray:
    """Every sample once, as one pass of training sees them.

    Example:
    >>> augmented(np.ones((5, 4, 4, 1), "float32"), Augmentation(0, translation=1)).shape
    (5, 4, 4, 1)
    """
    return copies(x, np.zeros(len(x), np.int32), augmentation, 1)[0]


def copies(
    x: np.ndarray, y: np.ndarray, augmentation: Augmentation | None, passes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Every sample so many times, each time changed anew, with its target.

    Example:
    >>> x, y = copies(np.ones((5, 4, 4, 1), "float32"), np.arange(5), Augmentation(0, translation=1), 3)
    >>> x.shape, np.bincount(y).tolist()
    ((15, 4, 4, 1), [3, 3, 3, 3, 3])
    """
    size = min(BATCH, len(x))
    stream = batches(x, augmentation, size, targets=np.asarray(y)).take(passes * -(-len(x) // size))
    rows, targets = zip(*stream.as_numpy_iterator(), strict=True)
    return np.concatenate(rows), np.concatenate(targets)


class _Pupil(keras.Model):
    """Trains a model on another's outputs; both get the same inputs."""

    def __init__(self, model: keras.Model, teacher: LeakyNetwork) -> None:
        super().__init__(name="pupil")
        self.model, self._divergence = model, Divergence(teacher)
        self._wanted = lambda inputs: teacher(inputs, training=False)  # a function: Keras shall not track the teacher

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.model(inputs, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        wanted = ops.stop_gradient(ops.cast(self._wanted(x), "float32"))
        return self._divergence(y_pred, wanted)


def distill(
    model: keras.Model,
    teacher: LeakyNetwork,
    samples: tuple[np.ndarray, np.ndarray],
    score: Callable[[keras.Model], float],
    *,
    epochs: int,
    augmentation: Augmentation | None = None,
    batch_size: int = BATCH,
    learning_rate: float = LEARNING_RATE,
    folder: str | os.PathLike[str] | None = None,
    about: dict[str, Any] | None = None,
    report: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train a compressed net on the whole net's outputs; it ends with the weights of its best epoch.

    Adam, cosine decay to zero over all epochs, gradients clipped to a global norm of 1. After each epoch `score` is
    taken; the weights before training count as epoch 0, so that the net ends no worse than it began. This project.

    Args:
        model: the compressed net; changed in place.
        teacher: the whole net.
        samples: `(x, y)`, raw; `y` is not looked at.
        score: larger is better; not of samples that the budget is measured on.
        epochs: passes over the samples, at least 1.
        augmentation: of the recipe, without its mixing of samples. Default None: none.
        batch_size: at most the samples. Default 256.
        learning_rate: at the start. Default 1e-3.
        folder: for a checkpoint after each epoch; a run with the same model and epochs goes on from it. Default None:
            no checkpoints.
        about: what a checkpoint must have been made with, beside epochs and samples. Default None: nothing.
        report: called with each epoch and its score.

    Returns:
        The scores, epoch 0 first.

    Raises:
        InvalidInputError: fewer than one epoch, or a checkpoint of another run.
    """
    if not isinstance(epochs, int) or epochs < 1:
        raise InvalidInputError(f"`epochs` must be a whole number, at least 1. Received: epochs={epochs!r}")
    x = samples[0]
    size = min(batch_size, len(x))
    steps = -(-len(x) // size)
    pupil = _Pupil(model, teacher)
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps * epochs)
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=1.0)
    pupil.compile(optimizer=optimizer, jit_compile=False)
    optimizer.build(model.trainable_variables)
    state = _State(model, optimizer, folder, {**(about or {}), "epochs": epochs, "samples": len(x)})
    scores, best = state.resume() or ([score(model)], model.get_weights())
    stream = batches(x, augmentation, size, len(scores[1:]) * steps)
    for epoch in range(len(scores), epochs + 1):
        pupil.fit(stream, epochs=epoch, initial_epoch=epoch - 1, steps_per_epoch=steps, verbose=0, shuffle=False)
        scores.append(score(model))
        if scores[-1] >= max(scores[:-1]):
            best = model.get_weights()
        state.save(scores, best)
        if report:
            report(epoch, scores[-1])
        stream = batches(x, augmentation, size, epoch * steps)
    model.set_weights(best)
    return scores


class _State:
    """What a checkpoint holds: weights, the optimiser's variables, the best weights, the scores."""

    def __init__(
        self, model: keras.Model, optimizer: Any, folder: str | os.PathLike[str] | None, about: dict[str, Any]
    ) -> None:
        self._model, self._optimizer, self._about = model, optimizer, about
        self._file = None if folder is None else Path(folder) / "distillation.npz"
        self._about["shapes"] = [list(weight.shape) for weight in model.get_weights()]

    def save(self, scores: list[float], best: list[np.ndarray]) -> None:
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        slots = [ops.convert_to_numpy(variable) for variable in self._optimizer.variables]
        parts = {"weight": self._model.get_weights(), "slot": slots, "best": best}
        arrays = {f"{kind}_{place:04d}": each for kind, part in parts.items() for place, each in enumerate(part)}
        header = np.frombuffer(json.dumps({**self._about, "scores": scores}).encode(), np.uint8)
        with replacing(self._file) as aside, aside.open("wb") as file:
            np.savez(file, header=header, **arrays)

    def resume(self) -> tuple[list[float], list[np.ndarray]] | None:
        """Scores and best weights of a checkpoint, whose state is taken over; None where there is none."""
        if self._file is None or not self._file.exists():
            return None
        arrays = read_npz(self._file)
        try:
            header = json.loads(arrays.pop("header").tobytes())
            scores = header.pop("scores")
            kinds = {
                kind: [arrays[name] for name in sorted(arrays) if name.startswith(f"{kind}_")]
                for kind in ("weight", "slot", "best")
            }
            if header != self._about:
                raise InvalidInputError(f"{self._file} is of another distillation: remove it, or use another folder.")
            self._model.set_weights(kinds["weight"])
            for variable, value in zip(self._optimizer.variables, kinds["slot"], strict=True):
                variable.assign(value)
        except (ValueError, KeyError, AttributeError) as error:
            raise InvalidInputError(f"{self._file} cannot be resumed from: {error}") from error
        return scores, kinds["best"]
