"""The reference of the drift monitor, made from what a file's `bottleneck` output gives for held-out samples.

Calibration is a bootstrap: the samples stand for all that may come, a resample of them for the reference that was
measured, and batches are drawn from them. So the quantiles know that the reference itself is an estimate. Needs numpy
only. This project; bootstrap: Efron, Annals of Statistics 7 (1979).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.runtime.drift import PROBABILITIES, STATISTICS, Scale, upper_tail

BATCH_SIZES = (1, 4, 16, 32, 64, 100, 256, 1024)
REFERENCES, BATCHES = 40, 100  # resampled references, and batches compared with each of them
ROWS_AT_A_TIME = 100_000


def make_reference(
    rows: np.ndarray, output: str, *, seed: int = 0, sizes: Sequence[int] = BATCH_SIZES
) -> dict[str, Any]:
    """Moments of samples, and quantiles of the statistics over clean batches.

    Args:
        rows: what the graph's output gives for samples that neither the network nor the choice of its directions has
            seen, shape `(n, k + 1)`.
        output: name of that output.
        seed: of the resampling. Default 0.
        sizes: batch sizes to calibrate. Default `BATCH_SIZES`; between them quantiles are interpolated.

    Returns:
        `leaky_zoo.reference`, without what describes the graph.

    Raises:
        InvalidInputError: fewer than `10 k + 40` samples, or coordinates that span fewer than `k` dimensions.

    Example:
    >>> normal = np.abs(np.random.default_rng(0).normal(size=(300, 3)))
    >>> made = make_reference(normal, "bottleneck", sizes=(1, 32))
    >>> sorted(made["calibration"]["quantiles"])
    ['combined', 'energy', 'shift', 'spread']
    """
    directions = rows.shape[1] - 1
    if len(rows) < 10 * directions + 40:
        raise InvalidInputError(
            f"A reference of {directions} directions needs at least {10 * directions + 40} samples beside those that "
            f"its directions are found with. Received: {len(rows)} samples"
        )
    z, energy = rows[:, :-1].astype(np.float64), np.maximum(rows[:, -1].astype(np.float64), 0)
    floor = 1e-12 * max(float(np.mean((z**2).sum(1) + energy)), 1e-200)
    logs = np.log(energy + floor)
    scale = _scale(z, logs, floor)
    value = {
        "output": output,
        "directions": directions,
        "samples": len(rows),
        "mean": scale.mean,
        "covariance": np.cov(z, rowvar=False).reshape(directions, directions),
        "energy": {
            "log_mean": scale.log_mean,
            "log_deviation": scale.log_deviation,
            "floor": floor,
            "mean": float(energy.mean()),
            "share": float(energy.sum() / max((z**2).sum() + energy.sum(), 1e-200)),
        },
        "calibration": _calibrate(z, logs, floor, seed, sizes),
    }
    return _rounded(value)


def _scale(z: np.ndarray, logs: np.ndarray, floor: float) -> Scale:
    covariance = np.cov(z, rowvar=False).reshape(z.shape[1], z.shape[1])
    try:
        whitening = np.linalg.inv(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError as error:
        raise InvalidInputError(
            f"Coordinates must span {z.shape[1]} dimensions. Received: samples whose coordinates span fewer"
        ) from error
    return Scale(z.mean(0), whitening, float(logs.mean()), float(max(logs.std(), 1e-6)), floor)


def _calibrate(z: np.ndarray, logs: np.ndarray, floor: float, seed: int, sizes: Sequence[int]) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    found: list[list[dict[str, np.ndarray]]] = [[] for _ in sizes]
    for _ in range(REFERENCES):
        again = random.integers(0, len(z), len(z))
        scale = _scale(z[again], logs[again], floor)
        for place, size in enumerate(sizes):
            for begin in range(0, BATCHES, max(1, ROWS_AT_A_TIME // size)):
                count = min(max(1, ROWS_AT_A_TIME // size), BATCHES - begin)
                chosen = random.integers(0, len(z), (count, size))
                picked = z[chosen]
                products = np.matmul(picked.transpose(0, 2, 1), picked)
                found[place].append(scale.statistics(size, picked.sum(1), products, logs[chosen].sum(1)))
    quantiles: dict[str, list[list[float]]] = {name: [] for name in (*STATISTICS, "combined")}
    for parts in found:
        values = {name: np.concatenate([part[name] for part in parts]) for name in STATISTICS}
        tables = {name: np.quantile(values[name], PROBABILITIES) for name in STATISTICS}
        least = np.min([upper_tail(tables[name], values[name]) for name in STATISTICS], axis=0)
        tables["combined"] = np.quantile(-np.log(least), PROBABILITIES)
        for name, table in tables.items():  # four digits: a quantile of 4,000 batches has no more
            quantiles[name].append([float(f"{value:.4g}") for value in table])
    return {"batches": list(sizes), "probabilities": list(PROBABILITIES), "quantiles": quantiles}


def _rounded(value: Any) -> Any:
    """Plain data with seven digits: a file need not carry more."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_rounded(item) for item in value]
    return float(f"{float(value):.7g}") if isinstance(value, float | np.floating) else value
