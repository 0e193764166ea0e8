"""What a recipe gives with other seeds: trained beside the preset, measured, and kept as numbers alone."""

import os
import statistics
from pathlib import Path
from typing import Any

from leaky_zoo.training import train
from leaky_zoo.zoo import Recipe


def other_seeds(
    recipe: Recipe,
    runs: Path,
    own: dict[str, float],
    data_dir: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Test metrics of a recipe over `recipe.publish.seeds` seeds, the first being the preset's own.

    Args:
        recipe: of the preset. The others are `recipe.seed + 1`, `recipe.seed + 2`, ...
        runs: folder of its run; the others get `<runs>-seed<N>` beside it. A run that was stopped goes on.
        own: test metrics of the preset.
        data_dir: TFDS folder. Default None: as `load_data`.

    Returns:
        `{"seeds": [...], "test": {metric: [one value for each seed]}, "mean": {metric: ...}, "std": {metric: ...}}`;
        the standard deviation is that of a sample.

    Raises:
        Whatever `leaky_zoo.train` raises.
    """
    seeds = [recipe.seed + place for place in range(recipe.publish.seeds)]
    found = [own]
    for seed in seeds[1:]:
        other = recipe.model_copy(update={"seed": seed})
        found.append(
            train(other, runs.with_name(f"{runs.name}-seed{seed}"), data_dir=data_dir, resume=True)[1].metrics["test"]
        )
    values = {metric: [metrics[metric] for metrics in found] for metric in own}
    return {
        "seeds": seeds,
        "test": values,
        "mean": {metric: statistics.fmean(each) for metric, each in values.items()},
        "std": {metric: statistics.stdev(each) for metric, each in values.items()},
    }
