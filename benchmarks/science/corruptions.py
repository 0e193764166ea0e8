"""Corrupted images, as our own robustness tables use them: four kinds, five levels, the same for the same seed.

After Hendrycks and Dietterich (2019), with parameters of this project. Images are (n, height, width, channels), grey
levels 0 to 255; what comes back is float32 and clipped to that range.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

LEVELS = 5
NOISE = (0.1, 0.2, 0.3, 0.4, 0.5)  # standard deviation, of the range
BLUR = (0.5, 0.75, 1.0, 1.5, 2.0)  # standard deviation of a Gaussian, pixels
ROTATION = (10.0, 20.0, 30.0, 40.0, 50.0)  # degrees, either way
CONTRAST = (0.7, 0.5, 0.35, 0.2, 0.1)  # what is left of the distance to the image's mean


def noise(x: np.ndarray, level: int, random: np.random.Generator) -> np.ndarray:
    """White noise on every pixel."""
    return x + 255 * NOISE[level] * random.standard_normal(x.shape, np.float32)


def blur(x: np.ndarray, level: int, random: np.random.Generator) -> np.ndarray:
    """Convolution with a Gaussian."""
    return ndimage.gaussian_filter(x, (0, BLUR[level], BLUR[level], 0))


def rotation(x: np.ndarray, level: int, random: np.random.Generator) -> np.ndarray:
    """Turned about the centre, each image to a side of its own; bilinear, black outside."""
    left = random.random(len(x)) < 0.5
    turned = np.empty_like(x)
    for side, angle in ((left, ROTATION[level]), (~left, -ROTATION[level])):
        turned[side] = ndimage.rotate(x[side], angle, axes=(1, 2), reshape=False, order=1)
    return turned


def contrast(x: np.ndarray, level: int, random: np.random.Generator) -> np.ndarray:
    """Drawn towards the image's mean."""
    mean = x.mean(axis=(1, 2, 3), keepdims=True)
    return mean + CONTRAST[level] * (x - mean)


KINDS: dict[str, Callable[[np.ndarray, int, np.random.Generator], np.ndarray]] = {
    "noise": noise, "blur": blur, "rotation": rotation, "contrast": contrast,
}  # fmt: skip


def corrupted(x: np.ndarray, kind: str, level: int, seed: int = 0) -> np.ndarray:
    """Images of one kind and level, 0 (weakest) to 4.

    >>> grey = np.full((2, 8, 8, 1), 100.0, np.float32)
    >>> bool(np.allclose(corrupted(grey, "contrast", 4), grey)), corrupted(grey, "noise", 0).shape
    (True, (2, 8, 8, 1))
    """
    random = np.random.default_rng((seed, level))
    return np.clip(KINDS[kind](np.asarray(x, np.float32), level, random), 0, 255).astype(np.float32)
