"""What a page says of its pictures: captions of what is drawn, alternatives in words for what is seen, a glossary."""

from collections.abc import Sequence

import numpy as np

from leaky_zoo.analysis.audit import Audit
from leaky_zoo.analysis.bottleneck import CRITICAL, in_words
from leaky_zoo.analysis.records import BottleneckRank, LayerAudit
from leaky_zoo.figures.panels import measured_layers

# What the words and columns of a page mean, in the order in which a reader meets them.
GLOSSARY = {
    "effective_depth": ("effective depth, L~", "How much of its input each unit of depth forgets: a layer takes "
        "A to (1 - rho L~) A + rho W s(A). At 0 the net is a plain ResNet."),
    "step_size": ("rho, p", "Step size of a layer, and the position along the path: the steps before it, summed; 0 at "
        "the first representation, 1 at the last."),
    "representation": ("A_l, W_l", "The representation after layer l, one column for each sample; the weights of "
        "layer l."),
    "cost_of_identity": ("cost of identity, COI", "How much weight it takes to map a representation onto itself "
        "through the ReLU. For non-negative data it is their dimension; noise and gamma_0 change it."),
    "plateau": ("gamma_0, plateau", "The regulariser of the energies, relative to the size of the representation. "
        "Where the cost of identity hardly changes over a decade of gamma_0, it is a dimension: a plateau."),
    "bottleneck_rank": ("bottleneck rank", "How many directions the representations of the narrow layers have. "
        "Reported where the net is at a critical point and what the layers write has a gap."),
    "rank_from_hamiltonian": ("-2H/L~", "The same number by another way, from the Hamiltonian; at a critical point it "
        "comes up to the rank from below."),
    "criticality_residual": ("criticality residual", "How far the weights of a layer are from where training would "
        f"leave them for ever: 0 at a critical point; below {CRITICAL:g} energies are conserved to a few percent."),
    "kinetic_energy": ("kinetic, potential, H", "Energies of the path through the layers: what moves the "
        "representation, what its dimension costs (-L~/2 COI), and the Hamiltonian, which a critical path conserves."),
    "out_of_image_fraction": ("out of image", "Part of a representation that no weights behind the ReLU reproduce."),
    "weight_norm": ("‖W‖", "Frobenius norm of a layer's weights."),
    "clarke_residual": ("Clarke residual", "The same with the best choice of slopes for ReLUs that stand on their "
        "kink. Where it was measured, it decides whether a layer is critical."),
    "written_directions": ("directions, gap; directions of W, gap of W", "How many singular values of what a layer "
        "writes, W s(A), stand before the largest gap, and how large that gap is, as a ratio; the same of the weights "
        "alone."),
    "negative_share": ("negative, ReLU effect", "Share of a representation that the next ReLU cuts off, and how much "
        "the outputs change where that ReLU is left out."),
    "stable_rank": ("stable rank, part. ratio, nuclear rank", "Soft ranks of a representation: near the number of "
        "directions that carry most of it; no integers."),
    "two_nn_dimension": ("TwoNN, MLE", "Intrinsic dimensions, from distances to nearest neighbours: they see a curved "
        "sheet as a sheet."),
    "distance": ("distance, turn °", "How far a layer moves the representation, relative to its size, and the angle "
        "between two steps."),
    "cka_with_previous": ("CKA", "Similarity of a representation with the one before, from 0 to 1."),
    "within_class_fraction": ("within class", "Variance within the classes over all variance: 0 at neural collapse."),
    "mu": ("mu, mu_io", "Weight decay of the layers of the path, and of the maps into and out of it."),
}  # fmt: skip
# Fields beside the one that an entry is called by.
_ALSO = {
    "kinetic_energy": ("potential_energy", "hamiltonian"),
    "written_directions": ("written_gap", "weight_directions", "weight_gap"),
    "negative_share": ("relu_effect",),
    "stable_rank": ("participation_ratio", "nuclear_norm_rank"),
    "two_nn_dimension": ("mle_dimension",),
    "distance": ("turning_angle",),
}
_ALWAYS = ("bottleneck_rank", "effective_depth", "representation", "mu")


def glossary_of(audit: Audit) -> list[tuple[str, str]]:
    """Words and their meanings, those of which the page of an audit has numbers."""
    path = audit.kind == "path"
    known = {
        name
        for name in GLOSSARY
        if any(
            getattr(layer, each, None) is not None for layer in audit.layers for each in (name, *_ALSO.get(name, ()))
        )
    }
    chosen = known | (set(_ALWAYS) if path else {"representation"})
    return [GLOSSARY[name] for name in GLOSSARY if name in chosen]


def interval_words(rank: BottleneckRank) -> str:
    """What the two ends of a rank's interval say.

    Example:
    >>> interval_words(BottleneckRank(4, 4, 4, "", [3])).partition(":")[0]
    'Both bounds say 4'
    """
    low, high = rank.low, rank.high
    ends = (
        "the lower one counts the directions that stay fixed through these layers (or -2H/L~, which approaches the "
        "rank from below), the upper one those that the layers around still write"
    )
    if low == high:
        return f"Both bounds say {low}: {ends}."
    return (
        f"Between {low} and {high}: {ends}. The truth may be any whole number from one to the other; "
        f"{rank.estimate} is what the narrowest layer writes."
    )


def caption(audit: Audit, panel: str) -> str:
    """A sentence on a panel that speaks of nothing that is not drawn in it."""
    layers = measured_layers(audit)
    flat = any(layer.plateau for layer in layers)
    if panel == "dimension":
        words = (
            "Where the cost of identity sits on a plateau of gamma_0 (squares) it is a dimension"
            if flat
            else "No layer is on a plateau of gamma_0, so the cost of identity is not a dimension here"
        )
        ranks = any((layer.rank_from_hamiltonian or 0) > 0 for layer in layers)
        return words + ("; -2H/L~ (triangles) approaches it from below." if ranks else ".")
    if panel == "energies":
        sentences = []
        if any(layer.hamiltonian is not None for layer in layers):
            sentences.append("On a critical path the momentum form of H is constant.")
        if any(layer.kinetic_plus_potential is not None for layer in layers):
            sentences.append("Kinetic + potential may be flat long before that: it proves nothing.")
        return " ".join(sentences) or "Energies at the input of each step."
    if panel == "gamma_sweep":
        stays = "What stays over a decade (squares) is a dimension." if flat else "Here nothing stays over a decade."
        return f"gamma_0 decides every cost of identity. {stays}"
    if panel == "weight_directions":
        rank = audit.bottleneck_rank
        if rank and rank.layers:
            return "Where it is shaded, as many singular values of the weights stand out as there are directions."
        return "A bottleneck would show as a few singular values that stand out from all others."
    if panel == "similarity":
        return "CKA near 1: the layer changes little." + (
            " Variance within classes near 0: neural collapse."
            if any(layer.within_class_fraction is not None for layer in layers)
            else ""
        )
    if panel == "intrinsic_dimensions":
        known = any(layer.two_nn_dimension is not None or layer.mle_dimension is not None for layer in layers)
        return "Soft ranks are not integers" + (
            "; intrinsic dimensions see a curved sheet as what it is." if known else "."
        )
    if panel == "linearity":
        stretch = " (shaded)" if audit.summary.get("linear_stretch") else ""
        return f"Where little of A is negative, the next ReLU does nothing, and layers fold into one{stretch}."
    return _FIXED[panel]


_FIXED = {
    "representation_spectra": "A bottleneck is a dark edge: few directions above, nothing below.",
    "weight_spectra": "The same for the weights of each step.",
    "projection": "Each line is one sample from A_0 (cross) to A_L (dot); at a bottleneck it jumps in, drifts slowly, "
    "and jumps out.",
    "step_sizes": "How far each step goes along the path; dashed: equal steps.",
    "step_size_trace": "How the schedule moved the steps; lines that have gone flat have arrived.",
    "criticality": "Above the dashed line the energies of a layer are not conserved.",
}


def alternative(audit: Audit, panel: str) -> str:
    """What is seen in a panel, for those who do not see it: the numbers that its lines go through."""
    layers, count = measured_layers(audit), len(audit.layers)
    if panel in ("representation_spectra", "weight_spectra"):
        return _spectra(layers, "singular_values" if panel == "representation_spectra" else "weight_singular_values")
    if panel == "gamma_sweep":
        flat = [layer for layer in layers if layer.plateau]
        costs = [layer.plateau["cost_of_identity"] for layer in flat if layer.plateau]
        where = (
            f"flat in {in_words([layer.layer for layer in flat])}, at {_range(costs)}" if flat else "flat in no layer"
        )
        return f"Cost of identity of {count} layers against gamma_0, {where}."
    if panel == "weight_directions":
        found = [layer for layer in layers if layer.weight_directions]
        counts = [f"{layer.weight_directions} in layer {layer.layer}" for layer in found]
        stand = f"those that stand before a gap: {', '.join(counts)}" if counts else "none stands out"
        return f"The largest singular values of the weights of {count} layers; {stand}."
    if panel == "projection":
        path = audit.per_path()[-1].projection
        assert path is not None
        shares = " and ".join(f"{100 * share:.0f}%" for share in path["explained"])
        samples = np.asarray(path["coordinates"]).shape[1]
        return f"Paths of {samples} samples in two principal components, with {shares} of the variance."
    if panel == "step_size_trace":
        trace = audit.model["step_size_trace"]
        begin, end = trace[0]["step_sizes"], trace[-1]["step_sizes"]
        return f"Step sizes over {len(trace)} updates: {_range(begin)} at the first, {_range(end)} at the last."
    lines = [_line(words, layers, name) for words, name in _LINES[panel]]
    return f"{_SUBJECT[panel]}, {count} layers: {'; '.join(filter(None, lines))}."


_SUBJECT = {
    "dimension": "Dimension of the representation along the path",
    "energies": "Energies along the path",
    "step_sizes": "Step sizes along the path",
    "criticality": f"Criticality residual along the path, with a line at {CRITICAL:g}",
    "intrinsic_dimensions": "Soft ranks and intrinsic dimensions by layer",
    "similarity": "Similarity and class variance by layer",
    "linearity": "What the ReLUs do by layer",
}
_LINES = {
    "dimension": [("cost of identity", "cost_of_identity"), ("-2H/L~", "rank_from_hamiltonian")],
    "energies": [
        ("kinetic energy", "kinetic_energy"), ("potential energy", "potential_energy"), ("Hamiltonian", "hamiltonian"),
        ("kinetic + potential", "kinetic_plus_potential"),
    ],
    "step_sizes": [("step size", "step_size")],
    "criticality": [("residual", "criticality_residual")],
    "intrinsic_dimensions": [
        ("stable rank", "stable_rank"), ("participation ratio", "participation_ratio"),
        ("nuclear-norm rank", "nuclear_norm_rank"), ("TwoNN", "two_nn_dimension"),
        ("maximum likelihood", "mle_dimension"),
    ],
    "similarity": [("CKA", "cka_with_previous"), ("variance within classes", "within_class_fraction")],
    "linearity": [("negative share", "negative_share"), ("change without the ReLU", "relu_effect")],
}  # fmt: skip


def compared(audits: Sequence[Audit], panel: str, field: str, title: str) -> str:
    """What is seen in a panel of a comparison."""
    lines = []
    for audit in audits:
        words = _line(audit.model["name"], audit.layers, field)
        if panel == "rank_against_effective_depth" and audit.model["effective_depth"]:
            words = f"{words} at L~ = {audit.model['effective_depth']:g}" if words else None
        lines.append(words)
    return f"{title}: {'; '.join(filter(None, lines))}."


def _line(words: str, layers: Sequence[LayerAudit], field: str) -> str | None:
    """First, least, largest and last value of a line; None where there is none."""
    known = [(layer.layer, getattr(layer, field)) for layer in layers if getattr(layer, field) is not None]
    if not known:
        return None
    numbers = [value for _, value in known]
    if max(numbers) - min(numbers) <= 1e-6 * max(map(abs, numbers)):
        return f"{words} {_number(numbers[0])} throughout"
    least, most = min(known, key=lambda pair: pair[1]), max(known, key=lambda pair: pair[1])
    return (
        f"{words} from {_number(numbers[0])} to {_number(numbers[-1])}, least {_number(least[1])} in layer {least[0]}, "
        f"largest {_number(most[1])} in layer {most[0]}"
    )


def _spectra(layers: Sequence[LayerAudit], field: str) -> str:
    """How many singular values of each layer are above a hundredth of the largest."""
    counts = []
    for layer in layers:
        values = getattr(layer, field) or []
        counts.append(f"{layer.layer}: {sum(value > 0.01 * values[0] for value in values) if values else 0}")
    what = "representation" if field == "singular_values" else "layer's weights"
    return f"Spectrum of each {what}; singular values above a hundredth of the largest, by layer: {', '.join(counts)}."


def _range(numbers: Sequence[float]) -> str:
    low, high = _number(min(numbers)), _number(max(numbers))
    return low if low == high else f"{low} to {high}"


def _number(value: float) -> str:
    return f"{value:.3g}"
