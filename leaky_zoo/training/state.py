"""What moves in a run, taken out as numpy arrays and JSON values and put back bit for bit."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from leaky_zoo.errors import CheckFailedError
from leaky_zoo.training.callbacks import StepCallback
from leaky_zoo.training.checkpoint import Checkpoint


def variables_of(prefix: str, variables: Sequence[keras.Variable]) -> dict[str, np.ndarray]:
    """Variables (weights, seeds, optimiser slots) as arrays by name, in the order in which they were made."""
    # By way of a tensor: a variable that is mirrored over replicas has no array of its own.
    return {
        f"{prefix}/{row:04d}": keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(variable))
        for row, variable in enumerate(variables)
    }


def load_variables(prefix: str, variables: Sequence[keras.Variable], arrays: dict[str, np.ndarray]) -> None:
    """The inverse of `variables_of`.

    Raises:
        CheckFailedError: the arrays are those of another network or optimiser.
    """
    names = [name for name in sorted(arrays) if name.startswith(prefix + "/")]
    shapes = [tuple(arrays[name].shape) for name in names]
    if shapes != [tuple(variable.shape) for variable in variables]:
        raise CheckFailedError(f"The checkpoint's {prefix} does not fit this recipe: it was made by another version.")
    for name, variable in zip(names, variables, strict=True):
        variable.assign(arrays[name])


def state_of(callbacks: Sequence[keras.callbacks.Callback]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and JSON values of all callbacks that have a `get_state`."""
    arrays: dict[str, np.ndarray] = {}
    values: dict[str, Any] = {}
    for name, callback in _named(callbacks):
        state = callback.get_state()
        values[name] = {key: value for key, value in state.items() if not isinstance(value, np.ndarray)}
        arrays |= {f"callback/{name}/{key}": value for key, value in state.items() if isinstance(value, np.ndarray)}
    return arrays, values


def restore_callbacks(callbacks: Sequence[keras.callbacks.Callback], checkpoint: Checkpoint) -> None:
    """Give callbacks back what `state_of` took; one that was not there keeps its start, but learns the step."""
    tell_step(callbacks, checkpoint.step)
    saved = checkpoint.state["callbacks"]
    for name, callback in _named(callbacks):
        if name in saved:
            prefix = f"callback/{name}/"
            arrays = {key[len(prefix) :]: a for key, a in checkpoint.arrays.items() if key.startswith(prefix)}
            callback.set_state(saved[name] | arrays)


def tell_step(callbacks: Sequence[keras.callbacks.Callback], step: int) -> None:
    """Tell the callbacks that count steps how many are done."""
    for callback in callbacks:
        if isinstance(callback, StepCallback):
            callback.step = step


def _named(callbacks: Sequence[keras.callbacks.Callback]) -> list[tuple[str, Any]]:
    """Callbacks with a state, by class and place among those of their class."""
    seen: dict[str, int] = {}
    result = []
    for callback in callbacks:
        if hasattr(callback, "get_state") and hasattr(callback, "set_state"):
            kind = type(callback).__name__
            seen[kind] = seen.get(kind, 0) + 1
            result.append((f"{kind}-{seen[kind]}", callback))
    return result
