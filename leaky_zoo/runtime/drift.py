"""Is a batch like the reference? Its bottleneck coordinates against the reference's, from moments alone.

A monitored file gives, for each sample, its `k` coordinates along the bottleneck's directions and the energy outside
them, `||(A - mean) - U U^T (A - mean)||^2`. A batch is kept as its moments, so memory is O(k^2) for any number of
samples. Three statistics, on whitened coordinates `u` and the standardised logarithm `e` of the energy:

* `shift`: `n |mean u|^2`, the distance of the batch's mean inside the directions;
* `spread`: `n ||mean u u^T - I||_F^2`, how differently the batch is spread there;
* `energy`: `n (mean e)^2`, how much more or less of it lies outside the directions.

Each is turned into a p-value by its quantiles over batches of the same size resampled from data that the moments have
not seen, and so is the least of the three. Needs numpy only. This project.
"""

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import one_line, shown

STATISTICS = ("shift", "spread", "energy")
PROBABILITIES = (
    0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 0.998,
)  # fmt: skip
TAIL_FROM = 0.95  # beyond the last quantile p-values fall exponentially, at the rate between these two
LEAST = 1e-300  # p-value
MAX_DIRECTIONS = 256


@dataclass(frozen=True)
class BatchMoments:
    """Sums over samples; adding two gives the sums over both.

    Attributes:
        count: samples.
        coordinates: sum of the coordinates, shape `(k,)`.
        products: sum of their products, shape `(k, k)`.
        log_energy: sum of the logarithms of the energy outside.
        energy: sum of the energy outside.

    Example:
    >>> two = BatchMoments.of(np.array([[1.0, 0.0, 4.0], [3.0, 0.0, 4.0]]), floor=0.0)
    >>> two.count, two.coordinates.tolist(), two.energy
    (2, [4.0, 0.0], 8.0)
    """

    count: int
    coordinates: np.ndarray
    products: np.ndarray
    log_energy: float
    energy: float

    @classmethod
    def of(cls, rows: np.ndarray, floor: float) -> "BatchMoments":
        """Sums over rows of `k` coordinates and the energy outside; `floor` is added to it before the logarithm."""
        z, energy = rows[:, :-1].astype(np.float64), np.maximum(rows[:, -1].astype(np.float64), 0)
        return cls(len(rows), z.sum(0), z.T @ z, float(np.log(energy + floor).sum()), float(energy.sum()))

    @classmethod
    def none(cls, directions: int) -> "BatchMoments":
        """Sums over no samples."""
        return cls(0, np.zeros(directions), np.zeros((directions, directions)), 0.0, 0.0)

    def __add__(self, other: "BatchMoments") -> "BatchMoments":
        return BatchMoments(
            self.count + other.count,
            self.coordinates + other.coordinates,
            self.products + other.products,
            self.log_energy + other.log_energy,
            self.energy + other.energy,
        )


@dataclass(frozen=True)
class Scale:
    """In what units a batch differs from the reference.

    Attributes:
        mean: of the coordinates, shape `(k,)`.
        whitening: inverse of the Cholesky factor of their covariance, shape `(k, k)`.
        log_mean: mean of the logarithm of the energy outside.
        log_deviation: its standard deviation.
        floor: added to the energy before its logarithm.
    """

    mean: np.ndarray
    whitening: np.ndarray
    log_mean: float
    log_deviation: float
    floor: float

    def statistics(self, count: int, sums: np.ndarray, products: np.ndarray, log_energy: Any) -> dict[str, Any]:
        """The three statistics of a batch of `count` samples, or of several whose sums are stacked before it."""
        w, mean = self.whitening, sums / count
        moved = mean - self.mean
        spread = products / count - mean[..., :, None] * mean[..., None, :] + moved[..., :, None] * moved[..., None, :]
        white, shifted = w @ spread @ w.T, moved @ w.T
        different = white - np.eye(len(w))
        return {
            "shift": count * (shifted * shifted).sum(-1),
            "spread": count * (different * different).sum((-2, -1)),
            "energy": count * ((log_energy / count - self.log_mean) / self.log_deviation) ** 2,
        }


@dataclass(frozen=True)
class Reference:
    """What batches are compared with: `leaky_zoo.reference` of a file, checked.

    Attributes:
        output: the graph output that gives coordinates and energy, shape `(batch, k + 1)`.
        directions: `k`.
        scale: mean and covariance of the coordinates, and moments of the logarithm of the energy outside.
        usual_energy: mean energy outside, above 0.
        sizes: calibrated batch sizes, ascending.
        quantiles: `{statistic: (sizes, probabilities)}`, and of the combined one.
    """

    output: str
    directions: int
    scale: Scale
    usual_energy: float
    sizes: np.ndarray
    quantiles: Mapping[str, np.ndarray]

    @classmethod
    def from_dict(cls, value: Any) -> "Reference":
        """Read `leaky_zoo.reference`, parsed.

        Raises:
            InvalidInputError: it is not what the exporter writes.
        """
        try:
            return _read(value)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError, np.linalg.LinAlgError) as error:
            raise InvalidInputError(f"The file's leaky_zoo.reference is damaged: {one_line(error)}.") from error

    def statistics(self, moments: BatchMoments) -> dict[str, float]:
        """`shift`, `spread` and `energy` of a batch of at least one sample."""
        found = self.scale.statistics(moments.count, moments.coordinates, moments.products, moments.log_energy)
        return {name: float(value) for name, value in found.items()}

    def distance(self, moments: BatchMoments) -> float:
        """Distance of a batch's mean from the reference's inside the directions, in its standard deviations."""
        centred = moments.coordinates / moments.count - self.scale.mean
        return float(np.linalg.norm(self.scale.whitening @ centred))

    def p_values(self, moments: BatchMoments) -> dict[str, float]:
        """Calibrated p-values of a batch: each statistic's, and `p_value`, of the least of them."""
        return self.at(moments.count).p_values(self.statistics(moments))

    def at(self, count: int) -> "Calibration":
        """The calibration for batches of so many samples; between two sizes, quantiles are interpolated in log size."""
        row = float(np.interp(np.log(count), np.log(self.sizes), np.arange(len(self.sizes))))
        below, part = int(row), row - int(row)
        above = min(below + 1, len(self.sizes) - 1)
        tables = {name: (1 - part) * table[below] + part * table[above] for name, table in self.quantiles.items()}
        return Calibration({name: (table.tolist(), tail_scale(table)) for name, table in tables.items()})


@dataclass(frozen=True)
class Calibration:
    """Quantiles for one batch size.

    Attributes:
        tables: `{statistic: (quantiles at PROBABILITIES, scale of the tail)}`, and of the combined one.
    """

    tables: Mapping[str, tuple[list[float], float]]

    def p_values(self, statistics: Mapping[str, float]) -> dict[str, float]:
        """P-values of the statistics of a batch, and `p_value`, of the least of them."""
        separate = {name: self._tail(name, statistics[name]) for name in STATISTICS}
        return {**separate, "p_value": self._tail("combined", -math.log(min(separate.values())))}

    def _tail(self, name: str, value: float) -> float:
        """`upper_tail` for one number, without numpy's overhead."""
        quantiles, scale = self.tables[name]
        if value > quantiles[-1]:
            return max((1 - PROBABILITIES[-1]) * math.exp(-min((value - quantiles[-1]) / scale, 690.0)), LEAST)
        place = bisect.bisect_left(quantiles, value)
        if place == 0:
            return 1.0
        low, high = quantiles[place - 1], quantiles[place]
        part = (value - low) / (high - low)
        return 1 - (PROBABILITIES[place - 1] + part * (PROBABILITIES[place] - PROBABILITIES[place - 1]))


def tail_scale(quantiles: np.ndarray) -> float:
    """How fast p-values fall beyond the last quantile: the exponential through the last and the one at `TAIL_FROM`."""
    start, last = float(quantiles[PROBABILITIES.index(TAIL_FROM)]), float(quantiles[-1])
    return max((last - start) / math.log((1 - TAIL_FROM) / (1 - PROBABILITIES[-1])), 1e-12 * abs(last), 1e-300)


def upper_tail(quantiles: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Probability of at least `values`, from the quantiles at `PROBABILITIES`; exponential beyond the last.

    Args:
        quantiles: ascending, one for each of `PROBABILITIES`.
        values: any shape.

    Returns:
        In (0, 1], never below 1e-300.

    Example:
    >>> upper_tail(np.array(PROBABILITIES), np.array([0.5])).tolist()
    [0.5]
    """
    values, marks = np.asarray(values, dtype=np.float64), np.array(PROBABILITIES)
    above = np.clip(np.searchsorted(quantiles, values), 1, len(quantiles) - 1)  # of equal quantiles the first
    low, high = quantiles[above - 1], quantiles[above]
    part = np.clip(np.divide(values - low, high - low, out=np.zeros_like(values), where=high > low), 0, 1)
    inside = 1 - (marks[above - 1] + part * (marks[above] - marks[above - 1]))
    with np.errstate(over="ignore"):
        steps = np.minimum((values - quantiles[-1]) / tail_scale(quantiles), 690.0)
        beyond = (1 - PROBABILITIES[-1]) * np.exp(-steps)
    return np.maximum(np.where(values > quantiles[-1], beyond, inside), LEAST)


def _read(value: Any) -> Reference:
    directions = value["directions"]
    if type(directions) is not int or not 1 <= directions <= MAX_DIRECTIONS:
        raise ValueError(f"directions must be 1 to {MAX_DIRECTIONS}, received {shown(directions)}")
    if not isinstance(value["output"], str):
        raise ValueError(f"output must be a name, received {shown(value['output'])}")
    calibration, energy = value["calibration"], value["energy"]
    if list(calibration["probabilities"]) != list(PROBABILITIES):
        raise ValueError("its quantiles are at other probabilities than this version's")
    sizes = _numbers(calibration["batches"], (len(calibration["batches"]),))
    if not len(sizes) or sizes[0] < 1 or (np.diff(sizes) <= 0).any():
        raise ValueError(f"batches must be ascending sizes, received {shown(calibration['batches'])}")
    quantiles = {
        name: _numbers(calibration["quantiles"][name], (len(sizes), len(PROBABILITIES)))
        for name in (*STATISTICS, "combined")
    }
    if any((np.diff(table, axis=1) < 0).any() for table in quantiles.values()):
        raise ValueError("quantiles must not descend")
    numbers = _numbers([energy["log_mean"], energy["log_deviation"], energy["floor"], energy["mean"]], (4,))
    if numbers[1] <= 0 or min(numbers[2:]) < 0:
        raise ValueError("log_deviation must be above 0, floor and mean at least 0")
    covariance = _numbers(value["covariance"], (directions, directions))
    return Reference(
        output=value["output"],
        directions=directions,
        scale=Scale(
            _numbers(value["mean"], (directions,)), np.linalg.inv(np.linalg.cholesky(covariance)), *numbers[:3].tolist()
        ),
        usual_energy=max(*numbers[2:].tolist(), 1e-300),
        sizes=sizes,
        quantiles=quantiles,
    )


def _numbers(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all() or np.abs(array).max(initial=0) > 1e100:
        raise ValueError(f"finite numbers of shape {shape} are expected, received shape {array.shape}")
    return array
