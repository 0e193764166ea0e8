"""The half of an audit that needs no loss, for any Keras model: an entry for each layer, or the reason why not."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import keras
import numpy as np
from threadpoolctl import threadpool_limits

from leaky_zoo.analysis.audit import Audit
from leaky_zoo.analysis.layout import MAX_FEATURES
from leaky_zoo.analysis.recorder import Recorder
from leaky_zoo.analysis.records import BottleneckRank, LayerAudit
from leaky_zoo.analysis.samples import Samples
from leaky_zoo.analysis.settings import AnalysisSettings
from leaky_zoo.analysis.statistics import GAMMA_SWEEP, versions
from leaky_zoo.analysis.watching import call_model, find_axes, watching
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow.description import weights_sha256
from leaky_zoo.flow.sums import Subsample

BATCH = 32
MAX_CLASSES = 1000


def analyze_any(
    model: keras.Model,
    x: Any,
    y: np.ndarray | None,
    settings: AnalysisSettings,
    *,
    data: dict[str, Any] | None = None,
    layers: Sequence[str] | None = None,
    track: Any = None,
) -> Audit:
    """The representation-level audit of a model that is not ours; arguments as `analyze`, `x` as `Samples.of`.

    Raises:
        InvalidInputError: no Keras model, no sample, names that are no layers, or a model that cannot take the samples.
    """
    if not isinstance(model, keras.Model):
        raise InvalidInputError(f"analyze takes a Keras model. Received: {type(model).__name__}")
    settings.refuse_clarke("a model that is not ours")
    samples = Samples.of(x)
    labels, classes = _labels(y, samples.count)
    chosen = _named_layers(model, layers)
    built, weights = model.built, len(model.weights)
    axes = find_axes(model, chosen, samples.rows(0, 2))
    if built and len(model.weights) != weights:
        raise InvalidInputError(
            f"{model.name} made {len(model.weights) - weights} weights when it was called, at random: they are not its "
            "own. Call it on samples before it is saved."
        )
    recorder = Recorder(list(chosen), classes, Subsample.of(samples.count, settings.subsample), settings.products, axes)
    batch_size = settings.batch_size or BATCH
    with threadpool_limits(1):
        _record(recorder, model, chosen, samples, labels, batch_size, track)
        if recorder.repeats_ended:  # a model that computes one batch otherwise than another
            recorder = recorder.again_without_sharing()
            _record(recorder, model, chosen, samples, labels, batch_size, track)
        kinds = {name: type(layer).__name__ for name, layer in chosen.items()}
        measured = recorder.audits(kinds, settings.gamma_0, track)
    why = "needs a network of ours (LeakyMLP, LeakyConvNet, LeakyResNet) that knows its loss, mu and training data"
    return Audit(
        model=_about(model, len(measured)),
        data={"name": None, "split": None, **(data or {}), "is_training_split": None},
        n=samples.count,
        columns=samples.count,
        gamma_0=settings.gamma_0,
        gamma_sweep=list(GAMMA_SWEEP),
        weight_decay=None,
        io_weight_decay=None,
        dtype=str(model.dtype_policy.variable_dtype),
        loss=None,
        input={},
        layers=measured,
        summary={"measured_layers": sum(layer.reason is None for layer in measured)},
        kind="representations",
        bottleneck_rank=BottleneckRank(None, None, None, "not one of our networks: no energies, rank not reported", []),
        subsample={"samples": len(recorder.subsample.indices), "rule": "evenly spaced rows of the data"},
        products=settings.products,
        undefined={
            **dict.fromkeys(("hamiltonian", "criticality_residual", "momentum_norm", "kinetic_energy", "bounds"), why),
            **({} if classes else {"within_class_fraction": "needs integer labels"}),
        },
        warnings=_warnings(measured),
        versions=versions(),
    )


def _about(model: keras.Model, depth: int) -> dict[str, Any]:
    """Which model an audit is of, as that of one of our networks says it."""
    return {
        "name": model.name,
        "class": type(model).__name__,
        **dict.fromkeys(("effective_depth", "width", "task", "schedule")),
        "depth": depth,
        "weights_sha256": weights_sha256(model),
    }


def _record(
    recorder: Recorder,
    model: keras.Model,
    chosen: Mapping[str, keras.layers.Layer],
    samples: Samples,
    labels: np.ndarray | None,
    batch_size: int,
    track: Any,
) -> None:
    """Show all samples to a model whose layers are watched."""
    starts = range(0, samples.count, batch_size)
    with closing(recorder), watching(chosen, recorder.add):
        for start in track(starts) if track else starts:
            stop = min(start + batch_size, samples.count)
            recorder.begin(start, stop - start, None if labels is None else labels[start:stop])
            call_model(model, samples.rows(start, stop))


def _labels(y: np.ndarray | None, count: int) -> tuple[np.ndarray | None, int]:
    """Integer labels and the number of classes; none for targets that are no labels."""
    if y is None:
        return None, 0
    y = np.asarray(y)
    if len(y) != count:
        raise InvalidInputError(f"`x` and `y` must have equally many samples. Received: {count} and {len(y)}")
    if y.ndim == 2 and y.shape[1] == 1 and np.issubdtype(y.dtype, np.integer):
        y = y[:, 0]  # as Keras's own data sets have them
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= MAX_CLASSES:
        return None, 0
    return y, int(y.max()) + 1


def _named_layers(model: keras.Model, names: Sequence[str] | None) -> dict[str, keras.layers.Layer]:
    """The layers to watch by name: all of them, those inside nested models and composite layers too, or the named."""
    found: dict[str, keras.layers.Layer] = {}
    # Keras has no public walk through composite layers; `model.layers` stops at them.
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.InputLayer):
            continue
        name, copy = layer.name, 2
        while name in found:  # nested models may repeat names
            name, copy = f"{layer.name}:{copy}", copy + 1
        found[name] = layer
    if names is None:
        if not found:
            raise InvalidInputError(f"{model.name} has no layer to analyse.")
        return found
    names = [name.strip() for name in names]
    unknown = [name for name in names if name not in found]
    if unknown or not names:
        raise InvalidInputError(
            f"{model.name} has the layers {', '.join(found)}. Received: layers={', '.join(names) or 'none'}"
        )
    return {name: found[name] for name in names}


def _warnings(layers: list[LayerAudit]) -> list[str]:
    left_out = [layer for layer in layers if layer.reason is not None]
    found = ["Not one of our networks: energies, momenta and a rank need its loss, mu and training data."]
    if left_out:
        found.append(f"{len(left_out)} of {len(layers)} layers have no numbers; each says why.")
    if any(layer.features and "channels" in layer.features for layer in layers):
        found.append(
            f"Where `features` says channels the patch matrix would have more than {MAX_FEATURES} rows or makes no "
            "sense: the cost of identity there is that of single positions."
        )
    return found
