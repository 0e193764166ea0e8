"""The precision in which a network is looked at: float64 where Keras has it."""

import random

import keras

from leaky_zoo.networks import LeakyNetwork


def in_float64(network: LeakyNetwork) -> LeakyNetwork:
    """The network with the same weights in float64; the network itself where it has that dtype or JAX has no float64.

    Near a critical point `H` is a small difference of large energies, and the rounding of a float32 pass is seen in it
    (this project, docs/analysis.md). JAX has float64 only where `jax_enable_x64` is set.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> in_float64(LeakyMLP((4,), 2, width=3, depth=5)).blocks[0].kernel.dtype
    'float64'
    """
    if network.dtype_policy.name == "float64" or not _has_float64():
        return network
    state = random.getstate()  # Keras draws the seeds of new layers from it: whoever looks leaves no trace
    try:
        return network.astype("float64")
    finally:
        random.setstate(state)


def _has_float64() -> bool:
    if keras.backend.backend() != "jax":
        return True
    import jax

    return bool(jax.dtypes.canonicalize_dtype("float64") == "float64")
