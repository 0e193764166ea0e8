"""Rendered images with exactly known factors of variation, as a TFDS builder: a net's dimension has a true value."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from leaky_zoo.data.checks import check_generated

SIDE = 32
SAMPLES = {"train": 10_000, "test": 2_000}
# Factor, least, most; a configuration varies the first so many and holds the others at the middle of their range.
FACTORS = (
    ("x", 11.0, 21.0),  # of the centre, pixels from the left
    ("y", 11.0, 21.0),  # pixels from the top
    ("scale", 4.0, 8.0),  # radius of the long axis, pixels
    ("rotation", -1.2, 1.2),  # radians, less than half a turn: the factors fill a box, and nothing comes round
    ("shape", 1.2, 4.0),  # exponent of the outline: from nearly a rhombus to nearly a rectangle
)
ASPECT, TAPER = 0.6, 0.45  # a shape that looks the same after no rotation


class SpritesConfig(tfds.core.BuilderConfig):
    """How many factors vary.

    Args:
        count: 2..5.
        seed: of the factors. Default 0.
    """

    def __init__(self, count: int, seed: int = 0) -> None:
        self.factors = tuple(name for name, _, _ in FACTORS[:count])
        super().__init__(name=f"factors_{count}", description=f"{', '.join(self.factors)} vary, the rest is fixed.")
        self.seed = seed


class Sprites(tfds.core.GeneratorBasedBuilder):
    """Grey images of one tapered shape; x, y, scale, rotation and outline are drawn independently and uniformly."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [SpritesConfig(count) for count in (2, 3, 4, 5)]  # noqa: RUF012 (TFDS wants a list)

    def _info(self) -> tfds.core.DatasetInfo:
        count = len(self.builder_config.factors)
        return self.dataset_info_from_configs(
            description=self.__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Tensor(
                        shape=(SIDE, SIDE, 1), dtype=np.uint8, encoding=tfds.features.Encoding.ZLIB
                    ),
                    "factors": tfds.features.Tensor(shape=(count,), dtype=np.float32),
                }
            ),
            supervised_keys=("image", "factors"),
            metadata=tfds.core.MetadataDict(target_names=list(self.builder_config.factors)),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        config = self.builder_config
        splits = sprite_arrays(len(config.factors), config.seed)
        check_generated(f"sprites/{config.name}", floats=sprite_summary_arrays(splits))
        return {split: self._generate_examples(*pair) for split, pair in splits.items()}

    def _generate_examples(self, images: np.ndarray, factors: np.ndarray) -> Iterator[tuple[int, dict[str, Any]]]:
        for row in range(len(images)):
            yield row, {"image": images[row], "factors": factors[row]}


def sprite_summary_arrays(splits: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """What the record compares: factors, and the mean of images by pixel (a level may be rounded either way)."""
    images = {f"{split}_image": images.mean(0, dtype=np.float64) for split, (images, _) in splits.items()}
    return images | {f"{split}_factors": factors for split, (_, factors) in splits.items()}


def sprite_arrays(count: int, seed: int = 0) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images and their factors: `{"train": (images, factors), "test": ...}`.

    Args:
        count: factors that vary, 2..5.
        seed: of the draws. Default 0.

    Returns:
        uint8 images `(n, 32, 32, 1)` and float32 factors `(n, count)` in the units of `FACTORS`.

    Example:
    >>> images, factors = sprite_arrays(2)["test"]
    >>> images.shape, factors.shape, bool(np.abs(images[:, :4] == 0).all())
    ((2000, 32, 32, 1), (2000, 2), True)
    """
    random = np.random.default_rng(np.random.SeedSequence([seed, count]))
    least, most = (np.array([factor[place] for factor in FACTORS]) for place in (1, 2))
    total = sum(SAMPLES.values())
    values = np.tile((least + most) / 2, (total, 1))
    values[:, :count] = random.uniform(least[:count], most[:count], (total, count))
    images = np.concatenate([render(values[start : start + 1000]) for start in range(0, total, 1000)])
    factors, train = values[:, :count].astype(np.float32), SAMPLES["train"]
    return {"train": (images[:train], factors[:train]), "test": (images[train:], factors[train:])}


def render(factors: np.ndarray) -> np.ndarray:
    """Images of shapes, continuous in all five factors: `(n, 5)` to uint8 `(n, 32, 32, 1)`; this project.

    A pixel is white inside the outline `(|u / a|^p + |v / b|^p)^(1/p) = 1`, black outside, and in between within about
    a pixel of it; `u, v` are turned by the rotation, and `b` grows along `u`.

    Example:
    >>> image = render(np.array([[16.0, 16.0, 6.0, 0.0, 2.0]]))[0, ..., 0]
    >>> int(image[16, 16]), int(image[0, 0])
    (255, 0)
    """
    x, y, scale, rotation, exponent = (factor[:, None, None] for factor in np.asarray(factors, np.float64).T)
    down, right = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5, indexing="ij")
    dx, dy = right - x, down - y
    u = np.cos(rotation) * dx + np.sin(rotation) * dy
    v = np.cos(rotation) * dy - np.sin(rotation) * dx
    across = scale * ASPECT * (1 + TAPER * np.clip(u / scale, -1.5, 1.5))
    gauge = (np.abs(u / scale) ** exponent + np.abs(v / across) ** exponent) ** (1 / exponent)
    inside = np.clip(0.5 + (1 - gauge) * scale * ASPECT, 0.0, 1.0)
    return np.round(255 * inside).astype(np.uint8)[..., None]
