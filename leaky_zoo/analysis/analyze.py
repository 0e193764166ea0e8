"""`analyze`: a model and data in, an `Audit` out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

import keras
import numpy as np

from leaky_zoo.analysis.any_model import analyze_any
from leaky_zoo.analysis.audit import Audit
from leaky_zoo.analysis.network_audit import audit_network
from leaky_zoo.analysis.network_sums import collect_shard
from leaky_zoo.analysis.records import BottleneckRank
from leaky_zoo.analysis.samples import as_array, from_dataset
from leaky_zoo.analysis.settings import AnalysisSettings, SettingsByName
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow.description import describe_network
from leaky_zoo.networks import LeakyNetwork

# Rows of s(A): a patch matrix of 3 x 3 x 455 channels and the ones; its second moment takes 134 MB a layer.
MAX_PATH_FEATURES = 4096


def analyze(
    model: keras.Model,
    x: Any,
    y: Any = None,
    settings: AnalysisSettings | None = None,
    *,
    data: dict[str, Any] | None = None,
    layers: Sequence[str] | None = None,
    track: Any = None,
    **changes: Unpack[SettingsByName],
) -> Audit:
    """Measure the geometry of a network's path on data, streaming, in float64 (paper, sections 2 and 3).

    One of our networks gets everything. Any other Keras model gets the half that needs no loss: spectra, dimensions,
    cost of identity, CKA, class variances, layer by layer. Momenta and criticality mean something only on the data the
    net was trained on, with its `mu`: pass the training split and its targets. Without targets, or at `mu = 0`, the
    audit has its representation half.

    Args:
        model: a `LeakyMLP` or `LeakyConvNet`, or any other Keras model.
        x: raw inputs, one sample per row: an array, a list of numbers, a tensor, or a `tf.data.Dataset` of such, with
            or without targets; for a model of several inputs a list of arrays or a dict by name.
        y: labels or targets as in training (ignored for an autoencoder: its inputs are). Default None.
        settings: how. Default None: the defaults of `AnalysisSettings`.
        data: what the samples are, as `{"name", "split"}`, to be written into the audit. Default None.
        layers: names of the layers of a model that is not ours; None takes every layer. Default None.
        track: wraps the iterable of batches, to draw a progress bar. Default None.
        **changes: fields of `AnalysisSettings` by name, as `gamma_0=1e-4`.

    Returns:
        The `Audit`.

    Raises:
        InvalidInputError: samples of another shape, no sample, values not finite, or an argument out of its range.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> net = LeakyMLP((4,), 2, width=6, depth=5, effective_depth=2.0, weight_decay=1e-3)
    >>> audit = analyze(net, np.random.default_rng(0).normal(size=(100, 4)), np.zeros(100, int))
    >>> len(audit.layers), audit.n, audit.gamma_0
    (5, 100, 1e-05)
    """
    chosen = replace(settings or AnalysisSettings(), **changes)
    inputs = getattr(model, "inputs", None) or []
    x, y = from_dataset(x, y, len(inputs[0].shape) if inputs else None)
    y = None if y is None else as_array(y)
    if not isinstance(model, LeakyNetwork):
        return analyze_any(model, x, y, chosen, data=data, layers=layers, track=track)
    x = as_array(x)
    features = max(path.blocks[0].weight_matrix.shape[1] for path in model.paths)
    if features > MAX_PATH_FEATURES:
        return _channels_only(model, features, x, y, chosen, data, track)
    if layers is not None:
        raise InvalidInputError(
            f"`layers` is for models that are not ours; a {type(model).__name__} is analysed whole. "
            f"Received: layers={list(layers)}"
        )
    sums = collect_shard(model, x, y, settings=chosen, track=track)
    return audit_network(describe_network(model), sums, chosen, data, y is not None or model.task.from_inputs)


def _channels_only(
    network: LeakyNetwork,
    features: int,
    x: np.ndarray,
    y: np.ndarray | None,
    settings: AnalysisSettings,
    data: dict[str, Any] | None,
    track: Any,
) -> Audit:
    """The representation half of a convolutional net whose patch matrix would not fit, block by block."""
    names = [block.name for block in network.blocks]
    audit = analyze_any(network, x, y, settings, data=data, layers=names, track=track)
    why = (
        f"the patch matrix of this net has {features} rows, above {MAX_PATH_FEATURES}: channels only, without energies"
    )
    return replace(
        audit,
        bottleneck_rank=BottleneckRank(None, None, None, f"{why}, rank not reported", []),
        undefined={**audit.undefined, **dict.fromkeys(("hamiltonian", "kinetic_energy", "criticality_residual"), why)},
        warnings=[f"{why[:1].upper()}{why[1:]}.", *audit.warnings[1:]],
    )
