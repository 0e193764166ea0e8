"""What training batches go through: inputs dropped, images moved, as a pure function of seed and step."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from leaky_zoo.errors import InvalidInputError

# Told apart from the draws of the dropped inputs, which have (seed, step) alone.
TRANSLATION = 1


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a whole batch, drawn from (seed, step) before devices share it out. This project.

    Args:
        seed: integer seed.
        input_dropout: fraction of inputs replaced by `fill`, in [0, 1); the rest is scaled around `fill` to keep the
            mean. Default 0.
        translation: largest shift of an image along each axis, in pixels, at least 0 and less than the image; every
            whole number up to it is equally likely, and 0 comes in from outside. Default 0.
        fill: a number, or one value per feature. Default 0.

    Raises:
        InvalidInputError: a fraction outside [0, 1) or a negative shift.

    Example:
    >>> moved = Augmentation(seed=0, translation=1)
    >>> draws = moved.draw(tf.constant(0), 4, (5, 5, 1))
    >>> moved.apply(tf.ones((4, 5, 5, 1)), draws).shape.as_list()
    [4, 5, 5, 1]
    """

    seed: int
    input_dropout: float = 0.0
    translation: int = 0
    fill: Any = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.input_dropout < 1:
            raise InvalidInputError(f"`input_dropout` must be in [0, 1). Received: input_dropout={self.input_dropout}")
        if self.translation < 0:
            raise InvalidInputError(f"`translation` must be at least 0. Received: translation={self.translation}")

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse samples that cannot be moved so far.

        Raises:
            InvalidInputError: samples that are not images of (height, width, channels), or too small ones.
        """
        if self.translation and (len(shape) != 3 or self.translation >= min(shape[:2])):
            raise InvalidInputError(
                f"`translation` needs images of (height, width, channels) larger than it. "
                f"Received: translation={self.translation}, samples of shape {shape}"
            )

    def draw(self, step: tf.Tensor, batch_size: int, shape: tuple[int, ...]) -> dict[str, tf.Tensor]:
        """The draws of a step, one row for each sample of the batch; empty where nothing is changed."""
        draws = {}
        seeds = tf.stack([tf.constant(self.seed, tf.int64), tf.cast(step, tf.int64)])
        if self.translation:
            own = tf.random.experimental.stateless_fold_in(seeds, TRANSLATION)
            draws["shift"] = tf.random.stateless_uniform(
                (batch_size, 2), own, 0, 2 * self.translation + 1, dtype=tf.int32
            )
        if self.input_dropout:
            draws["kept"] = tf.random.stateless_uniform((batch_size, *shape), seeds) >= self.input_dropout
        return draws

    def apply(self, inputs: tf.Tensor, draws: dict[str, tf.Tensor]) -> tf.Tensor:
        """Inputs as the network sees them; `draws` has their rows."""
        if self.translation:
            inputs = translate(inputs, draws["shift"], self.translation)
        if self.input_dropout:
            fill = tf.constant(np.asarray(self.fill), dtype=inputs.dtype)
            scaled = (inputs - fill) / tf.cast(1 - self.input_dropout, inputs.dtype)
            inputs = fill + tf.where(draws["kept"], scaled, tf.zeros((), inputs.dtype))
        return inputs


def translate(images: tf.Tensor, shift: tf.Tensor, margin: int) -> tf.Tensor:
    """Windows of the images with a margin of zeros around them.

    Args:
        images: (batch, height, width, channels).
        shift: (batch, 2) upper left corners, int32 in 0..2 margin; `margin` leaves an image where it is.
        margin: of zeros, on each side.
    """
    height, width = images.shape[1], images.shape[2]
    padded = tf.pad(images, [[0, 0], [margin, margin], [margin, margin], [0, 0]])
    rows = tf.gather(padded, shift[:, :1] + tf.range(height), axis=1, batch_dims=1)
    return tf.gather(rows, shift[:, 1:] + tf.range(width), axis=2, batch_dims=1)
