"""The sums of one of our networks over its data or a shard of them; what does not fit the network is refused first."""

from typing import Any

import numpy as np

from leaky_zoo.analysis.settings import AnalysisSettings
from leaky_zoo.data.found import part_of
from leaky_zoo.data.python_objects import arrays
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow.collect import collect
from leaky_zoo.flow.stream import NetworkSums
from leaky_zoo.flow.sums import Subsample
from leaky_zoo.networks import LeakyNetwork


def collect_shard(
    network: LeakyNetwork,
    x: np.ndarray,
    y: np.ndarray | None,
    shard: tuple[int, int] = (1, 1),
    settings: AnalysisSettings | None = None,
    *,
    track: Any = None,
) -> NetworkSums:
    """The sums over rows `N (i - 1) / n` to `N i / n`.

    Args:
        network: a `LeakyMLP`, `LeakyConvNet` or `LeakyResNet`.
        x: the **whole** data; only the shard's rows are used.
        y: labels or targets of the whole data, or None.
        shard: `(i, n)`, the i-th of n, from 1. Default `(1, 1)`: all.
        settings: Default None: the defaults.
        track: wraps the iterable of batches, to draw a progress bar. Default None.

    Returns:
        The `NetworkSums`; without momenta where there are no targets or `mu` is 0.

    Raises:
        InvalidInputError: samples or targets that the network does not take, no sample, or values not finite.
    """
    chosen, config = settings or AnalysisSettings(), network.config
    if tuple(x.shape[1:]) != config.input_shape:
        raise InvalidInputError(f"The network takes samples of shape {config.input_shape}. Received: x.shape={x.shape}")
    if y is not None and len(y) != len(x) and not network.task.from_inputs:
        raise InvalidInputError(f"`x` and `y` must have equally many samples. Received: {len(x)} and {len(y)}")
    first, last = (len(x) * place // shard[1] for place in (shard[0] - 1, shard[0]))
    part = part_of(x, slice(first, last))
    targets = network.task.targets(part, None if y is None else y[first:last])
    if targets is not None:
        part, targets = arrays(part, targets)
        network.check_targets(targets)
    return collect(
        network,
        part,
        targets,
        chosen.batch_size,
        track,
        with_momenta=chosen.with_momenta and targets is not None and config.weight_decay > 0,
        classes=config.classes if targets is not None else 0,
        subsample=Subsample.of(len(x), chosen.subsample),
        first=first,
        products=chosen.products,
    )
