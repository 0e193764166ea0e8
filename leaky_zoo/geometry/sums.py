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
            raise ValueError(f"`products` must be 'float64' or 'float32'. Received: products={products!r}")
        self.ones = ones
        self.count, self.squared, self._rectified, self._feature_squared = 0, 0.0, 0.0, 0.0
        self.total, self.feature_total = np.zeros(width), np.zeros(features)
        self._gram, self._cross = np.zeros((features, features)), np.zeros((width, features))
        self._outer = np.zeros((width, width)) if with_outer else None
        self._product = _Product(products)
        middle = features // width // 2 * width  # of a patch
        self._middle = slice(middle, middle + width)
        self._repeated = with_outer  # so far every batch was among its own features

    def add(self, columns: np.ndarray, activations: np.ndarray | None, repeated: bool = False) -> None:
        """Add one batch.

        Args:
            columns: `A`, one row per column of the paper's `A`, C-contiguous, shape `(n, width)`, in the dtype of the
                products.
            activations: `s(A)` without the ones, in the same layout and dtype, shape `(n, features)`; `columns` itself
                where that is what they are (a third of the work); None leaves `S` and `M` out, for a layer that no
                step starts from.
            repeated: whether `columns` are the features, or the middle of each patch, because nothing is negative.
                Default False: only if they are the same array.
        """
        repeated = activations is not None and self._outer is not None and (repeated or activations is columns)
        if self._repeated and not repeated:
            self._repeated = False
            self._cross += self._gram[self._middle]
            if self._outer is not None:
                self._outer += self._gram[self._middle, self._middle]
        squared = _inner(columns, columns)
        if activations is None:
            positive = np.maximum(columns, 0)
            self._rectified += _inner(positive, positive)
        else:
            product = self._product(activations, activations)
            self._gram += product
            self.feature_total += activations.sum(axis=0, dtype=np.float64)
            if repeated and not self._repeated:
                self._cross += product[self._middle]
                self._outer += product[self._middle, self._middle]
            elif not repeated:
                self._cross += self._product(columns, activations)
            if self._outer is not None:
                middle = activations[:, self._middle]
                self._feature_squared += squared if repeated else _inner(middle, middle)
        if not repeated and self._outer is not None:
            self._outer += self._product(columns, columns)
        self.total += columns.sum(axis=0, dtype=np.float64)
        self.squared += squared
        self.count += len(columns)

    def moments(self, outer: np.ndarray | None = None) -> Moments:
        """The sums so far.

        Args:
            outer: `A A^T`, where it was not summed. Default None.

        Raises:
            ValueError: `A A^T` was not summed and is not given.
        """
        if self._repeated:
            return self._of_features(self.total, self.squared)
        outer = self._outer.copy() if outer is None and self._outer is not None else outer
        if outer is None:
            raise ValueError("A A^T was not summed: give `outer`.")
        cross = np.hstack([self._cross, self.total[:, None]]) if self.ones else self._cross.copy()
        gram = self._with_ones()
        # relu(A) is the features, or the middle of each patch: its squares are on the diagonal of S.
        rectified = self._rectified + float(gram.diagonal()[self._middle].sum())
        return Moments(self.count, gram, cross, outer, self.total.copy(), self.squared, rectified)

    def rectified_moments(self) -> Moments:
        """The sums of `relu(A)`, which has the features of `A` and is among them: nothing more has to be summed.

        Example:
        >>> sums, a = MomentSums(2, 2, ones=True), np.array([[1.0, -2.0], [3.0, 4.0]])
        >>> sums.add(a, np.maximum(a, 0))
        >>> sums.rectified_moments().total
        array([4., 4.])
        """
        return self._of_features(self.feature_total[self._middle], self._feature_squared)

    def _of_features(self, total: np.ndarray, squared: float) -> Moments:
        gram, rows = self._with_ones(), self._middle
        return Moments(self.count, gram, gram[rows], gram[rows, rows], total.copy(), squared, squared, rows)

    def _with_ones(self) -> np.ndarray:
        """`S`, with the row of ones."""
        if not self.ones:
            return self._gram.copy()
        corner = np.array([[float(self.count)]])
        return np.block([[self._gram, self.feature_total[:, None]], [self.feature_total[None], corner]])


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
    if left.dtype == np.float64 and left.flags.c_contiguous:
        return float(np.vdot(left, right))
    return float(np.einsum("ij,ij->", left, right, dtype=np.float64))
