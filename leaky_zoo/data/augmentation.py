"""What training batches go through: images changed, inputs dropped, samples mixed, as functions of seed and step."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from leaky_zoo.data.image_changes import cut_out, flip, project, projection, translate, window
from leaky_zoo.errors import InvalidInputError

# Each draw has a stream of its own: what one change draws does not depend on which others there are. Dropped inputs
# draw from (seed, step) alone.
TRANSLATION, CROP, FLIP, ROTATION, ZOOM, CUTOUT, NOISE, MIXING, PARTNER = range(1, 10)


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a whole batch, drawn from (seed, step) before devices share it out. This project.

    They come in the order of the arguments; the last, mixing, needs two samples and is the training step's to do.

    Args:
        seed: integer seed.
        input_dropout: fraction of inputs replaced by `fill`, in [0, 1); the rest is scaled around `fill` to keep the
            mean. Default 0.
        translation: largest shift of an image along each axis, in pixels, at least 0 and less than the image; every
            whole number up to it is equally likely, and 0 comes in from outside. Default 0.
        fill: a number, or one value per feature. Default 0.
        crop_padding: images are padded by so many mirrored pixels on each side, and a window of their own size is cut
            out at random; at least 0 and less than the image. Default 0.
        flip: fraction of the images that are mirrored left to right, in [0, 1]. Default 0.
        rotation: largest angle, in degrees, either way, in [0, 180]; borders are mirrored. Default 0.
        zoom: largest change of size, as a fraction, either way, in [0, 1). Default 0.
        cutout: side of a square around a random pixel that is set to `mean`, in pixels, at least 0. Default 0.
        noise: standard deviation of Gaussian noise on every input, in units of the inputs, at least 0. Default 0.
        mixup: `alpha` of the Beta(alpha, alpha) from which each sample's share is drawn; at least 0, 0 mixes nothing.
            Default 0.
        mean: what `cutout` puts into its square. Default 0.

    Raises:
        InvalidInputError: an argument outside its range.

    Example:
    >>> moved = Augmentation(seed=0, translation=1, flip=0.5)
    >>> draws = moved.draw(tf.constant(0), 4, (5, 5, 1))
    >>> moved.apply(tf.ones((4, 5, 5, 1)), draws).shape.as_list()
    [4, 5, 5, 1]
    """

    seed: int
    input_dropout: float = 0.0
    translation: int = 0
    fill: Any = 0.0
    crop_padding: int = 0
    flip: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    cutout: int = 0
    noise: float = 0.0
    mixup: float = 0.0
    mean: Any = 0.0

    def __post_init__(self) -> None:
        self._between("input_dropout", "[0, 1)", 0 <= self.input_dropout < 1)
        self._between("flip", "[0, 1]", 0 <= self.flip <= 1)
        self._between("rotation", "[0, 180] degrees", 0 <= self.rotation <= 180)
        self._between("zoom", "[0, 1)", 0 <= self.zoom < 1)
        for name in ("translation", "crop_padding", "cutout", "noise", "mixup"):
            value = getattr(self, name)
            if not value >= 0:
                raise InvalidInputError(f"`{name}` must be at least 0. Received: {name}={value}")

    def _between(self, name: str, words: str, fine: bool) -> None:
        if not fine:
            raise InvalidInputError(f"`{name}` must be in {words}. Received: {name}={getattr(self, name)}")

    @property
    def needs_images(self) -> tuple[str, ...]:
        """Names of the changes asked for that only images can go through."""
        names = ("translation", "crop_padding", "flip", "rotation", "zoom", "cutout")
        return tuple(name for name in names if getattr(self, name))

    @property
    def changes_inputs(self) -> bool:
        """Whether samples come out other than they went in, mixing left aside."""
        return bool(self.needs_images or self.input_dropout or self.noise)

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse samples that cannot be changed so.

        Raises:
            InvalidInputError: samples that are not images of (height, width, channels), or too small ones.
        """
        for name in self.needs_images:
            reach = getattr(self, name) if name in ("translation", "crop_padding") else 0
            if len(shape) != 3 or reach >= min(shape[:2]):
                raise InvalidInputError(
                    f"`{name}` needs images of (height, width, channels) larger than it. "
                    f"Received: {name}={getattr(self, name)}, samples of shape {shape}"
                )

    def draw(self, step: tf.Tensor, batch_size: int, shape: tuple[int, ...]) -> dict[str, tf.Tensor]:
        """The draws of a step, one row for each sample of the batch; empty where nothing is changed."""
        seeds = tf.stack([tf.constant(self.seed, tf.int64), tf.cast(step, tf.int64)])

        def own(stream: int) -> tf.Tensor:
            return tf.random.experimental.stateless_fold_in(seeds, stream)

        def uniform(stream: int, least: float, most: float, *size: int) -> tf.Tensor:
            return tf.random.stateless_uniform((batch_size, *size), own(stream), least, most)

        def whole(stream: int, most: int) -> tf.Tensor:
            return tf.random.stateless_uniform((batch_size, 2), own(stream), 0, most, dtype=tf.int32)

        draws = {}
        if self.translation:
            draws["shift"] = whole(TRANSLATION, 2 * self.translation + 1)
        if self.crop_padding:
            draws["window"] = whole(CROP, 2 * self.crop_padding + 1)
        if self.flip:
            draws["flip"] = uniform(FLIP, 0, 1) < self.flip
        if self.rotation or self.zoom:
            turn = uniform(ROTATION, -self.rotation, self.rotation) * (np.pi / 180) if self.rotation else None
            size = uniform(ZOOM, 1 - self.zoom, 1 + self.zoom) if self.zoom else None
            # Of the whole batch here: the last bit of a sine depends on how many are computed at once, and replicas
            # that share a batch are to see the same images.
            draws["projection"] = projection(turn, size, shape)
        if self.cutout:
            draws["centre"] = uniform(CUTOUT, 0, 1, 2)
        if self.input_dropout:
            draws["kept"] = tf.random.stateless_uniform((batch_size, *shape), seeds) >= self.input_dropout
        if self.noise:
            draws["noise"] = tf.random.stateless_normal((batch_size, *shape), own(NOISE))
        if self.mixup:
            first, second = (tf.random.stateless_gamma((batch_size, 2), own(MIXING), self.mixup)[:, i] for i in (0, 1))
            draws["share"] = tf.math.divide_no_nan(first, first + second)
            draws["partner"] = uniform(PARTNER, 0, 1)
        return draws

    def apply(self, inputs: tf.Tensor, draws: dict[str, tf.Tensor]) -> tf.Tensor:
        """Inputs as the network sees them, before they are mixed; `draws` has their rows."""
        if self.translation:
            inputs = translate(inputs, draws["shift"], self.translation)
        if self.crop_padding:
            inputs = window(inputs, draws["window"], self.crop_padding, draws.get("flip"))
        elif self.flip:
            inputs = flip(inputs, draws["flip"])
        if self.rotation or self.zoom:
            inputs = project(inputs, draws["projection"])
        if self.cutout:
            inputs = cut_out(inputs, draws["centre"], self.cutout, self.mean)
        if self.input_dropout:
            fill = tf.constant(np.asarray(self.fill), dtype=inputs.dtype)
            scaled = (inputs - fill) / tf.cast(1 - self.input_dropout, inputs.dtype)
            inputs = fill + tf.where(draws["kept"], scaled, tf.zeros((), inputs.dtype))
        if self.noise:
            inputs += tf.cast(self.noise * draws["noise"], inputs.dtype)
        return inputs

    def partners(self, places: tf.Tensor, count: tf.Tensor, draws: dict[str, tf.Tensor]) -> tf.Tensor:
        """The place within the batch of the sample that each is mixed with: any of the `count` that there are.

        Args:
            places: int32, of the samples.
            count: samples of the whole batch.
            draws: of the step, with the rows of these samples.
        """
        return (places + tf.cast(draws["partner"] * tf.cast(count, tf.float32), tf.int32)) % count


def mix(own: tf.Tensor, other: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """`share own + (1 - share) other`, row by row.

    Example:
    >>> mix(tf.constant([[0.0, 2.0]]), tf.constant([[4.0, 4.0]]), tf.constant([0.25])).numpy().tolist()
    [[3.0, 3.5]]
    """
    share = tf.cast(tf.reshape(share, (-1, *[1] * (len(own.shape) - 1))), own.dtype)
    return share * own + (1 - share) * other
