"""`analyze`: a model and data in, an `Audit` out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from leaky_zoo.analysis.audit import Audit, BottleneckRank
from leaky_zoo.analysis.path_audit import audit_path
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow.collect import BATCH, collect
from leaky_zoo.flow.description import describe_path
from leaky_zoo.flow.stream import PathSums
from leaky_zoo.flow.sums import SUBSAMPLE, Subsample
from leaky_zoo.geometry.sums import PRODUCTS
from leaky_zoo.networks import LeakyNetwork

# Rows of s(A): a patch matrix of 3 x 3 x 455 channels and the ones; its second moment takes 134 MB a layer.
MAX_PATH_FEATURES = 4096


def analyze(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray | None = None,
    *,
    gamma_0: float = 1e-5,
    data: dict[str, Any] | None = None,
    layers: Sequence[str] | None = None,
    batch_size: int | None = None,
    subsample: int = SUBSAMPLE,
    with_momenta: bool = True,
    products: str = "float64",
    track: Any = None,
) -> Audit:
    """Measure the geometry of a network's path on data, streaming, in float64 (paper, sections 2 and 3).

    One of our networks gets everything. Any other Keras model gets the half that needs no loss: spectra, dimensions,
    cost of identity, CKA, class variances, layer by layer. Momenta and criticality mean something only on the data the
    net was trained on, with its `mu`: pass the training split and its targets. Without targets, or at `mu = 0`, the
    audit has its representation half.

    Args:
        model: a `LeakyMLP` or `LeakyConvNet`, or any other Keras model that takes one array.
        x: raw inputs, one sample per row.
        y: labels or targets as in training (ignored for an autoencoder: its inputs are). Default None.
        gamma_0: relative regulariser, in [1e-12, 1]. Default 1e-5.
        data: what the samples are, as `{"name", "split"}`, to be written into the audit. Default None.
        layers: names of the layers of a model that is not ours; None takes every layer. Default None.
        batch_size: samples at a time. Default None: 1024 for ours, 32 for others.
        subsample: samples kept for intrinsic dimensions and the projection, at least 2. Default 1000.
        with_momenta: False leaves the momenta out, for a third to a half of the time. Default True.
        products: "float64", or "float32": products of a batch in float32, their sums in float64; faster, and singular
            values below about 3e-4 of the largest are then rounding. Default "float64".
        track: wraps the iterable of batches, to draw a progress bar. Default None.

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
    x = np.asarray(x)
    check_settings(gamma_0, batch_size, subsample, products)
    if not isinstance(model, LeakyNetwork):
        from leaky_zoo.analysis.any_model import analyze_any

        return analyze_any(model, x, y, gamma_0, data or {}, layers, batch_size or 32, subsample, products, track)
    features = model.blocks[0].weight_matrix.shape[1]
    if features > MAX_PATH_FEATURES:
        return _channels_only(model, features, x, y, gamma_0, data or {}, batch_size or 32, subsample, products, track)
    if layers is not None:
        raise InvalidInputError(
            f"`layers` is for models that are not ours; a {type(model).__name__} is analysed whole. "
            f"Received: layers={list(layers)}"
        )
    sums = collect_path(
        model,
        x,
        y,
        batch_size=batch_size or BATCH,
        subsample=Subsample.of(len(x), subsample),
        with_momenta=with_momenta,
        products=products,
        track=track,
    )
    has_targets = y is not None or model.task == "autoencoding"
    return audit_path(describe_path(model), sums, gamma_0, data or {}, has_targets, products)


def _channels_only(network: LeakyNetwork, features: int, x: np.ndarray, *settings: Any) -> Audit:
    """The representation half of a convolutional net whose patch matrix would not fit, block by block."""
    from leaky_zoo.analysis.any_model import analyze_any

    y, gamma_0, data, batch_size, subsample, products, track = settings
    names = [block.name for block in network.blocks]
    audit = analyze_any(network, x, y, gamma_0, data, names, batch_size, subsample, products, track)
    why = (
        f"the patch matrix of this net has {features} rows, above {MAX_PATH_FEATURES}: channels only, without energies"
    )
    return replace(
        audit,
        bottleneck_rank=BottleneckRank(None, None, None, f"{why}, rank not reported", []),
        undefined={**audit.undefined, **dict.fromkeys(("hamiltonian", "kinetic_energy", "criticality_residual"), why)},
        warnings=[f"{why[:1].upper()}{why[1:]}.", *audit.warnings[1:]],
    )


def collect_path(
    network: LeakyNetwork,
    x: np.ndarray,
    y: np.ndarray | None,
    *,
    subsample: Subsample,
    first: int = 0,
    batch_size: int = BATCH,
    with_momenta: bool = True,
    products: str = "float64",
    track: Any = None,
    threads: int | None = None,
) -> PathSums:
    """The sums of one of our networks on (a shard of) its data, checked; arguments as `analyze` and `collect`.

    Raises:
        InvalidInputError: samples or targets that the network does not take, no sample, or values not finite.
    """
    settings = network.settings
    if tuple(x.shape[1:]) != tuple(settings["input_shape"]):
        raise InvalidInputError(
            f"The network takes samples of shape {tuple(settings['input_shape'])}. Received: x.shape={x.shape}"
        )
    if network.task == "autoencoding":
        y = x.astype(np.float32)
    if y is not None and len(y) != len(x):
        raise InvalidInputError(f"`x` and `y` must have equally many samples. Received: {len(x)} and {len(y)}")
    if y is not None:
        y = np.asarray(y)
        network.check_targets(y)
    return collect(
        network,
        x,
        y,
        batch_size,
        track,
        with_momenta=with_momenta and y is not None and settings["weight_decay"] > 0,
        classes=settings["output_size"] if y is not None and network.task == "classification" else 0,
        subsample=subsample,
        first=first,
        products=products,
        threads=threads,
    )


def check_settings(gamma_0: float, batch_size: int | None, subsample: int, products: str) -> None:
    """Refuse settings of an analysis that are out of their range."""
    if not 1e-12 <= gamma_0 <= 1:
        raise InvalidInputError(f"`gamma_0` must be in [1e-12, 1]. Received: gamma_0={gamma_0}")
    if batch_size is not None and batch_size < 1:
        raise InvalidInputError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}")
    if subsample < 2:
        raise InvalidInputError(f"`subsample` must be at least 2 samples. Received: subsample={subsample}")
    if products not in PRODUCTS:
        raise InvalidInputError(f"`products` is 'float64' or 'float32'. Received: products={products!r}")
