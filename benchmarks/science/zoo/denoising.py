"""What the denoisers take off: the error of their outputs from noisy inputs, beside the noise and a blur.

    python -m benchmarks.science.zoo.denoising     writes denoising.csv, a few seconds a net

Gaussian noise of the deviation that the recipe trained with, on the test split, drawn with seed 0. Errors are mean
squares against the clean inputs over the variance of the training inputs, as the losses of cards are. The blur is the
Gaussian one whose width is best on 1,000 training samples with other noise: what needs no training.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import markdown, options, read_table, write_table
from leaky_zoo.zoo import Preset, list_presets

TABLE = Path(__file__).with_suffix(".csv")
WIDTHS = np.arange(0.3, 2.51, 0.1)
SAMPLES = 1000


def error(outputs: np.ndarray, clean: np.ndarray, variance: Any) -> float:
    """Mean square of the difference over the variance."""
    return float(np.mean((outputs.astype(np.float64) - clean) ** 2 / np.asarray(variance, np.float64)))


def blur(width: float) -> Callable[[np.ndarray], np.ndarray]:
    """A Gaussian blur along all axes but those of samples and channels."""
    from scipy.ndimage import gaussian_filter

    return lambda x: gaussian_filter(x, (0, *[width] * (x.ndim - 2), 0) if x.ndim > 2 else (0, width))


def row_of(preset: Preset) -> dict[str, Any]:
    """The errors of one net."""
    from leaky_zoo.data import load_data

    recipe, random = preset.recipe, np.random.default_rng(0)
    assert recipe is not None
    data = load_data(recipe.data.name)
    variance = data.statistics(recipe.data.train)["input_variance"]
    noise = recipe.data.noise
    x = data.select(recipe.data.test)[0].astype(np.float32)
    shown = x + noise * random.standard_normal(x.shape, np.float32)
    some = data.select(recipe.data.train)[0][:SAMPLES].astype(np.float32)
    seen = some + noise * random.standard_normal(some.shape, np.float32)
    width = min(WIDTHS, key=lambda each: error(blur(each)(seen), some, variance))
    return {
        "preset": preset.name, "noise": noise, "noisy": error(shown, x, variance), "blur_width": float(width),
        "blurred": error(blur(width)(shown), x, variance),
        "denoised": error(preset.network.predict(shown, batch_size=1000, verbose=0), x, variance),
        "clean": error(preset.network.predict(x, batch_size=1000, verbose=0), x, variance),
    }  # fmt: skip


def measure() -> None:
    """One row for each denoiser of the zoo."""
    presets = (Preset.open(entry["name"]) for entry in list_presets("denoiser"))
    write_table(TABLE, [row_of(preset) for preset in presets], seed=0)


def table() -> str:
    """Errors, in the order of the work that each costs."""
    keys = ("noisy", "blurred", "denoised", "clean")
    lines = [
        (f"`{row['preset']}`", row["noise"], *(f"{float(row[key]):.3f}" for key in keys)) for row in read_table(TABLE)
    ]
    words = ("noisy inputs", "best blur of them", "the net's outputs", "its outputs from clean inputs")
    return markdown(("preset", "noise", *words), lines)


if __name__ == "__main__":
    options(__doc__)
    measure()
    print(table())
