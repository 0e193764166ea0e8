"""What the numbers of a path need of its network, beside the sums over samples: weights, steps, settings."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from leaky_zoo.geometry import leak
from leaky_zoo.networks import LeakyConvNet, LeakyNetwork


@dataclass(frozen=True)
class PathModel:
    """A network as an audit sees it; holds no Keras object, so that sums can be read back without the network.

    Attributes:
        about: the `model` entry of an audit.
        names: of the blocks.
        kind: class of the blocks.
        features: what `s(A)` is, as `LayerAudit.features`.
        weights: `W_1..W_L`, float64, the bias as the last column.
        step_sizes: `rho`, float64.
        effective_depth: `L~`.
        weight_decay: `mu`.
        io_weight_decay: `mu_io`.
        dtype: of the stored weights.
        dataset: what the net was trained on, as `{"name", "split"}`, or None.
        classes: number of classes; 0 for a net that is no classifier.
    """

    about: dict[str, Any]
    names: list[str]
    kind: str
    features: str
    weights: list[np.ndarray]
    step_sizes: np.ndarray
    effective_depth: float
    weight_decay: float
    io_weight_decay: float
    dtype: str
    dataset: dict[str, Any] | None
    classes: int

    @property
    def leaks(self) -> np.ndarray:
        """`1 - rho_l L~`."""
        return leak(self.step_sizes, self.effective_depth)


def describe_path(network: LeakyNetwork) -> PathModel:
    """The `PathModel` of a network.

    Example:
    >>> from leaky_zoo.geometry import leak
    from leaky_zoo.networks import LeakyMLP
    >>> describe_path(LeakyMLP((4,), 2, width=6, depth=5)).weights[0].shape
    (6, 7)
    """
    settings = network.settings
    side = settings.get("kernel_size") if isinstance(network, LeakyConvNet) else None
    return PathModel(
        about={
            "name": network.name,
            "class": type(network).__name__,
            **{key: settings[key] for key in ("effective_depth", "depth", "width", "task")},
            "schedule": settings["schedule"]["name"],
            "weights_sha256": weights_sha256(network),
            **({"step_size_trace": network.step_size_trace} if network.step_size_trace else {}),
        },
        names=[block.name for block in network.blocks],
        kind=type(network.blocks[0]).__name__,
        features=f"patches {side}x{side}" if side else "units",
        weights=[block.weight_matrix for block in network.blocks],
        step_sizes=network.paths[0].step_sizes,
        effective_depth=network.effective_depth,
        weight_decay=settings["weight_decay"],
        io_weight_decay=settings["io_weight_decay"],
        dtype=str(network.dtype_policy.variable_dtype),
        dataset=settings["dataset"],
        classes=settings["output_size"] if network.task == "classification" else 0,
    )


def weights_sha256(model: Any) -> str:
    """Hash of a Keras model's weights, in order, as little-endian bytes of their dtype."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).astype(weight.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
