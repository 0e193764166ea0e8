"""How many samples an audit looks at together."""

import numpy as np
import pytest

from leaky_zoo.flow.collect import FEATURE_BYTES, batch_of
from leaky_zoo.networks import LeakyConvNet, LeakyMLP, LeakyResNet


@pytest.mark.parametrize("channels", [4, 32])
def test_a_layers_features_stay_within_their_bytes(channels):
    """Whatever the network: the patches of a batch take no more than they may, and twice as many would take more."""
    net = LeakyResNet((64, 64, 3), 2, widths=(channels, 2 * channels), depths=(2, 2), effective_depth=1.0,
                      data_format="channels_last")  # fmt: skip
    count = batch_of(net)
    largest = max(
        8 * path.blocks[0].features(np.zeros((1, *path.representations[0].shape[1:]))).size for path in net.paths
    )
    assert count * largest <= FEATURE_BYTES < 2 * (count + 1) * largest


def test_narrow_nets_keep_their_batches():
    """Sums of an MLP, and so its audit's bits, are what they were."""
    assert batch_of(LeakyMLP((4,), 2, width=256, depth=4, effective_depth=1.0)) == 1024
    assert batch_of(LeakyConvNet((8, 8, 1), 2, width=4, depth=4, effective_depth=1.0)) > 100
