"""Accumulates the moments of one layer over batches, in place, by the BLAS calls that do the least work.

`S` is symmetric, so `syrk` computes one triangle of it; the row of ones is kept out of the products, because its
entries are sums; and where a layer follows from the one before, its `A A^T` follows too (`leaky_zoo.geometry.step`)
and is never summed over samples.
"""

from typing import Any

import numpy as np
from scipy.linalg import blas

from leaky_zoo.geometry.moments import Moments

PRODUCTS = ("float64", "float32")


class MomentSums:
    """Running float64 sums of one layer.

    Args:
        width: `w`, rows of `A`.
        features: rows of `s(A)` without the row of ones.
        ones: whether `s(A)` has the row of ones.
        with_outer: whether to sum `A A^T` too. Default True.
        products: "float64", or "float32": the products of one batch in float32, their sum over batches in float64.
            Default "float64".

    Raises:
        ValueError: another name for `products`.

    Example:
    >>> sums = MomentSums(2, 2, ones=True)
    >>> a = np.array([[1.0, -2.0], [3.0, 4.0]])
    >>> sums.add(a, np.maximum(a, 0))
    >>> sums.moments().gram[0], sums.moments().cross[1, 2]
    (array([10., 12.,  4.]), np.float64(2.0))
    """

    def __init__(
        self, width: int, features: int, ones: bool, with_outer: bool = True, products: str = "float64"
    ) -> None:
        if products not in PRODUCTS:
            raise ValueError(f"`products` is 'float64' or 'float32'. Received: products={products!r}")
        self.ones, self.products = ones, products
        self.count, self.squared = 0, 0.0
        self.total, self.feature_total = np.zeros(width), np.zeros(features)
        # Fortran order: BLAS then adds into these arrays and makes no copy.
        self._gram = np.zeros((features, features), order="F")
        self._cross = np.zeros((width, features), order="F")
        self._outer = np.zeros((width, width), order="F") if with_outer else None

    def add(self, columns: np.ndarray, activations: np.ndarray) -> None:
        """Add one batch.

        Args:
            columns: `A`, one row per column of the paper's `A`, C-contiguous, shape `(n, width)`; float64, or float32
                where the products are.
            activations: `s(A)` without the ones, in the same layout and dtype, shape `(n, features)`.
        """
        if self.products == "float64":
            _add_syrk(self._gram, activations)
            _add_gemm(self._cross, columns, activations)
            if self._outer is not None:
                _add_syrk(self._outer, columns)
            self.total += columns.sum(axis=0)
            self.feature_total += activations.sum(axis=0)
            self.squared += float(np.vdot(columns, columns))
        else:
            self._gram += blas.ssyrk(1.0, activations.T)
            self._cross += blas.sgemm(1.0, columns.T, activations.T, trans_b=1)
            if self._outer is not None:
                self._outer += blas.ssyrk(1.0, columns.T)
            self.total += columns.sum(axis=0, dtype=np.float64)
            self.feature_total += activations.sum(axis=0, dtype=np.float64)
            self.squared += float(np.einsum("ij,ij->", columns, columns, dtype=np.float64))
        self.count += len(columns)

    def moments(self, outer: np.ndarray | None = None) -> Moments:
        """The sums so far.

        Args:
            outer: `A A^T`, where it was not summed. Default None.

        Raises:
            ValueError: `A A^T` was not summed and is not given.
        """
        outer = _symmetric(self._outer) if outer is None and self._outer is not None else outer
        if outer is None:
            raise ValueError("A A^T was not summed: give `outer`.")
        gram, cross = _symmetric(self._gram), np.ascontiguousarray(self._cross)
        if self.ones:
            corner = np.array([[float(self.count)]])
            gram = np.block([[gram, self.feature_total[:, None]], [self.feature_total[None], corner]])
            cross = np.hstack([cross, self.total[:, None]])
        return Moments(self.count, gram, cross, outer, self.total.copy(), self.squared)


class MomentumSums:
    """Running float64 sums that pair gradients with the input of their step; as `MomentSums`.

    Args:
        width: rows of the gradient.
        features: rows of `s(A)` without the row of ones.
        ones: whether `s(A)` has the row of ones.
        products: as `MomentSums`. Default "float64".
    """

    def __init__(self, width: int, features: int, ones: bool, products: str = "float64") -> None:
        self.ones, self.products = ones, products
        self.trace, self.squared = 0.0, 0.0
        self.total = np.zeros(width)
        self._features = np.zeros((width, features), order="F")

    def add(self, gradient: np.ndarray, columns: np.ndarray, activations: np.ndarray) -> None:
        """Add one batch: the gradient by `A_l`; `A_{l-1}` and `s(A_{l-1})` as `MomentSums.add` has them."""
        exact: Any = np.float64
        if self.products == "float64":
            _add_gemm(self._features, gradient, activations)
        else:
            self._features += blas.sgemm(1.0, gradient.T, activations.T, trans_b=1)
        self.total += gradient.sum(axis=0, dtype=exact)
        self.trace += float(np.einsum("ij,ij->", gradient, columns, dtype=exact))
        self.squared += float(np.einsum("ij,ij->", gradient, gradient, dtype=exact))

    def features(self) -> np.ndarray:
        """`P s(A)^T`, with the column of the ones last if there is one."""
        kept = np.ascontiguousarray(self._features)
        return np.hstack([kept, self.total[:, None]]) if self.ones else kept


def _add_syrk(triangle: np.ndarray, rows: np.ndarray) -> None:
    """Add `rows^T rows` to the upper triangle of a Fortran-ordered matrix, in place."""
    blas.dsyrk(1.0, rows.T, beta=1.0, c=triangle, overwrite_c=1)


def _add_gemm(matrix: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Add `left^T right` to a Fortran-ordered matrix, in place."""
    blas.dgemm(1.0, left.T, right.T, trans_b=1, beta=1.0, c=matrix, overwrite_c=1)


def _symmetric(triangle: np.ndarray) -> np.ndarray:
    upper = np.triu(triangle)
    return upper + np.triu(upper, 1).T
