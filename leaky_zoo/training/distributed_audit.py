"""The audit under the strategies of training: each replica sums its share, one all-reduce adds the sums."""

from typing import Any

import numpy as np

from leaky_zoo.analysis import AnalysisSettings, Audit
from leaky_zoo.analysis.content import with_content
from leaky_zoo.analysis.network_audit import audit_network
from leaky_zoo.analysis.network_sums import collect_shard
from leaky_zoo.analysis.settings import checked_data
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow import NetworkSums, nested_sums
from leaky_zoo.flow.description import describe_network
from leaky_zoo.flow.precision import in_float64
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.training.strategy import Strategy


def analyze_distributed(
    network: LeakyNetwork,
    x: np.ndarray,
    y: np.ndarray | None,
    strategy: Strategy,
    settings: AnalysisSettings | None = None,
    *,
    data: dict[str, Any] | None = None,
    track: Any = None,
) -> Audit:
    """`analyze` on the replicas of a strategy; on several workers each gets the same audit.

    Args:
        network: a `LeakyMLP`, `LeakyConvNet` or `LeakyResNet`, the same on every worker.
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
    >>> from leaky_zoo.training import make_strategy
    >>> net = LeakyMLP((4,), 2, width=6, depth=5, effective_depth=2.0, weight_decay=1e-3)
    >>> x, y = np.random.default_rng(0).normal(size=(40, 4)), np.zeros(40, int)
    >>> analyze_distributed(net, x, y, make_strategy("cpu")).n
    40
    """
    chosen, count = settings or AnalysisSettings(), strategy.replicas
    data = with_content(network, x, y, checked_data(data))
    chosen.refuse_clarke("replicas: it needs all samples at once")
    if chosen.relu_samples:
        raise InvalidInputError(
            f"ReLUs are left out on one device only: use relu_samples=0. Received: relu_samples={chosen.relu_samples}"
        )
    if len(x) < count:
        raise InvalidInputError(f"Each of the {count} replicas needs a sample. Received: {len(x)} samples")
    kept: list[NetworkSums] = []
    exact = in_float64(network)  # here: a replica makes no variables

    def share(replica: int) -> np.ndarray:
        kept.append(collect_shard(exact, x, y, (replica + 1, count), chosen, track=track))
        return nested_sums.to_vector(kept[-1])

    total = strategy.sum_over_replicas(share)
    sums = nested_sums.from_vector(kept[0], total)
    has_targets = y is not None or network.task.from_inputs
    return audit_network(describe_network(network), sums, chosen, data, has_targets)
