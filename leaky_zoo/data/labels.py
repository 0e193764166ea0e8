"""What targets evidently are: labels of classes, or numbers to predict; what could be either is a question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import counted, shown, shown_text

TASKS = ("classification", "regression")
# More different whole numbers than this, seen less than so many times each, may well be quantities.
SELDOM = {100: 10, 20: 2}
MAX_CLASSES = 100_000
DECIDE = "say which with `--task classification` or `--task regression` (in a recipe: `data.task`)"


@dataclass(frozen=True)
class Targets:
    """Targets as they were understood.

    Attributes:
        task: `"classification"` or `"regression"`.
        values: by split; int64 labels `(n,)` in `0..k-1`, or float32 `(n, outputs)`.
        class_names: one for each class, or None where labels are `0..k-1` without names.
        note: how they were read, or None where there is nothing to say.
    """

    task: str
    values: dict[str, np.ndarray]
    class_names: tuple[str, ...] | None
    note: str | None


def understand(
    raw: Mapping[str, np.ndarray],
    *,
    task: str | None = None,
    classes: Sequence[str] | int | None = None,
    class_names: Sequence[str] | None = None,
    what: str = "y",
) -> Targets:
    """Read the targets of all splits as labels or as numbers. This project.

    Args:
        raw: targets by split, each of shape `(n,)`, `(n, 1)` or `(n, outputs)`: integers, bools, floats or texts.
        task: `"classification"` or `"regression"` decides what is ambiguous. Default None: only what is evident.
        classes: of the network that is to see them, as names or as their number. Default None: those that occur.
        class_names: names of labels `0..k-1` that the source carries. Default None.
        what: name of the targets, for messages. Default "y".

    Returns:
        The `Targets`.

    Raises:
        InvalidInputError: whole floats, one-hot rows of numbers, or integers of very many values, without a `task`; a
            task that the targets cannot serve; labels that are none of `classes`.

    Example:
    >>> found = understand({"train": np.array(["cat", "dog", "cat"])})
    >>> found.task, found.values["train"].tolist(), found.note
    ('classification', [0, 1, 0], '2 classes from texts: cat, dog')
    """
    if task not in (None, *TASKS):
        raise InvalidInputError(f"`task` must be 'classification' or 'regression'. Received: task={task!r}")
    columns = {split: _one_column(values) for split, values in raw.items()}
    everything = np.concatenate([_rows(values) for values in columns.values()])
    labels = task == "classification" or (task is None and _evidently_labels(everything, what, classes))
    if not labels:
        numbers = {split: _numbers(values, what) for split, values in columns.items()}
        wide = everything.ndim == 2 and everything.dtype.kind in "bui"
        said = f"{everything.shape[1]} numbers to predict from rows of {_kind(everything)}" if wide else None
        return Targets("regression", numbers, None, said if task is None else None)
    if everything.ndim == 2:
        if not _is_one_hot(everything):
            raise InvalidInputError(
                f"`{what}` has {everything.shape[1]} columns and is not one-hot: it holds no labels of classes. "
                f"Received: shape={everything.shape}"
            )
        names = class_names or (classes if isinstance(classes, Sequence) else None)
        kept = tuple(names) if names and len(names) == everything.shape[1] else None
        values = {split: np.argmax(rows, axis=1).astype(np.int64) for split, rows in columns.items()}
        _check_count(everything.shape[1], classes, what)
        return Targets("classification", values, kept, f"{everything.shape[1]} classes from one-hot rows")
    if everything.dtype.kind == "f":
        if not _is_whole(everything):
            raise InvalidInputError(
                f"`{what}` holds fractions: no labels of classes. Received: {_fraction(everything)}"
            )
        columns = {split: values.astype(np.int64) for split, values in columns.items()}
    known, row_of = _known_classes(everything, class_names, classes, what)
    values = {split: _encoded(each, known, row_of, what) for split, each in columns.items()}
    plain = known == [str(row) for row in range(len(known))]
    keep = class_names is not None or not plain or isinstance(classes, Sequence)
    note = None if class_names is not None else _note(_kind(everything), known, plain)
    return Targets("classification", values, tuple(known) if keep else None, note)


def evident_task(raw: Mapping[str, np.ndarray], what: str = "y") -> str | None:
    """`"classification"` or `"regression"`, or None where it could be either; arguments as `understand`.

    Example:
    >>> evident_task({"train": np.array([0.0, 1.0])}) is None
    True
    """
    try:
        values = np.concatenate([_rows(_one_column(each)) for each in raw.values()])
        return "classification" if _evidently_labels(values, what, None) else "regression"
    except InvalidInputError:
        return None


def _one_column(values: np.ndarray) -> np.ndarray:
    """Targets without an axis of length one; as numpy holds them natively."""
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    while values.ndim > 1 and values.shape[-1] == 1:
        values = values[..., 0]
    return values


def _rows(values: np.ndarray) -> np.ndarray:
    return values if values.ndim <= 1 else values.reshape(len(values), -1)


def _evidently_labels(values: np.ndarray, what: str, classes: Sequence[str] | int | None) -> bool:
    """Whether these are labels of classes; a question where they could be either."""
    if values.dtype.kind in "UO":
        return True
    if values.ndim == 2:
        if not _is_one_hot(values):
            return False
        if values.dtype.kind == "b" or classes is not None:
            return True
        raise InvalidInputError(
            f"`{what}` has {values.shape[1]} columns of zeros with a single one: one-hot labels of {values.shape[1]} "
            f"classes, or {values.shape[1]} numbers to predict; {DECIDE}."
        )
    if values.dtype.kind == "f":
        if not _is_whole(values):
            return False
        count = len(np.unique(values))
        raise InvalidInputError(
            f"`{what}` holds whole numbers written as floats ({count} different ones): labels of classes, or numbers "
            f"to predict; {DECIDE}."
        )
    count = len(np.unique(values))
    seldom = any(count > many and len(values) < times * count for many, times in SELDOM.items())
    if seldom and values.dtype.kind != "b" and classes is None:
        raise InvalidInputError(
            f"`{what}` holds {count:,} different whole numbers in {len(values):,} samples: labels of classes, or "
            f"numbers to predict; {DECIDE}."
        )
    return True


def _is_one_hot(values: np.ndarray) -> bool:
    if values.ndim != 2 or values.dtype.kind not in "buif":
        return False
    return bool(((values == 0) | (values == 1)).all() and (values.sum(axis=1) == 1).all())


def _is_whole(values: np.ndarray) -> bool:
    with np.errstate(invalid="ignore"):
        return bool((values == np.floor(values)).all() and (np.abs(values) < 2**53).all())


def _fraction(values: np.ndarray) -> str:
    with np.errstate(invalid="ignore"):
        return shown(float(values[values != np.floor(values)][0]))


def _numbers(values: np.ndarray, what: str) -> np.ndarray:
    if values.dtype.kind not in "buif":
        raise InvalidInputError(f"`{what}` holds no numbers, which a regression needs. Received: dtype={values.dtype}")
    return values.reshape(len(values), -1).astype(np.float32)


def _kind(values: np.ndarray) -> str:
    return {"b": "bools", "U": "texts", "O": "texts", "f": "whole floats"}.get(values.dtype.kind, "integers")


def _known_classes(
    values: np.ndarray, class_names: Sequence[str] | None, classes: Sequence[str] | int | None, what: str
) -> tuple[list[str], dict[str, int]]:
    """Names of the classes in the order of their labels, and the label of each value that may occur, as text."""
    own = None if classes is None else [str(row) for row in range(classes)] if isinstance(classes, int) else [*classes]
    if class_names is not None:  # the values are places among these names
        if own is None or isinstance(classes, int):
            return [*class_names], {str(row): row for row in range(len(class_names))}
        foreign = [name for name in class_names if name not in own]
        if foreign:
            raise InvalidInputError(
                f"`{what}` has classes that are not among the network's {len(own)} ({_some(own)}). "
                f"Received: {_some(foreign)}"
            )
        return own, {str(row): own.index(name) for row, name in enumerate(class_names)}
    if own is not None:
        numbers = values.dtype.kind in "iufb" and not all(name.lstrip("-").isdigit() for name in own)
        if values.dtype.kind == "b" and set(own) != {"False", "True"}:
            return own, {"False": 0, "True": 1}
        if numbers and values.dtype.kind != "b":  # labels are places, whatever the classes are called
            return own, {str(row): row for row in range(len(own))}
        return own, {name: row for row, name in enumerate(own)}
    found = np.array([False, True]) if values.dtype.kind == "b" else np.unique(values)
    if len(found) > MAX_CLASSES:
        raise InvalidInputError(f"`{what}` has {len(found):,} different labels; at most {MAX_CLASSES:,} are classes.")
    names = [_text(value) for value in found.tolist()]
    return names, {name: row for row, name in enumerate(names)}


def _encoded(values: np.ndarray, known: list[str], row_of: dict[str, int], what: str) -> np.ndarray:
    found, places = np.unique(values, return_inverse=True)
    missing = [_text(value) for value in found.tolist() if _text(value) not in row_of]
    if missing:
        raise InvalidInputError(
            f"`{what}` has labels that are not among the {len(known)} classes ({_some(known)}). "
            f"Received: {_some(missing)}"
        )
    return np.array([row_of[_text(value)] for value in found.tolist()], np.int64)[places.reshape(-1)]


def _text(value: object) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return shown_text(str(int(value)) if whole else str(value), 200)  # type: ignore[call-overload]


def _check_count(columns: int, classes: Sequence[str] | int | None, what: str) -> None:
    count = classes if isinstance(classes, int) or classes is None else len(classes)
    if count is not None and count != columns:
        raise InvalidInputError(f"`{what}` is one-hot over {columns} classes; the network has {count}.")


def _note(kind: str, known: list[str], plain: bool) -> str | None:
    if plain and kind == "integers":
        return None
    if kind in ("integers", "whole floats") and all(name.lstrip("-").isdigit() for name in known):
        numbers = [int(name) for name in known]
        gaps = numbers[-1] - numbers[0] + 1 != len(numbers)
        words = "" if kind == "integers" else ", written as floats"
        words = f"{' with gaps' if gaps else ''}{words}"
        return f"{counted(len(known), 'class')} from labels {numbers[0]} to {numbers[-1]}{words}"
    return f"{counted(len(known), 'class')} from {kind}: {_some(known)}"


def _some(names: Sequence[str], most: int = 8) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return shown_text(", ".join(names[:most]), 160) + rest
