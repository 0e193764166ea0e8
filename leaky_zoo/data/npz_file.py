"""`.npz` files in the layouts that people write: x and y, x_train and x_test, images and labels, arr_0 and arr_1."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from leaky_zoo.data.found import Chunked, Found, Samples, rows_at_once, stamps
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.archives import npz_header, open_archive, read_npz
from leaky_zoo.io.reading import shown_text

INPUTS = {"x", "image", "images", "img", "imgs", "data", "input", "inputs", "feature", "features", "sample", "samples"}
TARGETS = {"y", "label", "labels", "target", "targets", "class", "output", "outputs"}
SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test", "val": "validation"}
SPLITS |= {"valid": "validation", "validation": "validation", "dev": "validation"}
NAMES = {"class_names": "classes", "target_names": "classes", "label_names": "classes", "feature_names": "features"}
SPARSE = {"indices", "indptr", "data", "shape", "format"}
ACCEPTED = "`x` and `y`, `x_train`, `y_train`, `x_test`, `y_test`, `images` and `labels`, or one array alone"


def read_npz_file(path: Path, stream: bool = False) -> Found:
    """The samples and targets of an `.npz` file. Nothing is ever unpickled.

    Names are read without regard to case: `x`, `images`, `data`, `features` and the like are inputs, `y`, `labels`,
    `target` and the like targets, and `train`, `test`, `val` beside them name a split. Two arrays `arr_0`, `arr_1` are
    inputs and targets; a single array is inputs without targets.

    Args:
        path: the file.
        stream: do not hold the inputs; read them in order, part by part. Default False.

    Returns:
        What it holds.

    Raises:
        InvalidInputError: no such file, no `.npz`, pickles, or arrays whose names do not say what they are; the message
            names the arrays that are there.
    """
    with open_archive(path, size_checked=not stream) as archive:
        held = [member.filename.removesuffix(".npy") for member in archive.infolist()]
    roles = find_roles(path, held)
    notes = []
    ignored = [name for name in held if name not in roles.values() and name.lower() not in NAMES]
    if ignored:
        notes.append(f"not read: {shown_text(', '.join(ignored), 120)}")
    wanted = [name for (_, role), name in roles.items() if role == "y" or not stream]
    wanted += [name for name in held if name.lower() in NAMES]
    arrays = read_npz(path, wanted, size_checked=not stream)
    splits: dict[str, tuple[Samples, np.ndarray | None]] = {}
    for split in sorted({split for split, _ in roles}, key=["train", "validation", "test"].index):
        name = roles.get((split, "x"))
        if name is None:
            raise InvalidInputError(f"{path} has targets `{roles[split, 'y']}` without inputs. It holds {_list(held)}.")
        x = _streamed(path, name) if stream else arrays[name]
        x, note = _with_channel(x, name)
        notes += [note] if note and note not in notes else []
        target = roles.get((split, "y"))
        splits[split] = (x, None if target is None else arrays[target])
    names = {NAMES[name.lower()]: tuple(map(str, arrays[name].ravel())) for name in held if name.lower() in NAMES}
    return Found(
        str(path), splits, names.get("classes"), names.get("features"), roles.get(("train", "y"), "y"), tuple(notes),
        stamps(path),
    )  # fmt: skip


def find_roles(path: object, held: list[str]) -> dict[tuple[str, str], str]:
    """What arrays are, by their names.

    Args:
        path: for messages.
        held: names of the arrays that are there.

    Returns:
        `{(split, "x" or "y"): name}`.

    Raises:
        InvalidInputError: the names do not say it, or say it twice.

    Example:
    >>> find_roles("my.npz", ["X_train", "labels_train"])
    {('train', 'x'): 'X_train', ('train', 'y'): 'labels_train'}
    """
    if set(held) >= SPARSE or {"row", "col", "shape", "format"} <= set(held):
        raise InvalidInputError(
            f"{path} is a sparse matrix of scipy, which has no targets beside it: write np.savez(file, x=matrix."
            f"toarray(), y=labels)."
        )
    roles: dict[tuple[str, str], str] = {}
    for name in held:
        found = _role(name)
        if found is None:
            continue
        if found in roles:
            raise InvalidInputError(
                f"{path}: `{roles[found]}` and `{shown_text(name, 40)}` could both be the "
                f"{'inputs' if found[1] == 'x' else 'targets'}: keep one of them. It holds {_list(held)}."
            )
        roles[found] = name
    if not roles and set(held) == {"arr_0", "arr_1"}:
        roles = {("train", "x"): "arr_0", ("train", "y"): "arr_1"}
    elif not roles and len(held) == 1:
        roles = {("train", "x"): held[0]}
    elif not any(role == "x" for _, role in roles) or (("train", "x") not in roles and len({s for s, _ in roles}) > 1):
        raise InvalidInputError(
            f"{path} holds {_list(held)}; the names do not say which are the training inputs. Accepted: {ACCEPTED}."
        )
    elif ("train", "x") not in roles:  # one split alone, whatever it is called
        roles = {("train", role): name for (_, role), name in roles.items()}
    with_targets = {split for split, role in roles if role == "y"}
    if with_targets and {split for split, _ in roles} != with_targets:
        missing = next(split for split, _ in roles if split not in with_targets)
        raise InvalidInputError(f"{path} has no targets for split {missing!r}. It holds {_list(held)}.")
    return roles


def _role(name: str) -> tuple[str, str] | None:
    """`(split, "x" or "y")` of an array by its name."""
    words = [word for word in re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()) if word]
    splits = [SPLITS[word] for word in words if word in SPLITS]
    rest = [word for word in words if word not in SPLITS]
    if len(splits) > 1 or len(rest) != 1 or rest[0] not in INPUTS | TARGETS:
        return None
    return (splits[0] if splits else "train"), "x" if rest[0] in INPUTS else "y"


def _with_channel(x: Samples, name: str) -> tuple[Samples, str | None]:
    """Grey images (n, height, width) with the channel that nets take."""
    pictures = _role(name) is not None and {"image", "images", "img", "imgs"} & set(re.split(r"[^a-z]+", name.lower()))
    if x.ndim != 3 or not (x.dtype == np.uint8 or pictures):
        return x, None
    note = f"samples of shape {x.shape[1:]} are images of one channel"
    if isinstance(x, Chunked):
        read = x.read
        return Chunked((*x.shape, 1), x.dtype, lambda: (part[..., None] for part in read())), note
    return x[..., None], note


def _streamed(path: Path, name: str) -> Chunked:
    """An array of the archive, read in order through its compression."""
    with open_archive(path, size_checked=False) as archive:
        shape, fortran, dtype, _ = npz_header(path, name, archive)
    if fortran and len(shape) > 1:
        raise InvalidInputError(f"{path}: `{name}` is stored column by column (Fortran order) and cannot be streamed.")

    def read() -> Iterator[np.ndarray]:
        with open_archive(path, size_checked=False) as archive, archive.open(_member(archive, name)) as file:
            file.read(npz_header(path, name, archive)[3])
            size = dtype.itemsize * int(np.prod(shape[1:], dtype=int))
            most = rows_at_once(shape)
            for start in range(0, shape[0], most):
                count = min(most, shape[0] - start)
                yield np.frombuffer(file.read(count * size), dtype).reshape(count, *shape[1:])

    return Chunked(shape, dtype, read)


def _member(archive: zipfile.ZipFile, name: str) -> str:
    return f"{name}.npy" if f"{name}.npy" in archive.namelist() else name


def _list(held: list[str]) -> str:
    return shown_text(", ".join(f"`{name}`" for name in held) or "no array", 300)
