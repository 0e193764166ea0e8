"""What a model is compared with and on which samples, before it is exported to any target."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from leaky_zoo.deploy.arguments import checked_inputs
from leaky_zoo.deploy.build import can_build
from leaky_zoo.deploy.ports import Reference, given_arrays
from leaky_zoo.deploy.twin import compute_dtypes, float32_twin
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.runtime.metadata import pack_golden
from leaky_zoo.runtime.session import CHECK_BATCHES
from leaky_zoo.runtime.several import pack_pairs


def reference_for(model: keras.Model, output_name: str, given: Any, *, direct: bool) -> tuple[Reference, str]:
    """Choose what to build from and compare with: the model, or its float32 twin if it computes in other digits.

    Args:
        model: as the user gave it.
        output_name: of a single output.
        given: `check_inputs` of the user, or None.
        direct: whether a graph is built from the weights in float64, where the family has a builder.

    Returns:
        The reference, and what it is in words.
    """
    dtype = model.dtype_policy.compute_dtype
    others = [each for each in compute_dtypes(model) if each != "float32"]
    if isinstance(model, LeakyNetwork):
        # Built directly, float64 stays; what is traced would keep it: the twin is converted.
        keeps = direct and dtype == "float64" and can_build(model)
        twin = model.astype("float32") if others and not keeps else None
    else:
        twin = float32_twin(model) if others else None
    samples = None if given is None or isinstance(model, LeakyNetwork) else given_arrays(model, given)
    words = (
        f"its float32 twin (the model computes in {' and '.join(others)})" if twin else f"the Keras model in {dtype}"
    )
    return Reference(twin or model, output_name, samples), words


def samples_to_compare(model: keras.Model, reference: Reference, given: Any) -> tuple[dict[str, np.ndarray], str]:
    """The given samples by input, or random ones; and where they come from in words."""
    if given is not None:
        inputs = checked_inputs(given, {port.name: port.shape for port in reference.inputs}, "check_inputs")
        return inputs, f"{len(next(iter(inputs.values())))} given samples"
    if not isinstance(model, LeakyNetwork):
        words = "zeros and ones" if reference.whole_numbers else "standard normal"
        return reference.random_samples(max(CHECK_BATCHES)), f"random: {words}"
    port = reference.inputs[0]
    noise = np.random.default_rng(0).standard_normal((max(CHECK_BATCHES), *port.shape))
    mean, variance = map(np.asarray, (model.config.input_mean, model.config.input_variance))
    rows = (mean + np.sqrt(variance) * noise).astype(np.float32)
    return {port.name: rows}, "random: normal with the net's input mean and variance"


def low_precision_error(model: keras.Model) -> float:
    """16 roundings of a compute dtype shorter than float32; 0 for the others."""
    return {"bfloat16": 16 * 2.0**-8, "float16": 16 * 2.0**-11}.get(model.dtype_policy.compute_dtype, 0.0)


def kept_golden(
    model: keras.Model,
    reference: Reference,
    inputs: Mapping[str, np.ndarray],
    golden: tuple[np.ndarray, np.ndarray] | None,
) -> dict[str, Any]:
    """Given pairs are kept as they are, unless they were made in low precision: the file could not reproduce those."""
    if golden is not None and low_precision_error(model) == 0:
        return pack_golden(*golden)
    taken = inputs if golden is None else {reference.inputs[0].name: golden[0]}
    rows = {name: values[: CHECK_BATCHES[1] * 2] for name, values in taken.items()}
    return pack_pairs(rows, reference(rows))
