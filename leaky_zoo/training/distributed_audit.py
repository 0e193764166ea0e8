"""The audit under the strategies of training: each replica sums its share, one all-reduce adds the sums."""

from typing import Any

import numpy as np
import tensorflow as tf

from leaky_zoo.analysis import Audit
from leaky_zoo.analysis.analyze import check_settings, collect_path
from leaky_zoo.analysis.path_audit import audit_path
from leaky_zoo.errors import InvalidInputError, PeerLostError
from leaky_zoo.flow import additive
from leaky_zoo.flow.collect import BATCH
from leaky_zoo.flow.description import describe_path
from leaky_zoo.flow.stream import PathSums
from leaky_zoo.flow.sums import SUBSAMPLE, Subsample
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.training.strategy import PEER_ERRORS


def analyze_distributed(
    network: LeakyNetwork,
    x: np.ndarray,
    y: np.ndarray | None,
    strategy: tf.distribute.Strategy,
    *,
    gamma_0: float = 1e-5,
    data: dict[str, Any] | None = None,
    batch_size: int = BATCH,
    subsample: int = SUBSAMPLE,
    with_momenta: bool = True,
    products: str = "float64",
    track: Any = None,
) -> Audit:
    """`analyze` on the replicas of a strategy; on several workers each gets the same audit.

    Args:
        network: a `LeakyMLP` or `LeakyConvNet`, the same on every worker.
        x: the whole data, on every worker.
        y: labels or targets of the whole data, or None.
        strategy: from `make_strategy`.
        gamma_0, data, batch_size, subsample, with_momenta, products, track: as `analyze`.

    Returns:
        The `Audit`; it agrees with `analyze` to rounding of the sums.

    Raises:
        InvalidInputError: fewer samples than replicas, or as `analyze`.
        PeerLostError: another worker has gone.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> net = LeakyMLP((4,), 2, width=6, depth=5, effective_depth=2.0, weight_decay=1e-3)
    >>> x, y = np.random.default_rng(0).normal(size=(40, 4)), np.zeros(40, int)
    >>> analyze_distributed(net, x, y, tf.distribute.get_strategy()).n
    40
    """
    check_settings(gamma_0, batch_size, subsample, products)
    count = strategy.num_replicas_in_sync
    if len(x) < count:
        raise InvalidInputError(f"Each of the {count} replicas needs a sample. Received: {len(x)} samples")
    kept: list[PathSums] = []

    def share(context: Any) -> np.ndarray:
        place = context.replica_id_in_sync_group
        first, last = len(x) * place // count, len(x) * (place + 1) // count
        sums = collect_path(
            network,
            x[first:last],
            None if y is None else y[first:last],
            subsample=Subsample.of(len(x), subsample),
            first=first,
            batch_size=batch_size,
            with_momenta=with_momenta,
            products=products,
            track=track,
        )
        kept.append(sums)
        return additive.to_vector(sums)

    vectors = strategy.experimental_distribute_values_from_function(share)
    try:
        total = np.asarray(strategy.reduce(tf.distribute.ReduceOp.SUM, vectors, axis=None))
    except PEER_ERRORS as error:
        raise PeerLostError(f"Another worker has gone: {error.message}") from error
    sums = additive.from_vector(kept[0], total)
    has_targets = y is not None or network.task == "autoencoding"
    return audit_path(describe_path(network), sums, gamma_0, data or {}, has_targets, products)
