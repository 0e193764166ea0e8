"""What generated data must be: integers by hash, floats by summaries with a tolerance (BLAS libraries differ)."""

import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from leaky_zoo.errors import CheckFailedError

TOLERANCE = 1e-4


def check_generated(
    identifier: str, integers: dict[str, np.ndarray] | None = None, floats: dict[str, np.ndarray] | None = None
) -> None:
    """Compare freshly generated arrays with the record in `generated.json`; what has no record passes.

    Args:
        identifier: `name/config` of the data set.
        integers: arrays compared by shape and sha256.
        floats: arrays compared by shape, mean, root mean square and first values, to 1e-4.

    Raises:
        CheckFailedError: an array differs; the message names it.
    """
    record = _record().get(identifier)
    if record is None:
        return
    for name, summary in summarize(integers, floats).items():
        if not _agree(record.get(name), summary):
            raise CheckFailedError(
                f"The generated array `{name}` of {identifier} is not the one this data set is defined by: "
                f"expected {record.get(name)}, made {summary}. A changed numpy or scikit-learn is the likely cause."
            )


def changed(identifier: str, arrays: dict[str, np.ndarray]) -> list[str]:
    """Names of the arrays of integers that are not those on record; none where there is no record."""
    record = _record().get(identifier, {})
    return [name for name, summary in summarize(arrays).items() if record.get(name, summary) != summary]


def summarize(
    integers: dict[str, np.ndarray] | None = None, floats: dict[str, np.ndarray] | None = None
) -> dict[str, dict[str, Any]]:
    """The record of these arrays, as `generated.json` holds it."""
    result: dict[str, dict[str, Any]] = {}
    for name, array in (integers or {}).items():
        digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        result[name] = {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": digest}
    for name, array in (floats or {}).items():
        wide = array.astype(np.float64)
        result[name] = {
            "shape": list(array.shape),
            "mean": float(wide.mean()),
            "rms": float(np.sqrt(np.mean(wide**2))),
            "first": [float(value) for value in wide.ravel()[:5]],
            "last": [float(value) for value in wide.ravel()[-5:]],
        }
    return result


@cache
def _record() -> dict[str, Any]:
    return json.loads(resources.files("leaky_zoo.data").joinpath("generated.json").read_text(encoding="utf-8"))


def _agree(expected: Any, made: dict[str, Any]) -> bool:
    if not isinstance(expected, dict) or expected.keys() != made.keys() or expected["shape"] != made["shape"]:
        return False
    if "sha256" in made:
        return expected == made
    numbers = ("mean", "rms", "first", "last")
    return all(np.allclose(expected[key], made[key], rtol=TOLERANCE, atol=TOLERANCE) for key in numbers)
