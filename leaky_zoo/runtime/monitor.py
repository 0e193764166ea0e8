"""A drift monitor for a deployed file: live batches against the reference that the file carries.

Needs numpy and onnxruntime alone. Memory is O(k^2) for `k` bottleneck directions, however many samples have passed.
"""

import math
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.runtime.drift import BatchMoments, Reference
from leaky_zoo.runtime.metadata import PREFIX
from leaky_zoo.runtime.model import OnnxModel

MAX_BATCH = 1_000_000
MAX_WAITING = 256


@dataclass(frozen=True)
class BatchVerdict:
    """How one batch compares with the reference.

    Attributes:
        batch: its number, from 1.
        samples: in it.
        distance: of its mean from the reference's inside the directions, in standard deviations.
        energy: mean energy outside the directions, as a multiple of the reference's.
        p_value: calibrated: the share of clean batches that look at least as strange.
        p_values: of `shift`, `spread` and `energy` apart (`leaky_zoo.runtime.drift`).
        drift: whether `p_value` is below the monitor's level.
    """

    batch: int
    samples: int
    distance: float
    energy: float
    p_value: float
    p_values: dict[str, float]
    drift: bool

    def line(self) -> str:
        """One line for a log."""
        parts = " ".join(f"p_{name}={value:.3g}" for name, value in self.p_values.items())
        return (
            f"{'DRIFT' if self.drift else 'ok'} batch={self.batch} samples={self.samples} p={self.p_value:.3g} "
            f"distance={self.distance:.3g} energy={self.energy:.3g} {parts}"
        )


class DriftMonitor:
    """Counts samples into batches, and compares each full batch with the file's reference.

    Several threads may use one monitor at once.

    Args:
        model: a file that was exported with `monitor_data`.
        batch: samples of a batch, 1 to 1,000,000. Default 100. Batches beyond the largest calibrated size, 1,024, are
            judged by its quantiles.
        level: a batch whose p-value is below it counts as drift, in (0, 1). Default 0.05.

    Attributes:
        last: verdict on the last full batch; None before the first.

    Raises:
        InvalidInputError: the file carries no reference, or a damaged one; an argument is out of range.

    Example:
    >>> monitor = DriftMonitor(load("digits.onnx"), batch=32)  # doctest: +SKIP
    >>> outputs = monitor.predict(images)  # doctest: +SKIP
    >>> monitor.last.line()  # doctest: +SKIP
    'ok batch=1 samples=32 p=0.61 distance=0.31 energy=1.02 p_shift=0.47 p_spread=0.33 p_energy=0.88'
    """

    def __init__(self, model: OnnxModel, *, batch: int = 100, level: float = 0.05) -> None:
        if isinstance(batch, bool) or not isinstance(batch, int) or not 1 <= batch <= MAX_BATCH:
            raise InvalidInputError(f"`batch` must be a whole number, 1 to {MAX_BATCH:,}. Received: batch={batch!r}")
        if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
            raise InvalidInputError(f"`level` must be in (0, 1). Received: level={level!r}")
        value = model.metadata.get(PREFIX + "reference")
        if value is None:
            raise InvalidInputError("This file carries no reference for monitoring: export it with monitor_data.")
        self._model, self._reference = model, Reference.from_dict(value)
        self._batch, self._level = batch, float(level)
        self._calibration = self._reference.at(batch)
        self._lock = threading.Lock()
        self._open = BatchMoments.none(self._reference.directions)
        # Rows wait here, so that a request of one sample costs a copy and no arithmetic.
        self._waiting = np.empty((min(batch, MAX_WAITING), self._reference.directions + 1), np.float32)
        self._waiting_rows = 0
        self._samples = self._batches = self._alarms = 0
        self.last: BatchVerdict | None = None

    def predict(self, x: Any, batch_size: int = 256) -> np.ndarray:
        """Compute the outputs, as `OnnxModel.predict`, and watch the samples.

        Args:
            x: as `OnnxModel.predict`.
            batch_size: as `OnnxModel.predict`.

        Returns:
            As `OnnxModel.predict`.

        Raises:
            InvalidInputError: as `OnnxModel.predict`; nothing was watched.
        """
        outputs, rows = self._model.predict_with_bottleneck(x, batch_size)
        self.watch(rows)
        return outputs

    def watch(self, rows: np.ndarray) -> list[BatchVerdict]:
        """Watch samples whose coordinates and energy are there already.

        Args:
            rows: shape `(n, k + 1)`, as `OnnxModel.predict_with_bottleneck` gives them.

        Returns:
            Verdicts on the batches that became full, oldest first.

        Raises:
            InvalidInputError: another shape, or values that are not finite.
        """
        rows = np.asarray(rows)
        if rows.ndim != 2 or rows.shape[1] != self._reference.directions + 1 or rows.dtype.kind not in "buif":
            raise InvalidInputError(
                f"`rows` must be numbers of shape (n, {self._reference.directions + 1}). Received: rows.shape="
                f"{rows.shape}, rows.dtype={rows.dtype}"
            )
        if not np.isfinite(rows).all():
            raise InvalidInputError("`rows` must be finite. Received: rows with NaN or infinity")
        verdicts = []
        with self._lock:
            while len(rows):
                full = min(len(self._waiting), self._batch - self._open.count)
                part = rows[: full - self._waiting_rows]
                self._waiting[self._waiting_rows : self._waiting_rows + len(part)] = part
                self._waiting_rows += len(part)
                self._samples += len(part)
                rows = rows[len(part) :]
                if self._waiting_rows == full:
                    self._open = self._open + BatchMoments.of(self._waiting[:full], self._reference.scale.floor)
                    self._waiting_rows = 0
                if self._open.count == self._batch:
                    verdicts.append(self._close())
        return verdicts

    def _close(self) -> BatchVerdict:
        moments, self._open = self._open, BatchMoments.none(self._reference.directions)
        found = self._calibration.p_values(self._reference.statistics(moments))
        p_value = found.pop("p_value")
        self._batches += 1
        self._alarms += p_value < self._level
        self.last = BatchVerdict(
            batch=self._batches,
            samples=moments.count,
            distance=self._reference.distance(moments),
            energy=moments.energy / moments.count / self._reference.usual_energy,
            p_value=p_value,
            p_values=found,
            drift=p_value < self._level,
        )
        return self.last

    def summary(self) -> dict[str, Any]:
        """All batches together.

        Returns:
            `samples` (the open batch included), `batches`, `alarms`, `level`, `p_value` (the chance of at least so many
            alarms were every batch clean, a binomial tail; of a single batch its own) and `drift` (whether that is
            below the level).
        """
        with self._lock:
            samples, batches, alarms, last = self._samples, self._batches, self._alarms, self.last
        # The chance of an alarm in one batch is the level itself: nothing could be below it.
        p_value = last.p_value if last and batches == 1 else binomial_tail(alarms, batches, self._level)
        return {"samples": samples, "batches": batches, "alarms": alarms, "level": self._level, "p_value": p_value,
                "drift": p_value < self._level}  # fmt: skip

    def prometheus_text(self) -> str:
        """The monitor's state in Prometheus's text format, version 0.0.4; gauges are NaN before the first batch.

        Returns:
            Text that ends with a line break; `leaky_zoo_monitor_*`: counters `samples_total`, `batches_total`,
            `drift_batches_total`; gauges `p_value`, `distance`, `energy_ratio` (of the last full batch), `level`.
        """
        with self._lock:
            samples, batches, alarms, last = self._samples, self._batches, self._alarms, self.last
        nan = math.nan
        rows = (
            ("samples_total", "counter", "Samples watched.", samples),
            ("batches_total", "counter", "Full batches compared with the reference.", batches),
            ("drift_batches_total", "counter", "Batches whose p-value was below the level.", alarms),
            ("p_value", "gauge", "Calibrated p-value of the last full batch.", last.p_value if last else nan),
            ("distance", "gauge", "Distance of its mean inside the bottleneck's directions, in standard deviations.",
             last.distance if last else nan),
            ("energy_ratio", "gauge", "Energy outside the directions, as a multiple of the reference's.",
             last.energy if last else nan),
            ("level", "gauge", "P-values below it count as drift.", self._level),
        )  # fmt: skip
        return "".join(
            f"# HELP leaky_zoo_monitor_{name} {words}\n# TYPE leaky_zoo_monitor_{name} {kind}\n"
            f"leaky_zoo_monitor_{name} {'NaN' if value != value else f'{value:.10g}'}\n"
            for name, kind, words, value in rows
        )


def binomial_tail(hits: int, count: int, chance: float) -> float:
    """The chance of at least `hits` in `count` independent trials.

    Example:
    >>> round(binomial_tail(1, 2, 0.5), 9)
    0.75
    """
    if hits <= 0:
        return 1.0
    terms = [
        math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        + k * math.log(chance) + (count - k) * math.log1p(-chance)
        for k in range(hits, count + 1)
    ]  # fmt: skip
    return min(1.0, math.fsum(map(math.exp, terms)))
