"""Which ReLUs of a network do nothing, measured by leaving them out."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from leaky_zoo.analysis.audit import Audit
from leaky_zoo.flow.without_relus import WithoutRelus
from leaky_zoo.geometry.subsample import even_rows
from leaky_zoo.io.reading import counted
from leaky_zoo.networks import LeakyNetwork

# Share of a classifier's samples whose class may change, or relative change of other outputs.
CLASS_TOLERANCE, OUTPUT_TOLERANCE = 0.0005, 0.02


@dataclass(frozen=True)
class Linearity:
    """What leaving ReLUs out does to a network's outputs.

    Attributes:
        relu_effects: for each layer `||f_l(x) - f(x)|| / ||f(x)||`, `f_l` the net without the ReLU of that layer alone;
            outputs that have units are standardised (`output_mean`, `output_variance`), so that none counts as zero.
        linear_stretch: `[first, last]` layer of the longest run that can go without its ReLUs; None: there is none.
        left_out: layers whose ReLUs can go all together, the stretch among them.
        tolerance: what "can go" means.
        measure: "classes": share of the samples whose largest output is another; "outputs": relative change.
        samples: that it was measured on.
    """

    relu_effects: list[float]
    linear_stretch: list[int] | None
    left_out: list[int]
    tolerance: float
    measure: str
    samples: int

    @property
    def effective_nonlinear_depth(self) -> dict[str, Any]:
        """`{"layers", "tolerance", "measure", "samples"}`, as the summary of an audit has it."""
        facts = {"tolerance": self.tolerance, "measure": self.measure, "samples": self.samples}
        return {"layers": len(self.relu_effects) - len(self.left_out), **facts}


def measure_linearity(
    network: LeakyNetwork, x: np.ndarray, *, samples: int | None = None, tolerance: float | None = None
) -> Linearity:
    """Leave out each ReLU, then runs of them, then as many as can go.

    The longest run is found with two pointers (a run that is too long stays so when it grows): at most `2 L` passes. To
    it the other layers are added from the least effect on, each kept if the change stays within the tolerance. This
    project.

    Args:
        network: any of ours.
        x: raw inputs.
        samples: evenly spaced ones of these that are used. Default None: all.
        tolerance: of the change. Default None: 0.0005 of the samples change class, or 0.02 of other outputs.

    Returns:
        The `Linearity`.

    Raises:
        InvalidInputError: no sample.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> net = LeakyMLP((4,), 2, width=8, depth=5)
    >>> found = measure_linearity(net, np.random.default_rng(0).normal(size=(50, 4)).astype("float32"))
    >>> len(found.relu_effects), found.measure
    (5, 'classes')
    """
    chosen = x if samples is None else x[even_rows(len(x), samples)]
    runs, by_class = WithoutRelus(network, chosen), network.task.labels

    def outputs(layers: Collection[int] = ()) -> np.ndarray:
        return standardised(network, runs.outputs(layers))

    full = outputs()
    allowed = tolerance if tolerance is not None else CLASS_TOLERANCE if by_class else OUTPUT_TOLERANCE

    def holds(layers: set[int]) -> bool:
        found = outputs(layers)
        change = class_change(found, full) if by_class else relative_change(found, full)
        return bool(change <= allowed)

    effects = [relative_change(outputs({layer}), full) for layer in range(1, runs.depth + 1)]
    first, last, best = 1, 0, (1, 0)
    while last < runs.depth:
        last += 1
        while first <= last and not holds(set(range(first, last + 1))):
            first += 1
        best = max(best, (first, last), key=lambda run: run[1] - run[0])
    left_out = set(range(best[0], best[1] + 1))
    for layer in sorted(set(range(1, runs.depth + 1)) - left_out, key=lambda layer: effects[layer - 1]):
        if holds(left_out | {layer}):
            left_out.add(layer)
    stretch = list(best) if best[1] >= best[0] else None
    return Linearity(effects, stretch, sorted(left_out), allowed, "classes" if by_class else "outputs", len(chosen))


def with_linearity(audit: Audit, network: LeakyNetwork, x: np.ndarray, samples: int) -> Audit:
    """The audit with `relu_effect`, `linear_stretch` and `effective_nonlinear_depth`; as it was for 0 samples."""
    if not samples:
        return audit
    found = measure_linearity(network, x, samples=samples)
    pairs = zip(audit.layers, found.relu_effects, strict=True)
    facts = {
        "linear_stretch": found.linear_stretch,
        "effective_nonlinear_depth": found.effective_nonlinear_depth,
    }
    return replace(
        audit,
        layers=[replace(layer, relu_effect=effect) for layer, effect in pairs],
        summary={**audit.summary, **facts},
    )


def standardised(network: LeakyNetwork, outputs: np.ndarray) -> np.ndarray:
    """A network's outputs with the mean and the variance of its targets taken off, in float64; logits as they are."""
    config = network.config
    return (outputs.astype(np.float64) - np.asarray(config.output_mean)) / np.sqrt(config.output_variance)


def relative_change(found: np.ndarray, full: np.ndarray) -> float:
    """`||found - full|| / ||full||`, in float64."""
    scale = float(np.linalg.norm(full.astype(np.float64)))
    change = float(np.linalg.norm(found.astype(np.float64) - full))
    return change / scale if scale > 0 else float(change > 0)


def class_change(found: np.ndarray, full: np.ndarray) -> float:
    """Share of the rows whose largest entry is at another place."""
    return float(np.mean(found.argmax(-1) != full.argmax(-1)))


def linearity_sentence(audit: Audit) -> str:
    """One sentence on the linear stretch of an audit that has measured it."""
    depth, stretch = audit.summary["effective_nonlinear_depth"], audit.summary["linear_stretch"]
    what = "of the classes" if depth["measure"] == "classes" else "of the outputs"
    change = f"{100 * depth['tolerance']:g}% {what} change ({counted(depth['samples'], 'sample')})"
    if depth["layers"] == len(audit.layers):
        words = f"All {len(audit.layers)} ReLUs do something: without any one of them more than {change}"
    else:
        words = f"{depth['layers']} of {len(audit.layers)} ReLUs do something: without the others at most {change}"
    if stretch is None:
        return f"{words}."
    return f"{words}; layer{'s' if stretch[0] != stretch[1] else ''} {'-'.join(map(str, dict.fromkeys(stretch)))} " + (
        "are one affine map." if stretch[0] != stretch[1] else "is affine."
    )
