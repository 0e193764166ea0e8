"""Accumulates the moments of one layer over batches, with the least work.

`S` is symmetric: numpy sees that `X^T X` is, and computes one triangle of it. The row of ones is kept out of the
products, because its entries are sums. Where a layer follows from the one before, its `A A^T` follows too
(`leaky_zoo.geometry.next_moments`) and is never summed over samples. Products are numpy's and not scipy's BLAS,
which holds Python's lock: threads would wait for each other.
"""

import numpy as np

from leaky_zoo.geometry.moments import Moments

PRODUCTS = ("float64", "float32")


class MomentSums:
    """Running float64 sums of one layer.

    Args:
        width: `w`, rows of `A`.
        features: rows of `s(A)` without the row of ones: `w`, or `k^2 w` of patches, `k` odd.
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
        self.ones = ones
        self.count, self.squared, self._rectified = 0, 0.0, 0.0
        self.total, self.feature_total = np.zeros(width), np.zeros(features)
        self._gram, self._cross = np.zeros((features, features)), np.zeros((width, features))
        self._outer = np.zeros((width, width)) if with_outer else None
        self._product = _Product(products)

    def add(self, columns: np.ndarray, activations: np.ndarray | None) -> None:
        """Add one batch.

        Args:
            columns: `A`, one row per column of the paper's `A`, C-contiguous, shape `(n, width)`, in the dtype of the
                products.
            activations: `s(A)` without the ones, in the same layout and dtype, shape `(n, features)`; `columns` itself
                where that is what they are (a third of the work); None leaves `S` and `M` out, for a layer that no
                step starts from.
        """
        if activations is columns and self._outer is not None:
            product = self._product(columns, columns)  # of what is never negative: all three are one
            for total in (self._gram, self._cross, self._outer):
                total += product
            self.feature_total += columns.sum(axis=0, dtype=np.float64)
        elif activations is not None:
            self._gram += self._product(activations, activations)
            self._cross += self._product(columns, activations)
            self.feature_total += activations.sum(axis=0, dtype=np.float64)
        else:
            positive = np.maximum(columns, 0)
            self._rectified += _inner(positive, positive)
        if self._outer is not None and activations is not columns:
            self._outer += self._product(columns, columns)
        self.total += columns.sum(axis=0, dtype=np.float64)
        self.squared += _inner(columns, columns)
        self.count += len(columns)

    def moments(self, outer: np.ndarray | None = None) -> Moments:
        """The sums so far.

        Args:
            outer: `A A^T`, where it was not summed. Default None.

        Raises:
            ValueError: `A A^T` was not summed and is not given.
        """
        outer = self._outer.copy() if outer is None and self._outer is not None else outer
        if outer is None:
            raise ValueError("A A^T was not summed: give `outer`.")
        gram, cross = self._gram.copy(), self._cross.copy()
        # relu(A) is the features, or the middle of each patch: its squares are on the diagonal of S.
        width, features = cross.shape
        middle = features // width // 2 * width
        rectified = self._rectified + float(gram.diagonal()[middle : middle + width].sum())
        if self.ones:
            corner = np.array([[float(self.count)]])
            gram = np.block([[gram, self.feature_total[:, None]], [self.feature_total[None], corner]])
            cross = np.hstack([cross, self.total[:, None]])
        return Moments(self.count, gram, cross, outer, self.total.copy(), self.squared, rectified)


class MomentumSums:
    """Running float64 sums that pair gradients with the input of their step; as `MomentSums`.

    Args:
        width: rows of the gradient.
        features: rows of `s(A)` without the row of ones.
        ones: whether `s(A)` has the row of ones.
        products: as `MomentSums`. Default "float64".
    """

    def __init__(self, width: int, features: int, ones: bool, products: str = "float64") -> None:
        self.ones = ones
        self.trace, self.squared = 0.0, 0.0
        self.total, self._features = np.zeros(width), np.zeros((width, features))
        self._product = _Product(products)

    def add(self, gradient: np.ndarray, columns: np.ndarray, activations: np.ndarray) -> None:
        """Add one batch: the gradient by `A_l`; `A_{l-1}` and `s(A_{l-1})` as `MomentSums.add` has them."""
        self._features += self._product(gradient, activations)
        self.total += gradient.sum(axis=0, dtype=np.float64)
        self.trace += _inner(gradient, columns)
        self.squared += _inner(gradient, gradient)

    def features(self) -> np.ndarray:
        """`P s(A)^T`, with the column of the ones last if there is one."""
        return np.hstack([self._features, self.total[:, None]]) if self.ones else self._features.copy()


class _Product:
    """`X^T Y` of one batch, in memory that is used again."""

    def __init__(self, dtype: str) -> None:
        self._dtype = np.dtype(dtype)
        self._held: dict[tuple[int, int], np.ndarray] = {}

    def __call__(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        shape = (left.shape[1], right.shape[1])
        if shape not in self._held:
            self._held[shape] = np.empty(shape, self._dtype)
        return np.matmul(left.T, right, out=self._held[shape])


def _inner(left: np.ndarray, right: np.ndarray) -> float:
    """`sum left * right`, summed in float64."""
    if left.dtype == np.float64:
        return float(np.vdot(left, right))
    return float(np.einsum("ij,ij->", left, right, dtype=np.float64))
