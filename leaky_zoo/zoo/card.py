"""The model card of a preset: every figure comes from its metadata, its audit and its recipe."""

from typing import Any

import yaml

from leaky_zoo.analysis import Audit
from leaky_zoo.analysis.linearity import linearity_sentence
from leaky_zoo.zoo.addresses import PICTURE
from leaky_zoo.zoo.ends import feature_names, input_words, output_words, some_of
from leaky_zoo.zoo.recipe import Recipe

LOSSES = {
    "classification": "cross-entropy in nats",
    "regression": "mean squared error, targets standardised",
    "autoencoding": "mean squared error, inputs standardised",
}


def write_card(metadata: dict[str, Any], audit: Audit | None, recipe: Recipe | None = None) -> str:
    """Markdown card of a preset with the YAML head that model hubs read.

    Args:
        metadata: what its `metadata.json` holds. What it lacks is left out.
        audit: its analysis. Default None: the card has no word on its bottleneck.
        recipe: how it was trained. Default None: the card does not show it.

    Example:
    >>> from leaky_zoo.zoo import Preset
    >>> preset = Preset.open("leaky_mlp_optical_digits_l7_equidistant")
    >>> write_card(preset.metadata, preset.audit, preset.recipe).splitlines()[:3]
    ['---', 'library_name: keras', 'license: apache-2.0']
    """
    publish = recipe.publish if recipe else None
    sections = {
        None: [_sentence(metadata), *([publish.about] if publish and publish.about else [])],
        "Input and output": _ends(metadata),
        "Figures": [*_figures(metadata), _clean_inputs(recipe)],
        "Bottleneck": _bottleneck(audit, PICTURE in metadata.get("sha256", {})) if audit is not None else [],
        "Compressed": _compressed(metadata.get("compressed")),
        "Limits": _limits(audit, publish.limits if publish else None),
        "Choice of the recipe": [publish.choice if publish and publish.choice else metadata.get("selection", "")],
        "Training": _training(metadata, recipe),
        "Use": [_use(metadata)],
        "Citation": [f"Licence of the weights: {metadata['licence']}. Please cite: {metadata['citation']}"],
    }
    blocks = [_head(metadata), f"# {metadata['name']}"]
    for title, paragraphs in sections.items():
        if any(paragraphs):
            blocks += [f"## {title}"] * (title is not None) + [text for text in paragraphs if text]
    return "\n\n".join(blocks) + "\n"


def _use(metadata: dict[str, Any]) -> str:
    """Python that loads it: by its name in a published zoo, else by the folder it stands in."""
    name, words = metadata["name"], ""
    if "trained_with" not in metadata:
        name, words = f"./{name}", "  # the path of this folder"
    return f'```python\nimport leaky_zoo\n\nnet = leaky_zoo.from_preset("{name}"){words}\n```'


def _head(metadata: dict[str, Any]) -> str:
    """YAML between dashes, as model hubs read it."""
    dataset = metadata["dataset"]
    name, _, config = (dataset or "").partition("/")
    task = _hub_task(metadata)
    results = [
        {
            "task": {"type": task or "other"},
            "dataset": {"type": name, "name": dataset, **({"config": config} if config else {}), "split": split},
            "metrics": [{"type": metric, "name": metric, "value": value} for metric, value in values.items()],
        }
        for split, values in metadata["metrics"].items()
        if dataset
    ]
    head = {
        "library_name": "keras",
        "license": str(metadata["licence"]).lower(),
        "pipeline_tag": task,
        "base_model": (metadata.get("fine_tuned_from") or {}).get("name"),
        "datasets": [name] if name else None,
        "metrics": _metric_names(metadata) or None,
        "tags": ["keras", "onnx", "leaky-resnet", metadata["class"].lower(), "bottleneck-structure", metadata["task"]],
        "model-index": [{"name": metadata["name"], "results": results}] if results else None,
    }
    text = yaml.safe_dump({key: value for key, value in head.items() if value is not None}, sort_keys=False)
    return f"---\n{text}---"


def _hub_task(metadata: dict[str, Any]) -> str | None:
    """The task by the name that model hubs have for it; None where they have none."""
    kind = {1: "tabular", 3: "image"}.get(len((metadata.get("input") or {}).get("shape", ())))
    known = {
        ("tabular", "classification"): "tabular-classification",
        ("tabular", "regression"): "tabular-regression",
        ("image", "classification"): "image-classification",
        ("image", "autoencoding"): "image-to-image",
    }
    return known.get((kind or "", metadata["task"]))


def _sentence(metadata: dict[str, Any]) -> str:
    data = f" on `{metadata['dataset']}`" if metadata["dataset"] else ""
    steps, wide = f"{metadata['depth']} {metadata['schedule']} steps", f"width {metadata['width']}"
    if metadata.get("depths"):
        steps = f"{' + '.join(map(str, metadata['depths']))} {metadata['schedule']} steps"
        wide = f"stages of widths {', '.join(map(str, metadata['widths']))}"
    return (
        f"A {metadata['class']} for {metadata['task']}{data}: effective depth {metadata['effective_depth']:g}, "
        f"{steps}, {wide}, {metadata['parameters']:,} parameters."
    )


def _ends(metadata: dict[str, Any]) -> list[str]:
    """What goes in, what comes out, and where the data come from."""
    given, made, data = input_words(metadata), output_words(metadata), metadata.get("data")
    lines = [f"- input: {given}"] if given else []
    names = feature_names(metadata)
    if names:
        lines.append(f"- features: {some_of(names)}")
    if made:
        lines.append(f"- output: {made}")
    if metadata.get("class_names"):
        lines.append(f"- classes: {some_of(metadata['class_names'])}")
    if data:
        source = f" ({data['licence_source']})" if data.get("licence_source") else ""
        lines.append(f"- data: {data['about']} Licence of the data: {data['licence']}{source}.")
    return ["\n".join(lines)]


def _figures(metadata: dict[str, Any]) -> list[str]:
    names = _metric_names(metadata)
    if not names:
        return []
    lines = [f"| split | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    for split, values in metadata["metrics"].items():
        lines.append(f"| {split} | {' | '.join(_number(name, values.get(name)) for name in names)} |")
    loss = f"The loss is the objective without its penalty ({LOSSES.get(metadata['task'], 'of the task')})."
    return ["\n".join(lines), loss, _over_seeds(metadata.get("seeds")), _spread(metadata.get("cross_validation"))]


def _clean_inputs(recipe: Recipe | None) -> str:
    """What the loss of a denoiser is not."""
    if recipe is None or recipe.network.task != "autoencoding":
        return ""
    data = recipe.data
    if not (data.noise or data.input_dropout or data.cutout):
        return ""
    return "The inputs here are clean: the noise that the net was trained to remove is not added."


def _over_seeds(result: dict[str, Any] | None) -> str:
    """Mean and spread of the test metrics over seeds."""
    if not result:
        return ""
    said = [
        f"{name} {_number(name, mean)} (standard deviation {_deviation(name, result['std'][name])})"
        for name, mean in result["mean"].items()
    ]
    seeds = ", ".join(map(str, result["seeds"]))
    return f"This recipe over the seeds {seeds}, test split, mean: {'; '.join(said)}. The preset is the first of them."


def _deviation(name: str, value: float) -> str:
    return f"{100 * value:.2f} points" if name == "accuracy" else f"{value:.6f}"


def _spread(result: dict[str, Any] | None) -> str:
    if not result:
        return ""
    return (
        f"Cross-validated with this recipe, {result['folds']} folds x {result['seeds']} seeds: test accuracy "
        f"{100 * result['accuracy_mean']:.2f}% (standard deviation {100 * result['accuracy_std']:.2f} points, "
        f"lowest {100 * result['accuracy_min']:.2f}%, highest {100 * result['accuracy_max']:.2f}%)."
    )


def _metric_names(metadata: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for values in metadata["metrics"].values() for name in values))


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.2f}%" if name == "accuracy" else f"{value:.6f}"


def _bottleneck(audit: Audit, pictured: bool) -> list[str]:
    summary, verdict = audit.summary, audit.bottleneck_rank
    measured = (
        f"Measured on {audit.data['name']} {audit.data['split']}, N = {audit.n}, gamma_0 = {audit.gamma_0:g}, "
        f"mu = {_plain(audit.weight_decay)}, mu_io = {_plain(audit.io_weight_decay)}."
    )
    lines = [
        f"- least cost of identity: {summary['min_cost_of_identity']:.3f}, at the input of layer "
        f"{summary['layer_of_min_cost_of_identity']}",
    ]
    if summary["bottleneck_layers"]:
        cost, rank = summary["cost_of_identity"], summary["rank_from_hamiltonian"]
        lines.append(
            f"- layers on a plateau of gamma_0: {', '.join(map(str, summary['bottleneck_layers']))}, cost of identity "
            f"{cost['min']:.3f} to {cost['max']:.3f}"
        )
        directions = ", ".join(map(str, summary["weight_directions"]))
        if directions:
            lines.append(
                f"- directions of the weights there: {directions}; the next singular value is at least "
                f"{summary['weight_gap']:.0f} times smaller"
            )
        if rank:
            spread = "undefined" if rank["spread"] is None else f"{100 * rank['spread']:.1f}%"
            lines.append(
                f"- -2H/L~ there (momentum form): mean {rank['mean']:.3f}, from {rank['min']:.3f} to "
                f"{rank['max']:.3f}, spread {spread}"
            )
        if summary["max_criticality_residual"] is not None:
            lines.append(f"- largest criticality residual there: {summary['max_criticality_residual']:.3f}")
    if summary.get("effective_nonlinear_depth"):
        lines.append(f"- {linearity_sentence(audit)}")
    interval = f" (between {verdict.low} and {verdict.high})" if verdict and verdict.estimate is not None else ""
    said = f"**Verdict: {verdict.verdict}{interval}.**" if verdict else ""
    picture = f"![Dimensions, directions of the weights, energies and step sizes along the path]({PICTURE})"
    return [measured, said, picture if pictured else "", "\n".join(lines)]


def _compressed(files: list[dict[str, Any]] | None) -> list[str]:
    """A line for each file that `leaky-zoo compress` made of these weights."""
    if not files:
        return []
    lines = ["| file | kept as | numbers | bytes | measured on | before | after |", "|---" * 7 + "|"]
    for each in files:
        values = (f"{each['metric']} {_number(each['metric'], each['before'])}", _number(each["metric"], each["after"]))
        sizes = f"{each['numbers']:,} | {each['bytes']:,}"
        lines.append(f"| `{each['file']}` | {each['storage']} | {sizes} | {each['split']} | {' | '.join(values)} |")
    return ["Made by `leaky-zoo compress`, beside the ONNX export. Bytes are of whole files.", "\n".join(lines)]


def _limits(audit: Audit | None, words: str | None) -> list[str]:
    warnings = [f"- {warning}" for warning in audit.warnings] if audit is not None else []
    return [words or "", "\n".join(warnings)]


def _training(metadata: dict[str, Any], recipe: Recipe | None) -> list[str]:
    lines = []
    if metadata["weight_decay"] is not None:
        seed = "" if metadata["seed"] is None else f"Seed {metadata['seed']}, "
        lines.append(f"{seed}mu = {metadata['weight_decay']:g}, mu_io = {metadata['io_weight_decay']:g}.")
    if metadata.get("device") and metadata.get("training_seconds") is not None:
        lines.append(f"Trained on: {metadata['device']}, {metadata['training_seconds']:.0f} s.")
    versions = ", ".join(f"{name} {number}" for name, number in metadata["versions"].items())
    lines.append(f"Versions: {versions}.")
    if recipe is None:
        return ["\n".join(lines)]
    lines.append("Train it again: `leaky-zoo train recipe.yaml --out run`.")
    return ["\n".join(lines), f"```yaml\n{recipe.training.to_yaml()}```"]


def _plain(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
