"""`analyze`: a model and data in, an `Audit` out."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Unpack

import keras
import numpy as np

from leaky_zoo.analysis.any_model import analyze_any
from leaky_zoo.analysis.audit import Audit
from leaky_zoo.analysis.content import with_content
from leaky_zoo.analysis.linearity import with_linearity
from leaky_zoo.analysis.network_audit import audit_network
from leaky_zoo.analysis.network_sums import collect_shard
from leaky_zoo.analysis.records import BottleneckRank
from leaky_zoo.analysis.samples import as_array, from_dataset
from leaky_zoo.analysis.settings import AnalysisSettings, SettingsByName, checked_data
from leaky_zoo.arguments import check_names
from leaky_zoo.data.for_network import samples_for
from leaky_zoo.data.python_objects import arrays
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow.description import describe_network
from leaky_zoo.flow.kinks import KinkFinder
from leaky_zoo.flow.precision import in_float64
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

    A net of ours runs in float64 too, whatever its own dtype is; on Keras's JAX backend its stem, transitions and head
    do only where `jax_enable_x64` is set.

    One of our networks gets everything. Any other Keras model gets the half that needs no loss: spectra, dimensions,
    cost of identity, CKA, class variances, layer by layer. Momenta and criticality mean something only on the data the
    net was trained on, with its `mu`: pass the training split and its targets. Without targets, or at `mu = 0`, the
    audit has its representation half.

    Args:
        model: a `LeakyMLP`, `LeakyConvNet` or another network of ours, or any other Keras model.
        x: raw inputs, one sample per row: an array, what numpy takes as one, a tensor, a frame, or the streamed inputs
            of a `Dataset`; or a `tf.data.Dataset` or `PyDataset` of such, with or without targets; for a model of
            several inputs a list of arrays or a dict by name.
        y: labels or targets as in training (ignored for an autoencoder: its inputs are). Default None.
        settings: how. Default None: the defaults of `AnalysisSettings`.
        data: what the samples are, as `{"name", "split"}`, to be written into the audit. Default None. Whether they are
            the training split is known by their content, where the net stores its hash, else by these names.
        layers: names of the layers of a model that is not ours; None takes every layer. Default None.
        track: wraps the iterable of batches, to draw a progress bar. Default None.
        **changes: fields of `AnalysisSettings` by name, as `gamma_0=1e-4`.

    Returns:
        The `Audit`.

    Raises:
        InvalidInputError: samples of another shape, no sample, values not finite, an argument out of its range, `data`
            that is not a dict or misspells a key, or `clarke` for a net or data that have no Clarke residual.
        TypeError: an argument that does not exist; the message names the nearest one.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> net = LeakyMLP((4,), 2, width=6, depth=5, effective_depth=2.0, weight_decay=1e-3)
    >>> audit = analyze(net, np.random.default_rng(0).normal(size=(100, 4)), np.zeros(100, int))
    >>> len(audit.layers), audit.n, audit.gamma_0
    (5, 100, 1e-05)
    """
    data = checked_data(data)
    check_names(changes, (field.name for field in fields(AnalysisSettings)), "analyze")
    chosen = replace(settings or AnalysisSettings(), **changes)
    if not isinstance(model, LeakyNetwork):
        if chosen.relu_samples:
            raise InvalidInputError(
                f"Only ReLUs of our networks can be left out; use relu_samples=0 with a {type(model).__name__}. "
                f"Received: relu_samples={chosen.relu_samples}"
            )
        x, y = _foreign_samples(model, x, y)
        return analyze_any(model, x, y, chosen, data=data, layers=layers, track=track)
    x, y = samples_for(model, x, y)
    model.check_inputs(x)
    features = max(path.blocks[0].weight_matrix.shape[1] for path in model.paths)
    if features > MAX_PATH_FEATURES:
        return with_linearity(_channels_only(model, features, x, y, chosen, data, track), model, x, chosen.relu_samples)
    if layers is not None:
        raise InvalidInputError(
            f"`layers` is for models that are not ours; a {type(model).__name__} is analysed whole. "
            f"Received: layers={list(layers)}"
        )
    has_targets = y is not None or model.task.from_inputs
    exact = in_float64(model)
    kinks = None
    if chosen.clarke:
        if not has_targets or not chosen.with_momenta:
            raise InvalidInputError("`clarke` needs momenta, and they need targets `y`. Received: clarke=True")
        targets = model.task.targets(x, y)
        kinks = KinkFinder(exact, x, np.asarray(targets))(control=True)
    data = with_content(model, x, y, data)
    sums = collect_shard(exact, x, y, settings=chosen, track=track)
    audit = audit_network(describe_network(model), sums, chosen, data, has_targets, kinks)
    return with_linearity(audit, model, x, chosen.relu_samples)


def _foreign_samples(model: keras.Model, x: Any, y: Any) -> tuple[Any, Any]:
    """Samples in the structure that the model takes, and targets as an array."""
    if isinstance(x, Mapping | list | tuple | keras.utils.PyDataset) or hasattr(x, "element_spec"):
        inputs = getattr(model, "inputs", None) or []
        x, y = from_dataset(x, y, len(inputs[0].shape) if inputs else None)
    else:
        x, y = arrays(x, y)
    return x, None if y is None else as_array(y)


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
