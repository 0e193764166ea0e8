"""Spectra of representations and weights, and the soft ranks that summarise them."""

import numpy as np

from leaky_zoo.geometry.low_rank import eigenvalues

LEAST_GAP = 2.0


def singular_values(second_moment: np.ndarray, samples: int | None = None) -> np.ndarray:
    """Singular values of `A`, descending, from `A A^T` of shape `(w, w)`.

    Squaring halves the digits: values under about 1e-8 of the largest are rounding. Where the number of `samples`
    (columns of `A`) is given and under half of the width, the values beyond it are zero.

    >>> import numpy as np
    >>> singular_values(np.diag([4.0, 9.0]))
    array([3., 2.])
    """
    values = np.linalg.eigvalsh(second_moment) if samples is None else eigenvalues(second_moment, samples)
    return np.sqrt(np.maximum(values[::-1], 0.0))


DEAD = 1e-6


def live_units(lengths: np.ndarray) -> int:
    """How many rows are not zero to rounding, at least 1: longer than 1e-6 of the longest.

    >>> import numpy as np
    >>> live_units(np.array([2.0, 1.0, 0.0, 1e-9]))
    2
    """
    return max(1, int((lengths > DEAD * np.max(lengths, initial=0.0)).sum()))


def largest_gap(spectrum: np.ndarray, units: int | None = None) -> tuple[int | None, float | None]:
    """How many singular values stand out: the place of the largest ratio of neighbours in the upper half.

    Args:
        spectrum: singular values, descending, shape `(w,)`.
        units: of how many the half is taken; the zeros of units that are dead are not a gap behind directions. Default
            None: `w`.

    Returns:
        How many come before the gap (None where the ratio is under 2), and the ratio; (None, None) for fewer than two
        values, or if all are zero. This project.

    >>> largest_gap(np.array([3.0, 2.0, 0.1, 0.08, 0.05]))
    (2, 20.0)
    >>> largest_gap(np.array([3.0, 2.0, 0.1, 0.08, 0.05, 0.0, 0.0, 0.0]), units=5)
    (2, 20.0)
    """
    upper = spectrum[: max(2, (units or len(spectrum)) // 2 + 1)]
    if len(upper) < 2 or upper[0] == 0:
        return None, None
    ratios = upper[:-1] / np.maximum(upper[1:], 1e-12 * upper[0])
    index = int(np.argmax(ratios))
    return index + 1 if ratios[index] >= LEAST_GAP else None, float(ratios[index])


def stable_rank(values: np.ndarray) -> float | None:
    """`||A||_F^2 / ||A||_op^2` from the singular values, in [1, w]; None when all are zero.

    >>> stable_rank(np.array([2.0, 2.0, 0.0]))
    2.0
    """
    largest = float(np.max(values, initial=0.0))
    return float(np.sum((values / largest) ** 2)) if largest > 0 else None


def participation_ratio(covariance: np.ndarray) -> float | None:
    """`(sum e)^2 / sum e^2` over the eigenvalues `e` of a covariance, in [1, w]; None when all are zero.

    >>> round(participation_ratio(np.eye(3)), 6)
    3.0
    """
    trace = float(np.trace(covariance))
    squares = float(np.vdot(covariance, covariance))
    return trace**2 / squares if squares > 0 else None


def nuclear_norm_rank(values: np.ndarray) -> float | None:
    """`||A||_*^2 / ||A||_F^2` from the singular values, in [1, rank A]; None when all are zero.

    >>> round(nuclear_norm_rank(np.array([2.0, 2.0, 0.0])), 6)
    2.0
    """
    squared = float(np.sum(values**2))
    return float(np.sum(values)) ** 2 / squared if squared > 0 else None


def linear_cka(cross: np.ndarray, first: np.ndarray, second: np.ndarray) -> float | None:
    """Linear CKA of two representations from centred second moments (Kornblith et al. 2019), in [0, 1].

    Args:
        cross: `X Y^T` of the centred representations, shape `(v, w)`.
        first: `X X^T`, shape `(v, v)`.
        second: `Y Y^T`, shape `(w, w)`.

    Returns:
        `||X Y^T||_F^2 / (||X X^T||_F ||Y Y^T||_F)`; None where one of the two is constant.

    >>> round(linear_cka(np.eye(2), np.eye(2), np.eye(2)), 6)
    1.0
    """
    scale = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    return float(np.vdot(cross, cross)) / scale if scale > 0 else None


def within_class_fractions(
    counts: np.ndarray, totals: np.ndarray, squares: np.ndarray
) -> tuple[float | None, list[float | None]]:
    """How much of the variance is within the classes: 0 at neural collapse, 1 where classes share one mean.

    Args:
        counts: samples of each class, shape `(c,)`.
        totals: sum of the representations of each class, shape `(c, w)`.
        squares: sum of their squared norms, shape `(c,)`.

    Returns:
        `Tr within / Tr total` over all classes, and for each class the variance within it divided by the mean variance
        of all samples (None for a class without samples; all None where nothing varies).

    >>> within_class_fractions(np.array([2, 2]), np.array([[2.0], [-2.0]]), np.array([2.0, 2.0]))
    (0.0, [0.0, 0.0])
    """
    counts = np.asarray(counts, dtype=np.float64)
    seen = counts > 0
    safe = np.where(seen, counts, 1.0)
    within = np.maximum(squares - np.square(totals).sum(axis=1) / safe, 0.0)
    samples = counts.sum()
    total = float(squares.sum() - np.square(totals.sum(axis=0)).sum() / samples)
    if not total > 1e-14 * float(squares.sum()):
        return None, [None] * len(counts)
    each = [float(w / c / (total / samples)) if c else None for w, c in zip(within, counts, strict=True)]
    return float(within.sum()) / total, each
