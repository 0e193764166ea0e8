"""The numbers of a network that a graph is built from, in float64, as its Keras layers use them."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from leaky_zoo.geometry import leak
from leaky_zoo.layers import LeakyBlock
from leaky_zoo.networks import LeakyNetwork


@dataclass(frozen=True)
class Affine:
    """`(x - mean) / deviation`, or its inverse. Shapes broadcast against one sample: ones except on the last axis."""

    mean: np.ndarray
    deviation: np.ndarray


@dataclass(frozen=True)
class Step:
    """One block: `z <- leak z + kernel * relu(z) + bias`; `kernel` and `bias` are already times `rho max(L~, 1)`."""

    name: str
    leak: float
    kernel: np.ndarray
    bias: np.ndarray | None


def layers_by_name(network: LeakyNetwork) -> dict[str, keras.layers.Layer]:
    """Map the names of the network's layers to them."""
    return {layer.name: layer for layer in network.layers}


def float64(variable: object) -> np.ndarray:
    """Read a variable or tensor as a float64 array."""
    return ops.convert_to_numpy(variable).astype(np.float64)


def affine(layer: keras.layers.Normalization) -> Affine:
    """Read mean and standard deviation of a normalising layer, with the floor under the deviation that Keras has."""
    deviation = np.maximum(np.sqrt(float64(layer.variance)), keras.config.epsilon())
    return Affine(float64(layer.mean)[0], deviation[0])


def read_steps(network: LeakyNetwork, place: int = 0) -> list[Step]:
    """Read the blocks of the path at `place`, in order; by default the first path's, which most families only have."""
    return [_read_step(block, rho) for block, rho in network.paths[place].steps]


def _read_step(block: LeakyBlock, rho: float) -> Step:
    # The layer computes 1 - rho L~ in its variable dtype. Rounded there and again to float32 it is zero where the
    # layer's is, and what is divided by it later is divided by the number that the graph multiplies with.
    kept = float(np.float32(leak(rho, block.effective_depth, block.variable_dtype)))
    move = rho * block.scale
    bias = None if block.bias is None else move * float64(block.bias)
    return Step(block.name, kept, move * float64(block.kernel), bias)
