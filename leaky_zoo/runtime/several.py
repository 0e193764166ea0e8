"""Golden pairs of files with several inputs or outputs, and tensors that are kept beside a file."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.runtime.metadata import pack_golden, unpack_golden

Arrays = dict[str, np.ndarray]


def pack_pairs(inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """As `pack_golden`, for arrays by name: one of each as that has it, several under their names.

    Example:
    >>> sorted(pack_pairs({"a": np.ones((2, 3)), "b": np.ones((2, 1))}, {"y": np.ones((2, 1))})["inputs"])
    ['a', 'b']
    """
    first = next(iter(outputs.values()))
    counts = [pack_golden(values, first)["inputs"]["shape"][0] for values in inputs.values()]
    packed = {
        side: {name: pack_golden(values[: min(counts)], first)["inputs"] for name, values in arrays.items()}
        for side, arrays in (("inputs", inputs), ("outputs", outputs))
    }
    if len(inputs) == len(outputs) == 1:
        return {side: next(iter(values.values())) for side, values in packed.items()}
    return packed


def count_pairs(packed: Mapping[str, Any] | None) -> int:
    """How many pairs `pack_pairs` or `pack_golden` kept; 0 for None."""
    if packed is None:
        return 0
    inputs = packed["inputs"]
    return int((inputs if "shape" in inputs else next(iter(inputs.values())))["shape"][0])


def unpack_pairs(golden: Any, inputs: Sequence[str], outputs: Sequence[str]) -> tuple[Arrays, Arrays]:
    """Undo `pack_pairs` for a file with these inputs and outputs.

    Raises:
        InvalidInputError: it is not what `pack_pairs` writes, or of other names.
    """
    if isinstance(golden, Mapping) and isinstance(golden.get("inputs"), Mapping) and "data" in golden["inputs"]:
        one, other = unpack_golden(golden)
        return {inputs[0]: one}, {outputs[0]: other}
    sides = [golden.get(side) if isinstance(golden, Mapping) else None for side in ("inputs", "outputs")]
    if not all(isinstance(side, Mapping) for side in sides) or set(sides[0] or ()) != set(inputs):
        raise InvalidInputError("The file's golden pairs are damaged: they are not of its inputs and outputs.")
    if not sides[1] or not set(sides[1]) <= set(outputs):
        raise InvalidInputError("The file's golden pairs are damaged: they are not of its inputs and outputs.")
    found = [
        {name: unpack_golden({"inputs": p, "outputs": p})[0] for name, p in (side or {}).items()} for side in sides
    ]
    if len({len(values) for side in found for values in side.values()}) != 1:
        raise InvalidInputError("The file's golden pairs must be equally many inputs and outputs.")
    return found[0], found[1]


def check_external_data(path: Path, locations: Sequence[str], stated: Any) -> str:
    """Compare the one file of tensors beside `path` with the hash that the metadata name.

    Returns:
        A sentence.

    Raises:
        InvalidInputError: tensors outside the file's folder, in files that the metadata do not name, or changed.
    """
    names = sorted(set(locations))
    known = stated if isinstance(stated, Mapping) else {}
    name = known.get("location")
    if names != [name] or not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
        raise InvalidInputError(f"Tensors are kept outside the file, in {', '.join(names)}.")
    beside = path.parent / name
    if beside.is_symlink() or not beside.is_file():
        raise InvalidInputError(f"Tensors are kept in {name}, which is not beside the file.")
    digest = hashlib.sha256()
    with beside.open("rb") as file:
        while content := file.read(2**24):
            digest.update(content)
    if digest.hexdigest() != known.get("sha256"):
        raise InvalidInputError(f"{name} has changed: its sha256 is not {known.get('sha256')}, which the file names.")
    return f"Tensors of {beside.stat().st_size:,} bytes in {name}, unchanged."
