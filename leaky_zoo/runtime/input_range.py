"""Whether raw inputs are like those that a net was trained on, by their range. Needs numpy only."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from leaky_zoo.errors import InvalidInputError

FEWEST = 8  # samples of which not one is inside the range of a feature
SCALED = 8.0  # a net trained on values up to this much or more, and given none above one, is given scaled inputs
MOST_NUMBERS = 4_000_000  # looked at


class InputRangeWarning(UserWarning):
    """Inputs lie far outside the range that the net was trained on."""


class RangeWatch:
    """Warns once when inputs are far from the range of the training data. This project.

    Args:
        span: `[least, most]` in the training data; two numbers, or two lists with one number for each feature of the
            last axis. Default None: nothing is known, and nothing said.
        names: of the features. Default None.

    Raises:
        InvalidInputError: as `checked_span`.

    Example:
    >>> watch, images = RangeWatch([0.0, 16.0]), np.full((2, 8, 8, 1), 255.0)
    >>> with warnings.catch_warnings(record=True) as said:
    ...     warnings.simplefilter("always")
    ...     _ = watch(images), watch(images)
    >>> len(said), str(said[0].message).partition(":")[0]
    (1, 'Inputs go from 255 to 255; the net was trained on inputs from 0 to 16')
    """

    def __init__(self, span: Any = None, names: Sequence[str] | None = None) -> None:
        self.span, self.names = checked_span(span), names if isinstance(names, list | tuple) else None
        self.said = span is None

    @classmethod
    def of(cls, described: dict[str, Any]) -> "RangeWatch":
        """Of an input as a file describes it.

        Raises:
            InvalidInputError: what the file says of its range is damaged.
        """
        try:
            return cls(described.get("range"), described.get("feature_names"))
        except InvalidInputError as error:
            raise InvalidInputError(f"The file's metadata is damaged: the range of the input {error}.") from error

    def __call__(self, x: Any, stacklevel: int = 3) -> None:
        """Look at samples, and say once what is far off.

        Args:
            x: raw samples; what is no array of numbers is passed over.
            stacklevel: of the warning. Default 3: the caller of whoever calls this.
        """
        if self.said or not hasattr(x, "ndim") or not hasattr(x, "__array__") or not x.ndim:
            return
        rows = max(FEWEST, MOST_NUMBERS // max(math.prod(x.shape[1:]), 1))
        words = far_from(np.asarray(x[:rows]), self.span, self.names)
        if words:
            self.said = True
            warnings.warn(words, InputRangeWarning, stacklevel=stacklevel)


def refuse_not_finite(x: np.ndarray, what: str, first: int = 0) -> None:
    """Refuse samples with NaN or infinity: a classifier would name a class for them all the same.

    Args:
        x: samples, one per row, any real dtype.
        what: name of the argument, for the message.
        first: number of `x[0]` among all samples, from 0. Default 0.

    Raises:
        InvalidInputError: the message names the first such sample.

    Example:
    >>> refuse_not_finite(np.array([[1.0], [np.nan]]), "x", first=10)
    Traceback (most recent call last):
        ...
    leaky_zoo.errors.InvalidInputError: `x` holds NaN or infinity, first in sample 11.
    """
    if x.dtype.kind != "f" or np.isfinite(x).all():
        return
    bad = ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
    raise InvalidInputError(f"`{what}` holds NaN or infinity, first in sample {first + int(np.argmax(bad))}.")


def checked_span(span: Any) -> Any:
    """`[least, most]` as plain numbers or lists of them; None stays None.

    Raises:
        InvalidInputError: it is anything else; the message says what it must be, and the caller what was received.
    """
    if span is None:
        return None
    try:
        low, high = (np.asarray(edge, np.float64) for edge in span)
        good = low.shape == high.shape and low.ndim <= 1 and bool((low <= high).all())
        good = good and bool(np.isfinite(low).all() and np.isfinite(high).all())
    except (TypeError, ValueError):
        good = False
    if not good:
        raise InvalidInputError("must be [least, most]: two numbers, or two lists of one number for each feature")
    return [low.tolist(), high.tolist()]


def far_from(x: np.ndarray, span: Any, names: Sequence[str] | None = None) -> str | None:
    """A sentence where samples are far from a range, else None. This project.

    Far are a value that lies outside by more than the width of the range; at least eight samples of which not one is
    inside; and values of at most one where the range ends at eight or more, which are mostly scaled pixels.

    Args:
        x: samples, shape `(n, ...)`, real numbers.
        span: as `RangeWatch`, checked.
        names: of the features. Default None.

    Example:
    >>> far_from(np.array([[1.0, 900.0]]), [[0.0, 0.0], [2.0, 5.0]], ["age", "dose"])
    'Feature dose goes from 900 to 900; the net was trained on 0 to 5.'
    >>> far_from(np.array([[1.0, 6.0]]), [[0.0, 0.0], [2.0, 5.0]]) is None
    True
    """
    low, high = (np.atleast_1d(np.asarray(edge, np.float64)) for edge in span)
    each = len(low) > 1 or np.ndim(span[0]) == 1
    if x.dtype.kind not in "buif" or not x.size or (each and x.shape[-1] != len(low)):
        return None
    rows = x.reshape(-1, len(low)) if each else x.reshape(-1, 1)
    least, most = rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)
    if not (np.isfinite(least).all() and np.isfinite(most).all()):
        return None
    width = np.maximum(high - low, 1e-6 * np.maximum(np.abs(low), np.abs(high)) + 1e-12)
    far = (least < low - width) | (most > high + width)
    if len(x) >= FEWEST:
        far |= (most < low - 0.1 * width) | (least > high + 0.1 * width)
    if not each:
        largest = max(abs(least[0]), abs(most[0]))
        far |= 0 < largest <= 1 and high[0] >= SCALED
        ends = _ends(least[0], most[0]), _ends(low[0], high[0])
        hint = "give raw values, preprocessing is part of the net"
        return f"Inputs go {ends[0]}; the net was trained on inputs {ends[1]}: {hint}." if far[0] else None
    if not far.any():
        return None
    worst = int(np.argmax(np.where(far, np.maximum(low - least, most - high) / width, -math.inf)))
    label = names[worst] if names and len(names) == len(low) else str(worst)
    more = f" {int(far.sum()) - 1} more are as far off." if far.sum() > 1 else ""
    trained = _ends(low[worst], high[worst])
    return f"Feature {label} goes {_ends(least[worst], most[worst])}; the net was trained on {trained[5:]}.{more}"


def _ends(least: float, most: float) -> str:
    return f"from {least:.6g} to {most:.6g}"
