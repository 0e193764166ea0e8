"""Changes of a batch of images `(batch, height, width, channels)`, each image by its own draws, all at once."""

from typing import Any

import numpy as np
import tensorflow as tf


def translate(images: tf.Tensor, shift: tf.Tensor, margin: int) -> tf.Tensor:
    """Windows of the images with a margin of zeros around them.

    Args:
        images: (batch, height, width, channels).
        shift: (batch, 2) upper left corners, int32 in 0..2 margin; `margin` leaves an image where it is.
        margin: of zeros, on each side.
    """
    return _windows(images, shift, margin, "CONSTANT")


def window(images: tf.Tensor, corner: tf.Tensor, margin: int, flipped: tf.Tensor | None = None) -> tf.Tensor:
    """Windows of the images with mirrored margins; arguments as `translate`.

    With `flipped` (bool, `(batch,)`) those windows are mirrored left to right, as by `flip` and at no cost.

    Example:
    >>> row = tf.reshape(tf.range(1.0, 4.0), (1, 1, 3, 1)) * tf.ones((1, 3, 1, 1))
    >>> window(row, tf.constant([[1, 2]]), 1)[0, 0, :, 0].numpy().tolist()
    [2.0, 3.0, 2.0]
    """
    return _windows(images, corner, margin, "REFLECT", flipped)


def _windows(
    images: tf.Tensor, corner: tf.Tensor, margin: int, border: str, flipped: tf.Tensor | None = None
) -> tf.Tensor:
    height, width, channels = images.shape[1:]
    padded = tf.pad(images, [[0, 0], [margin, margin], [margin, margin], [0, 0]], border) if margin else images
    rows, columns = corner[:, :1] + tf.range(height), corner[:, 1:] + tf.range(width)
    if flipped is not None:
        columns = tf.where(flipped[:, None], columns[:, ::-1], columns)
    # One gather of pixels: two, and a mirror image beside each, take several times as long on a CPU.
    full = width + 2 * margin
    first = tf.range(tf.shape(images)[0])[:, None, None] * (full * (height + 2 * margin))
    return tf.gather(tf.reshape(padded, (-1, channels)), first + rows[:, :, None] * full + columns[:, None, :])


def flip(images: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """The images, those that are chosen (bool, `(batch,)`) mirrored left to right.

    Example:
    >>> flip(tf.reshape(tf.range(3.0), (1, 1, 3, 1)), tf.constant([True]))[0, 0, :, 0].numpy().tolist()
    [2.0, 1.0, 0.0]
    """
    return _windows(images, tf.zeros((tf.shape(images)[0], 2), tf.int32), 0, "REFLECT", chosen)


def projection(angle: tf.Tensor | None, size: tf.Tensor | None, shape: tuple[int, ...]) -> tf.Tensor:
    """From where each pixel of images that are turned and scaled about their centre comes, as `project` takes it.

    Args:
        angle: (batch,) in radians; a positive one turns from the right towards the bottom. None: no turn.
        size: (batch,) factors; above 1 makes things larger. None: as they are.
        shape: (height, width, channels) of an image.

    Returns:
        A tensor of shape (batch, 8), float32.
    """
    given = angle if angle is not None else size
    assert given is not None
    zero = tf.zeros_like(given)
    scale = 1 / (size if size is not None else zero + 1)
    cosine, sine = (tf.cos(angle), tf.sin(angle)) if angle is not None else (zero + 1, zero)
    middle_y, middle_x = (shape[0] - 1) / 2, (shape[1] - 1) / 2
    # (x, y) goes back by the inverse of the turn, about the centre.
    a, b = scale * cosine, scale * sine
    transforms = tf.stack(
        [a, b, middle_x - a * middle_x - b * middle_y, -b, a, middle_y + b * middle_x - a * middle_y, zero, zero],
        axis=1,
    )
    return tf.cast(transforms, tf.float32)


def project(images: tf.Tensor, transforms: tf.Tensor) -> tf.Tensor:
    """The images turned and scaled about their centre, bilinear, with mirrored borders.

    Args:
        images: (batch, height, width, channels).
        transforms: (batch, 8), of `projection`.

    Example:
    >>> image = np.zeros((1, 3, 3, 1), "float32")
    >>> image[0, 1, 2] = 1.0
    >>> quarter = projection(tf.constant([np.pi / 2], tf.float32), None, (3, 3, 1))
    >>> turned = project(tf.constant(image), quarter)[0, ..., 0].numpy()
    >>> np.argwhere(turned > 0.9).tolist()  # from the right end of the middle row to the bottom of the middle column
    [[2, 1]]
    """
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=[images.shape[1], images.shape[2]],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def cut_out(images: tf.Tensor, centre: tf.Tensor, side: int, mean: Any) -> tf.Tensor:
    """The images with a square set to `mean`; of a square at the border, the part inside the image.

    Args:
        images: (batch, height, width, channels).
        centre: (batch, 2) in [0, 1), as fractions of height and width.
        side: of the square, in pixels.
        mean: a number, or one for each channel.

    Example:
    >>> float(tf.reduce_sum(cut_out(tf.ones((1, 4, 4, 1)), tf.constant([[0.0, 0.0]]), 2, 0.0)))
    15.0
    """
    inside = []
    for axis, length in enumerate((images.shape[1], images.shape[2])):
        first = tf.cast(centre[:, axis] * length, tf.int32) - side // 2
        places = tf.range(length)[None]
        inside.append((places >= first[:, None]) & (places < first[:, None] + side))
    square = inside[0][:, :, None, None] & inside[1][:, None, :, None]
    return tf.where(square, tf.cast(np.asarray(mean, np.float64), images.dtype), images)
