"""The audit under the strategies of training: each replica sums its share, one all-reduce adds the sums."""

from typing import Any

import numpy as np
import tensorflow as tf

from leaky_zoo.analysis import AnalysisSettings, Audit
from leaky_zoo.analysis.network_audit import audit_network
from leaky_zoo.analysis.network_sums import collect_shard
from leaky_zoo.errors import InvalidInputError, PeerLostError
from leaky_zoo.flow import NetworkSums, nested_sums
from leaky_zoo.flow.description import describe_network
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.training.strategy import PEER_ERRORS


def analyze_distributed(
    network: LeakyNetwork,
    x: np.ndarray,
    y: np.ndarray | None,
    strategy: tf.distribute.Strategy,
    settings: AnalysisSettings | None = None,
    *,
    data: dict[str, Any] | None = None,
    track: Any = None,
) -> Audit:
    """`analyze` on the replicas of a strategy; on several workers each gets the same audit.

    Args:
        network: a `LeakyMLP` or `LeakyConvNet`, the same on every worker.
        x: the whole data, on every worker.
        y: labels or targets of the whole data, or None.
        strategy: from `make_strategy`.
        settings, data, track: as `analyze`.

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
    chosen, count = settings or AnalysisSettings(), strategy.num_replicas_in_sync
    if len(x) < count:
        raise InvalidInputError(f"Each of the {count} replicas needs a sample. Received: {len(x)} samples")
    kept: list[NetworkSums] = []

    def share(context: Any) -> np.ndarray:
        shard = (context.replica_id_in_sync_group + 1, count)
        kept.append(collect_shard(network, x, y, shard, chosen, track=track))
        return nested_sums.to_vector(kept[-1])

    vectors = strategy.experimental_distribute_values_from_function(share)
    try:
        total = np.asarray(strategy.reduce(tf.distribute.ReduceOp.SUM, vectors, axis=None))
    except PEER_ERRORS as error:
        raise PeerLostError(f"Another worker has gone: {error.message}") from error
    sums = nested_sums.from_vector(kept[0], total)
    has_targets = y is not None or network.task == "autoencoding"
    return audit_network(describe_network(network), sums, chosen, data, has_targets)
