"""Additive sums of one layer's representations over samples: moments, classes, a fixed subsample."""

from dataclasses import dataclass

import numpy as np

from leaky_zoo.geometry import Moments, MomentSums
from leaky_zoo.geometry.subsample import even_rows

SUBSAMPLE = 1000


@dataclass(frozen=True)
class Subsample:
    """Which samples are kept as they are, for what no moment holds: evenly spaced rows of the whole data.

    Attributes:
        indices: their places in the data, ascending.
    """

    indices: np.ndarray

    @classmethod
    def of(cls, samples: int, size: int = SUBSAMPLE) -> "Subsample":
        """`size` of `samples`, or all.

        >>> Subsample.of(10, 4).indices
        array([0, 3, 6, 9])
        """
        return cls(even_rows(samples, size))

    def within(self, start: int, count: int) -> tuple[slice, np.ndarray]:
        """The part of the subsample in rows `start .. start + count - 1`: its places, and its rows in that batch."""
        first, last = np.searchsorted(self.indices, [start, start + count])
        return slice(first, last), self.indices[first:last] - start


@dataclass(frozen=True)
class ClassSums:
    """Sums by class of the representation of each sample (for a convolution: its mean over positions).

    Attributes:
        counts: samples, shape `(c,)`.
        totals: sum, shape `(c, w)`.
        squares: sum of squared norms, shape `(c,)`.
    """

    counts: np.ndarray
    totals: np.ndarray
    squares: np.ndarray


@dataclass(frozen=True)
class LayerSums:
    """What is kept of one layer.

    Attributes:
        moments: see `Moments`.
        classes: sums by class; None without labels.
        sample: the representations of the subsample, float32, shape `(s, w)`; zero where a shard has not seen it.
    """

    moments: Moments
    classes: ClassSums | None
    sample: np.ndarray


class LayerAccumulator:
    """Adds batches of one layer.

    Args:
        width: `w`.
        features: rows of `s(A)` without the ones.
        ones: whether `s(A)` has the row of ones.
        classes: number of classes; 0 for none.
        sample: array `(s, w)` that the subsample is written into; threads share it.
        with_outer: as `MomentSums`.
        products: as `MomentSums`.
    """

    def __init__(
        self,
        width: int,
        features: int,
        ones: bool,
        classes: int,
        sample: np.ndarray,
        with_outer: bool = True,
        products: str = "float64",
    ) -> None:
        self.sums = MomentSums(width, features, ones, with_outer, products)
        self.sample = sample
        self._counts, self._totals, self._squares = np.zeros(classes), np.zeros((classes, width)), np.zeros(classes)

    def add(
        self,
        columns: np.ndarray,
        activations: np.ndarray | None,
        vectors: np.ndarray,
        labels: np.ndarray | None,
        places: slice,
        rows: np.ndarray,
        repeated: bool = False,
    ) -> None:
        """Add one batch.

        Args:
            columns: `A` as `MomentSums.add` has it.
            activations: `s(A)` likewise.
            vectors: one representation for each sample, shape `(n, w)`.
            labels: integer labels, shape `(n,)`, or None.
            places: places of this batch in the subsample.
            rows: the rows of this batch that go there.
            repeated: as `MomentSums.add`.
        """
        self.sums.add(columns, activations, repeated)
        self.add_vectors(vectors, labels, places, rows)

    def add_vectors(self, vectors: np.ndarray, labels: np.ndarray | None, places: slice, rows: np.ndarray) -> None:
        """Add what is counted by sample, of a layer whose moments are summed elsewhere; arguments as `add`."""
        self.sample[places] = vectors[rows]
        if labels is not None:
            classes = len(self._counts)
            members = np.zeros((len(labels), classes))
            members[np.arange(len(labels)), labels] = 1.0
            self._counts += members.sum(axis=0)
            self._totals += members.T @ vectors
            squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
            self._squares += np.bincount(labels, squares, minlength=classes)

    def result(self, outer: np.ndarray | None = None, moments: Moments | None = None) -> LayerSums:
        """The sums so far.

        Args:
            outer: as `MomentSums.moments`. Default None.
            moments: in the place of its own, where they are summed elsewhere. Default None.
        """
        classes = ClassSums(self._counts, self._totals, self._squares) if self._counts.any() else None
        return LayerSums(self.sums.moments(outer) if moments is None else moments, classes, self.sample)
