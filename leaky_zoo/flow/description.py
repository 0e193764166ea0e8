"""What the numbers of a network need beside the sums over samples: weights, steps, settings."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from leaky_zoo.geometry import leak
from leaky_zoo.networks import LeakyNetwork, LeakyPath


@dataclass(frozen=True)
class PathDescription:
    """One path of a network.

    Attributes:
        name: of the path.
        blocks: names of its blocks.
        kind: class of the blocks.
        features: what `s(A)` is, as `LayerAudit.features`.
        weights: `W_1..W_L`, float64, the bias as the last column.
        step_sizes: `rho`, float64.
        effective_depth: `L~`.
    """

    name: str
    blocks: list[str]
    kind: str
    features: str
    weights: list[np.ndarray]
    step_sizes: np.ndarray
    effective_depth: float

    @property
    def leaks(self) -> np.ndarray:
        """`1 - rho_l L~`."""
        return leak(self.step_sizes, self.effective_depth)


@dataclass(frozen=True)
class NetworkDescription:
    """A network as an audit sees it; holds no Keras object, so that sums can be read back without the network.

    Attributes:
        about: the `model` entry of an audit.
        paths: one entry for each path, first to last.
        weight_decay: `mu`.
        io_weight_decay: `mu_io`.
        dtype: of the stored weights.
        dataset: what the net was trained on, as `{"name", "split"}`, or None.
        classes: number of classes; 0 for a net that is no classifier.
    """

    about: dict[str, Any]
    paths: list[PathDescription]
    weight_decay: float
    io_weight_decay: float
    dtype: str
    dataset: dict[str, Any] | None
    classes: int


def describe_network(network: LeakyNetwork) -> NetworkDescription:
    """The `NetworkDescription` of a network.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> describe_network(LeakyMLP((4,), 2, width=6, depth=5)).paths[0].weights[0].shape
    (6, 7)
    """
    config = network.config
    return NetworkDescription(
        about={
            "name": network.name,
            "class": type(network).__name__,
            **{key: getattr(config, key) for key in ("effective_depth", "depth", "width", "task")},
            "schedule": config.schedule["name"],
            "weights_sha256": weights_sha256(network),
            **({"step_size_trace": network.step_size_trace} if network.step_size_trace else {}),
        },
        paths=[_describe_path(path) for path in network.paths],
        weight_decay=config.weight_decay,
        io_weight_decay=config.io_weight_decay,
        dtype=str(network.dtype_policy.variable_dtype),
        dataset=config.dataset,
        classes=config.classes,
    )


def _describe_path(path: LeakyPath) -> PathDescription:
    return PathDescription(
        name=path.name,
        blocks=[block.name for block in path.blocks],
        kind=type(path.blocks[0]).__name__,
        features=path.blocks[0].feature_words,
        weights=[block.weight_matrix for block in path.blocks],
        step_sizes=path.step_sizes,
        effective_depth=path.effective_depth,
    )


def weights_sha256(model: Any) -> str:
    """Hash of a Keras model's weights, in order, as little-endian bytes of their dtype."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).astype(weight.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
