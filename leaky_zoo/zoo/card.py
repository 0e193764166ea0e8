"""The card of a preset: every figure comes from its metadata and its audit."""

from typing import Any

from leaky_zoo.analysis import Audit


def write_card(metadata: dict[str, Any], audit: Audit | None) -> str:
    """Markdown card of a preset, from its metadata and audit alone."""
    lines = [f"# {metadata['name']}", "", _sentence(metadata), ""]
    lines += ["| split | " + " | ".join(_metric_names(metadata)) + " |"]
    lines += ["|---" * (1 + len(_metric_names(metadata))) + "|"]
    for split, values in metadata["metrics"].items():
        cells = [_number(name, values.get(name)) for name in _metric_names(metadata)]
        lines.append(f"| {split} | " + " | ".join(cells) + " |")
    if "cross_validation" in metadata:
        result = metadata["cross_validation"]
        lines += [
            "",
            f"Cross-validated with this recipe, {result['folds']} folds x {result['seeds']} seeds: test accuracy "
            f"{100 * result['accuracy_mean']:.2f}% (standard deviation {100 * result['accuracy_std']:.2f} points, "
            f"lowest {100 * result['accuracy_min']:.2f}%, highest {100 * result['accuracy_max']:.2f}%).",
        ]
    if audit is not None:
        lines += ["", "## Bottleneck", "", *_bottleneck(audit)]
    if "selection" in metadata:
        lines += ["", "## Choice of the schedule", "", metadata["selection"]]
    lines += ["", "## Made with", "", *_made(metadata), ""]
    lines += ["```python", "import leaky_zoo", "", f'net = leaky_zoo.from_preset("{metadata["name"]}")', "```", ""]
    lines += [f"Licence: {metadata['licence']}. Please cite: {metadata['citation']}", ""]
    return "\n".join(lines)


def _sentence(metadata: dict[str, Any]) -> str:
    loss = (
        "cross-entropy in nats" if metadata["task"] == "classification" else "mean squared error, targets standardised"
    )
    return (
        f"A {metadata['class']} for {metadata['task']} on `{metadata['dataset']}`: effective depth "
        f"{metadata['effective_depth']:g}, {metadata['depth']} {metadata['schedule']} steps, "
        f"width {metadata['width']}, {metadata['parameters']:,} parameters. "
        f"The loss is the objective without its penalty ({loss})."
    )


def _metric_names(metadata: dict[str, Any]) -> list[str]:
    names: list[str] = []
    for values in metadata["metrics"].values():
        names += [name for name in values if name not in names]
    return names


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.2f}%" if name == "accuracy" else f"{value:.6f}"


def _bottleneck(audit: Audit) -> list[str]:
    summary = audit.summary
    lines = [
        f"Measured on {audit.data['name']} {audit.data['split']}, N = {audit.n}, gamma_0 = {audit.gamma_0:g}, "
        f"mu = {_plain(audit.weight_decay)}, mu_io = {_plain(audit.io_weight_decay)}.",
        "",
        *_verdict(audit),
        f"- least cost of identity: {summary['min_cost_of_identity']:.3f}, at the input of layer "
        f"{summary['layer_of_min_cost_of_identity']}",
    ]
    if summary["bottleneck_layers"]:
        cost = summary["cost_of_identity"]
        directions = ", ".join(map(str, summary["weight_directions"]))
        lines += [
            f"- layers on a plateau of gamma_0: {', '.join(map(str, summary['bottleneck_layers']))}, cost of identity "
            f"{cost['min']:.3f} to {cost['max']:.3f}",
        ]
        if directions:
            lines.append(
                f"- directions of the weights there: {directions}; the next singular value is at least "
                f"{summary['weight_gap']:.0f} times smaller"
            )
        rank = summary["rank_from_hamiltonian"]
        if rank:
            spread = "undefined" if rank["spread"] is None else f"{100 * rank['spread']:.1f}%"
            lines.append(
                f"- -2H/L~ there (momentum form): mean {rank['mean']:.3f}, from {rank['min']:.3f} to "
                f"{rank['max']:.3f}, spread {spread}"
            )
        if summary["max_criticality_residual"] is not None:
            lines.append(f"- largest criticality residual there: {summary['max_criticality_residual']:.3f}")
    lines += [f"- warning: {warning}" for warning in audit.warnings]
    return lines


def _verdict(audit: Audit) -> list[str]:
    rank = audit.bottleneck_rank
    if rank is None:
        return []
    interval = f" (between {rank.low} and {rank.high})" if rank.estimate is not None else ""
    return [f"**Verdict: {rank.verdict}{interval}.**", ""]


def _made(metadata: dict[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {number}" for name, number in metadata["versions"].items())
    lines = [f"Seed {metadata['seed']}, mu = {metadata['weight_decay']:g}, mu_io = {metadata['io_weight_decay']:g}."]
    if "device" in metadata:
        lines.append(f"Trained on: {metadata['device']}, {metadata['training_seconds']:.0f} s.")
    lines.append(f"Versions: {versions}.")
    lines.append("Train it again: `leaky-zoo train recipe.yaml --out run`.")
    return lines


def _plain(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
