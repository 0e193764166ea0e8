"""Whether samples can be trained on, and what about them deserves a warning that names the column or the class."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leaky_zoo.data.found import Chunked, Samples, chunks
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import shown_text

LARGEST = 1e18  # squares of larger numbers leave float32
LEAST_VARIANCE = 1e-12  # what varies by less is left as it is: Keras divides by 1e-7 at least
SCALES = 1e6  # ratio of the spread of two features above which rounding in float32 eats the smaller
_TIME = re.compile(r"date|time|day|year|stamp|when", re.IGNORECASE)


def native(name: str, samples: Samples, what: str) -> Samples:
    """Samples in a type that TensorFlow has: this machine's byte order, at most 64 bits; bools become 0 and 1.

    Raises:
        InvalidInputError: complex numbers, texts, dates, or objects.
    """
    kind = samples.dtype.kind
    if kind not in "buif":
        hint = "; texts and classes are written as numbers first" if kind in "USO" else ""
        raise InvalidInputError(f"{name}: `{what}` must hold real numbers. Received: dtype={samples.dtype}{hint}")
    wanted = np.dtype(np.uint8) if kind == "b" else samples.dtype.newbyteorder("=")
    if wanted.kind == "f" and wanted.itemsize > 8:
        wanted = np.dtype(np.float64)
    if isinstance(samples, Chunked):
        read = samples.read
        return Chunked(samples.shape, wanted, lambda: (part.astype(wanted, copy=False) for part in read()))
    with np.errstate(over="ignore"):
        return samples.astype(wanted, copy=False)


def first_missing(values: np.ndarray) -> int | None:
    """The first row of Python objects in which one is None, NaN or what pandas has in their place; None: there is none.

    Example:
    >>> first_missing(np.array(["a", None], object)), first_missing(np.array(["a", "b"], object))
    (1, None)
    """
    if values.dtype.kind != "O":
        return None
    for row, value in enumerate(values.reshape(len(values), -1).tolist()):
        if any(each is None or type(each).__name__ in ("NAType", "NaTType") or each != each for each in value):
            return row
    return None


@dataclass
class Columns:
    """What one look at all samples leaves: extremes and spread of each column, and whether it is whole.

    Images are one column.
    """

    least: np.ndarray
    most: np.ndarray
    whole: np.ndarray


def look(name: str, what: str, samples: Samples) -> Columns:
    """Look at all samples once.

    Raises:
        InvalidInputError: NaN, infinity (naming the sample), or numbers too large for float32.
    """
    table = samples.ndim == 2
    least = most = whole = None
    start = 0
    for part in chunks(samples):
        flat = part.reshape(len(part), -1)
        if part.dtype.kind == "f":
            bad = ~np.isfinite(flat).all(axis=1)
            if bad.any():
                raise InvalidInputError(
                    f"{name}: `{what}` holds NaN or infinity, first in sample {start + int(np.argmax(bad))}."
                )
        axis = 0 if table else None
        low, high = np.atleast_1d(flat.min(axis)), np.atleast_1d(flat.max(axis))
        integers = np.atleast_1d((flat == np.floor(flat)).all(axis)) if table else np.array([False])
        least = low if least is None else np.minimum(least, low)
        most = high if most is None else np.maximum(most, high)
        whole = integers if whole is None else whole & integers
        start += len(part)
    assert least is not None and most is not None and whole is not None
    if max(float(np.abs(most.astype(np.float64)).max()), float(np.abs(least.astype(np.float64)).max())) > LARGEST:
        raise InvalidInputError(f"{name}: `{what}` holds numbers beyond {LARGEST:g}, too large for float32 training.")
    return Columns(least.astype(np.float64), most.astype(np.float64), whole)


def warnings_of_columns(columns: Columns, names: Sequence[str] | None, shape: tuple[int, ...]) -> list[str]:
    """Sentences about a table's constant columns, scales and dates; about samples that look channels-first.

    Args:
        columns: as `look` gives them.
        names: of the columns. None: `x[:, 0]` and so on.
        shape: of one sample.

    Example:
    >>> table = np.column_stack([np.arange(9.0), np.full(9, 3.0)])
    >>> warnings_of_columns(look("t.csv", "x", table), ("age", "const"), (2,))
    ['column const (3) is constant: nothing can be learnt from it']
    """
    if len(shape) == 3 and shape[0] in (1, 3) and shape[2] not in (1, 3) and shape[1] == shape[2]:
        return [f"samples of shape {shape} look channels-first; images are (height, width, channels) here"]
    if len(shape) != 1:
        if (columns.least == columns.most).all():
            return [f"every input is {columns.most[0]:g}: there is nothing to learn from"]
        return []
    label = [shown_text(name, 40) for name in names] if names else [f"x[:, {row}]" for row in range(len(columns.most))]
    spread = columns.most - columns.least
    constant = [f"{label[row]} ({columns.most[row]:g})" for row in np.flatnonzero(spread == 0)]
    found = []
    if len(constant) == 1:
        found = [f"column {constant[0]} is constant: nothing can be learnt from it"]
    elif constant:
        rest = f" and {len(constant) - 5} more" if len(constant) > 5 else ""
        found = [f"columns {', '.join(constant[:5])}{rest} are constant: nothing can be learnt from them"]
    for row in np.flatnonzero(columns.whole & (spread > 0)):
        kind = _date(columns.least[row], columns.most[row], label[row])
        if kind:
            found.append(
                f"column {label[row]} looks like dates written as numbers ({kind}): a net sees only their size"
            )
    for row in np.flatnonzero((spread > 0) & (spread < LEAST_VARIANCE**0.5))[:5]:
        found.append(
            f"column {label[row]} varies by {spread[row]:.2g} only: it is not standardised, and a net hardly sees it; "
            "give it in other units"
        )
    size = np.where(spread > 0, spread, np.nan)
    if np.isfinite(size).any() and np.nanmax(size) > SCALES * np.nanmin(size):
        large, small = int(np.nanargmax(size)), int(np.nanargmin(size))
        found.append(
            f"columns {label[large]} and {label[small]} differ by {np.nanmax(size) / np.nanmin(size):.0e} in scale: "
            "nets standardise each column, but an outlier or a logarithm may be meant"
        )
    offset = np.where(
        spread > 0, np.maximum(np.abs(columns.most), np.abs(columns.least)) / np.where(spread > 0, spread, 1), 0
    )
    if offset.max() > SCALES:
        worst = int(offset.argmax())
        found.append(
            f"column {label[worst]} varies by {spread[worst]:g} around {columns.most[worst]:g}: float32 rounds it away"
        )
    return found


def warnings_of_labels(labels: Mapping[str, np.ndarray], names: Sequence[str] | None) -> list[str]:
    """Sentences about a single class, and classes that occur outside of the training split only.

    Example:
    >>> warnings_of_labels({"train": np.array([0, 0]), "test": np.array([0, 1])}, None)
    ['the training split has one class', 'class 1 is in the test split only']
    """
    train = set(np.unique(labels["train"]).tolist()) if "train" in labels else set()
    found = ["the training split has one class"] if len(train) == 1 else []
    for split, values in labels.items():
        new = sorted(set(np.unique(values).tolist()) - train) if train and split != "train" else []
        if new:
            words = shown_text(", ".join(names[label] if names else str(label) for label in new[:8]), 120)
            more = f" and {len(new) - 8} more" if len(new) > 8 else ""
            one = len(new) == 1
            found.append(f"class{'' if one else 'es'} {words}{more} {'is' if one else 'are'} in the {split} split only")
    return found


def warnings_of_splits(looks: Mapping[str, Columns]) -> list[str]:
    """A sentence for each split whose numbers have another size than the first one's.

    Example:
    >>> looks = {split: look("x.npz", "x", np.full((2, 1), size)) for split, size in (("train", 1.0), ("test", 255.0))}
    >>> warnings_of_splits(looks)
    ['the test inputs reach 255, the train inputs 1: are both scaled alike?']
    """
    reach = {split: float(np.abs([columns.least, columns.most]).max()) for split, columns in looks.items()}
    first = next(iter(reach))
    return [
        f"the {split} inputs reach {size:g}, the {first} inputs {reach[first]:g}: are both scaled alike?"
        for split, size in reach.items()
        if min(size, reach[first]) > 0 and not 1 / 50 < size / reach[first] < 50
    ]


def _date(least: float, most: float, name: str) -> str | None:
    """How a range of whole numbers is written if these are dates, or None."""
    if least >= 19_000_101 and most <= 22_001_231:
        parts = [(int(value) // 100 % 100, int(value) % 100) for value in (least, most)]
        if all(1 <= month <= 12 and 1 <= day <= 31 for month, day in parts):
            return f"{least:.0f} to {most:.0f}"
    named = bool(_TIME.search(name))
    for unit, size in (("seconds", 1.0), ("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9)):
        # From 1980 on; a bare number of ten digits may be anything, and so needs a name that says time.
        if 3e8 * size <= least and most <= 4e9 * size and (named or size > 1):
            return f"{unit} since 1970"
    return None
