"""The path `A_0..A_L` that a probe batch takes through the network, and the lengths a schedule may ask for."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Self

import numpy as np

from leaky_zoo.geometry.euler import velocity
from leaky_zoo.geometry.identity import Identity, cost_of_identity, k_norms_squared
from leaky_zoo.geometry.moments import moments

Walk = Callable[[], Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]]


class ProbePath:
    """Representations of one batch along the path, with the geometry a step-size rule needs, computed when asked for.

    The arrays stay in the dtype they come in; what is computed from them is in float64, one layer at a time.

    Args:
        representations: `A_0..A_L` as matrices with one row per column of the paper's `A`, each of shape `(n, w)`.
        features: `s(A_0)..s(A_{L-1})`, the matrices that the steps' weights multiply, each of shape `(n, f)`.
        effective_depth: `L~` of the network.
        weighted: `weighted(index, a)` is `W s(a)` of step `index + 1`, for `a` in the layout of the representations;
            needed by `half_step_errors` alone. Default None.

    Example:
    >>> import numpy as np
    >>> a = [np.eye(2), 2 * np.eye(2), 2 * np.eye(2)]
    >>> ProbePath(a, [np.maximum(x, 0) for x in a[:-1]], effective_depth=1.0).distances()
    array([1.41421356, 0.        ])
    """

    def __init__(
        self,
        representations: Sequence[np.ndarray],
        features: Sequence[np.ndarray],
        effective_depth: float,
        weighted: Callable[[int, np.ndarray], np.ndarray] | None = None,
    ) -> None:
        steps = list(zip(representations[:-1], features, representations[1:], strict=True))
        self._set(lambda: iter(steps), effective_depth, weighted)

    @classmethod
    def walked(
        cls, walk: Walk, effective_depth: float, weighted: Callable[[int, np.ndarray], np.ndarray] | None = None
    ) -> Self:
        """A path that is stepped anew whenever a length is asked for, so that two layers of it are in memory.

        Args:
            walk: gives an iterator of `(A_{l-1}, s(A_{l-1}), A_l)` for `l = 1..L`.
            effective_depth: `L~` of the network.
            weighted: see `ProbePath`. Default None.

        Returns:
            The `ProbePath`.
        """
        path = cls.__new__(cls)
        path._set(walk, effective_depth, weighted)
        return path

    def _set(self, walk: Walk, effective_depth: float, weighted: Callable | None) -> None:
        self._walk, self.effective_depth, self._weighted = walk, float(effective_depth), weighted
        # A rule that asks for both of a pair walks the path once.
        self._lengths = cache(self._measure_lengths)
        self._k_lengths = cache(self._measure_k_lengths)

    @property
    def representations(self) -> list[np.ndarray]:
        """`A_0..A_L`, each of shape `(n, w)`: all of the path in memory."""
        steps = [(before, after) for before, _, after in self._walk()]
        return [np.asarray(a) for a in (steps[0][0], *(after for _, after in steps))]

    def distances(self) -> np.ndarray:
        """`||A_l - A_{l-1}||_F` for `l = 1..L`."""
        return self._lengths()[0]

    def norms(self) -> np.ndarray:
        """`||A_l||_F` for `l = 1..L`."""
        return self._lengths()[1]

    def k_distances(self, gamma_0: float) -> np.ndarray:
        """`||A_l - A_{l-1}||_K` for `l = 1..L`, with `K` and gamma of the step's input."""
        return self._k_lengths(gamma_0)[0]

    def costs_of_identity(self, gamma_0: float) -> np.ndarray:
        """`COI_l = ||A_{l-1}||_K^2` for `l = 1..L`."""
        return self._k_lengths(gamma_0)[1]

    def half_step_errors(self, step_sizes: np.ndarray) -> np.ndarray:
        """`||A_l - A'_l||_F`, `A'_l` reached from `A_{l-1}` by two half steps with the same weights.

        Raises:
            ValueError: the path was made without `weighted`.
        """
        if self._weighted is None:
            raise ValueError("Half steps need the weights: give `weighted`.")
        errors = []
        for layer, (before, _, _) in enumerate(self._walk()):
            # Both ways in float64: the network's own step may have been taken in 16 bits.
            exact = _exact(before)
            move = step_sizes[layer] * self._velocity(layer, exact)
            half = exact + move / 2
            second = step_sizes[layer] / 2 * self._velocity(layer, half)
            errors.append(np.linalg.norm(half + second - (exact + move)))
        return np.array(errors)

    def _velocity(self, layer: int, at: np.ndarray) -> np.ndarray:
        assert self._weighted is not None
        return velocity(at, self._weighted(layer, at), self.effective_depth)

    def identities(self, gamma_0: float) -> Iterator[Identity]:
        """Least-squares identity at the input of each step, in turn."""
        for before, features, _ in self._walk():
            yield cost_of_identity(moments(before, features), gamma_0)

    def _measure_lengths(self) -> tuple[np.ndarray, np.ndarray]:
        exact = ((_exact(before), _exact(after)) for before, _, after in self._walk())
        found = [(np.linalg.norm(after - before), np.linalg.norm(after)) for before, after in exact]
        distances, norms = np.array(found).T
        return distances, norms

    def _measure_k_lengths(self, gamma_0: float) -> tuple[np.ndarray, np.ndarray]:
        found = []
        for before, features, after in self._walk():
            exact = _exact(before)
            found.append(k_norms_squared([_exact(after) - exact, exact], features, gamma_0))
        squares, costs = np.array(found).T
        return np.sqrt(squares), costs


def _exact(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, dtype=np.float64)
