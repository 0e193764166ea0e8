"""What samples are, beside their names: the hash of their content, as a recipe keeps it of the training split."""

from typing import Any

import numpy as np

from leaky_zoo.data import content_sha256
from leaky_zoo.networks import LeakyNetwork


def with_content(network: LeakyNetwork, x: Any, y: Any, data: dict[str, Any] | None) -> dict[str, Any] | None:
    """What is said of the samples, with the hash of their content where the network has one to compare with.

    Args:
        network: a network of ours.
        x: raw inputs.
        y: its labels or targets, or None; those of an autoencoder are its inputs, and not looked at.
        data: what the caller says of them.

    Returns:
        `data` with `sha256`; as it was where the caller gives a hash, the network has none, or targets are missing.
    """
    itself = network.task.from_inputs
    if not (network.config.dataset or {}).get("sha256") or (data or {}).get("sha256") or (y is None and not itself):
        return data
    # Recipes see the targets of a regression as a table.
    targets = None if itself else y if network.task.labels else np.asarray(y).reshape(len(y), -1)
    return {**(data or {}), "sha256": content_sha256(x, targets)}
