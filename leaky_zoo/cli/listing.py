"""`leaky-zoo list` and `leaky-zoo info`: what presets there are, without starting TensorFlow."""

from typing import Annotated, Any

import typer

from leaky_zoo.cli.console import AsJson, cell, err, out, print_json, table
from leaky_zoo.io.reading import counted, shown
from leaky_zoo.zoo import Preset, list_presets
from leaky_zoo.zoo.ends import feature_names, input_words, output_words, some_of
from leaky_zoo.zoo.index import models_dir


def list_command(
    filter: Annotated[
        str | None,
        typer.Argument(
            help="Keep names that contain this text; or another place: a folder of presets, path or URL of an index, "
            "hf://USER/NAME[@REVISION], hf://USER."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the pretrained networks.

    [dim]Examples:[/]  leaky-zoo list   |   leaky-zoo list mnist --json   |   leaky-zoo list hf://USER
    """
    presets = list_presets(filter)
    if as_json:
        print_json(presets)
        return
    if not presets:
        empty = f"There are no presets in {models_dir()}{'' if models_dir().is_dir() else ', which is not a folder'}."
        err.print(f"No preset's name matches {shown(filter)}." if filter else empty, markup=False)
        return
    columns = ("name", "L~", "parameters", "test")  # within 80 columns; the rest is in `info` and --json
    rows = (
        (
            preset["address"],
            f"{preset['effective_depth']:g}",
            f"{preset['parameters']:,}",
            headline(preset["metrics"]),
        )
        for preset in presets
    )
    out.print(table(counted(len(presets), "preset"), columns, rows))
    for preset in presets:
        if preset["alias"]:
            out.print(f"{preset['alias']}: {preset['address']}", soft_wrap=True)


def info(
    name: Annotated[str, typer.Argument(help="A preset's name or alias, the path of its folder, or its address.")],
    as_json: AsJson = False,
) -> None:
    """Show what is known of one preset.

    [dim]Example:[/]  leaky-zoo info leaky_mlp_teacher_k3_l7_equidistant
    """
    preset = Preset.open(name)
    metadata = {**preset.metadata, "files": preset.files}
    if as_json:
        print_json(metadata)
        return
    out.print(table(metadata["name"], ("field", "value"), _facts(metadata)))
    if (preset.folder / "README.md").is_file():
        out.print(f"card: {preset.folder / 'README.md'}", soft_wrap=True)


def headline(metrics: dict[str, dict[str, float]]) -> str:
    """The test metric in one word: accuracy where there is one, else the loss."""
    test = metrics.get("test", {})
    if "accuracy" in test:
        return f"{100 * test['accuracy']:.2f}%"
    return f"loss {test['loss']:.4f}" if "loss" in test else "-"


def _facts(metadata: dict[str, Any]) -> list[tuple[str, Any]]:
    """What matters first, then all the rest."""
    first = {
        "goes in": input_words(metadata),
        "features": some_of(feature_names(metadata)),
        "comes out": output_words(metadata),
        "classes": cell(metadata.get("class_names") or []),
    }
    rest = {key: value for key, value in metadata.items() if key not in ("name", "input", "output", "class_names")}
    return [(key, words) for key, words in first.items() if words] + _flat(rest)


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, item in value.items():
        rows += _flat(item, f"{prefix}{key}.") if isinstance(item, dict) else [(prefix + key, item)]
    return rows
