"""The path `A_0..A_L` that a probe batch takes through the network, and the lengths a schedule may ask for."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise

import numpy as np

from leaky_zoo.geometry import Identity, cost_of_identity, k_norm_squared, moments


class Path:
    """Representations of one batch along the path, with the geometry a step-size rule needs, computed when asked for.

    The arrays stay in the dtype they come in; what is computed from them is in float64, one layer at a time.

    Args:
        representations: `A_0..A_L` as matrices with one row per column of the paper's `A`, each of shape `(n, w)`.
        features: `s(A_0)..s(A_{L-1})`, the matrices that the steps' weights multiply, each of shape `(n, f)`.
        effective_depth: `Lt` of the network.
        weighted: `weighted(row, a)` is `W s(a)` of step `row + 1`, for `a` in the layout of the representations; needed
            by `half_step_errors` alone. Default None.

    Example:
    >>> import numpy as np
    >>> a = [np.eye(2), 2 * np.eye(2), 2 * np.eye(2)]
    >>> Path(a, [np.maximum(x, 0) for x in a[:-1]], effective_depth=1.0).distances()
    array([1.41421356, 0.        ])
    """

    def __init__(
        self,
        representations: Sequence[np.ndarray],
        features: Sequence[np.ndarray],
        effective_depth: float,
        weighted: Callable[[int, np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self.representations = [np.asarray(a) for a in representations]
        self.features = [np.asarray(s) for s in features]
        self.effective_depth = float(effective_depth)
        self._weighted = weighted
        self._identity = cache(self._solve_identity)

    def distances(self) -> np.ndarray:
        """`||A_l - A_{l-1}||_F` for `l = 1..L`."""
        return np.array([np.linalg.norm(after - before) for before, after in self._steps()])

    def norms(self) -> np.ndarray:
        """`||A_l||_F` for `l = 1..L`."""
        return np.array([np.linalg.norm(_exact(a)) for a in self.representations[1:]])

    def k_distances(self, gamma_0: float) -> np.ndarray:
        """`||A_l - A_{l-1}||_K` for `l = 1..L`, with `K` and gamma of the step's input."""
        lengths = []
        for row, (before, after) in enumerate(self._steps()):
            squared = k_norm_squared(after - before, _exact(self.features[row]), self.identity(row, gamma_0))
            lengths.append(np.sqrt(squared))
        return np.array(lengths)

    def costs_of_identity(self, gamma_0: float) -> np.ndarray:
        """`COI_l = ||A_{l-1}||_K^2` for `l = 1..L`."""
        return np.array([self.identity(row, gamma_0).cost for row in range(len(self.features))])

    def half_step_errors(self, step_sizes: np.ndarray) -> np.ndarray:
        """`||A_l - A'_l||_F`, `A'_l` reached from `A_{l-1}` by two half steps with the same weights.

        Raises:
            ValueError: the path was made without `weighted`.
        """
        if self._weighted is None:
            raise ValueError("Half steps need the weights: give `weighted`.")
        errors = []
        for row, before in enumerate(map(_exact, self.representations[:-1])):
            # Both ways in float64: the network's own step may have been taken in 16 bits.
            move = step_sizes[row] * (self._weighted(row, before) - self.effective_depth * before)
            half = before + move / 2
            second = step_sizes[row] / 2 * (self._weighted(row, half) - self.effective_depth * half)
            errors.append(np.linalg.norm(half + second - (before + move)))
        return np.array(errors)

    def identity(self, row: int, gamma_0: float) -> Identity:
        """Least-squares identity at the input of step `row + 1`."""
        return self._identity(row, gamma_0)

    def _solve_identity(self, row: int, gamma_0: float) -> Identity:
        return cost_of_identity(moments(_exact(self.representations[row]), _exact(self.features[row])), gamma_0)

    def _steps(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return pairwise(map(_exact, self.representations))


def _exact(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, dtype=np.float64)
