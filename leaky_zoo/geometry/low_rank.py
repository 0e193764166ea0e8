"""Eigenvalues of a second moment of fewer samples than its width: it has no more directions than samples."""

import numpy as np

SPARE = 8  # directions beyond the rank, for a random start that misses none


def eigen(symmetric: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (ascending) and eigenvectors of a positive semi-definite matrix of at most this rank.

    Where the rank is under half of the width, the range of the matrix is found from its product with `rank + 8` random
    vectors (of a fixed seed), which misses nothing but rounding (Halko, Martinsson and Tropp 2011), and the matrix is
    decomposed there: `w^2 rank` work for `w^3`. The eigenvalues that are zero are left out then.

    Args:
        symmetric: shape `(w, w)`.
        rank: an upper bound, at least 1: samples, for a sum over them.

    Returns:
        Values, shape `(k,)`, and vectors, shape `(w, k)`, `k` at most `w`; to a few roundings of the largest value.

    Example:
    >>> a = np.random.default_rng(0).normal(size=(3, 40))
    >>> values, vectors = eigen(a.T @ a, 3)
    >>> values.shape, bool(np.allclose(vectors * values @ vectors.T, a.T @ a))
    ((11,), True)
    """
    width = len(symmetric)
    if 2 * (rank + SPARE) >= width:
        return np.linalg.eigh(symmetric)
    start = np.random.default_rng(0).standard_normal((width, rank + SPARE))
    basis, _ = np.linalg.qr(symmetric @ start)
    inside = basis.T @ symmetric @ basis
    values, vectors = np.linalg.eigh((inside + inside.T) / 2)
    return values, basis @ vectors


def eigenvalues(symmetric: np.ndarray, rank: int) -> np.ndarray:
    """The eigenvalues alone, as `eigen`, all `w` of them: those that are zero because of the rank are exactly zero.

    Example:
    >>> a = np.random.default_rng(0).normal(size=(3, 40))
    >>> int(np.count_nonzero(eigenvalues(a.T @ a, 3)))
    3
    """
    width = len(symmetric)
    if 2 * (rank + SPARE) >= width:
        return np.linalg.eigvalsh(symmetric)
    return np.concatenate([np.zeros(width - rank), eigen(symmetric, rank)[0][-rank:]])
