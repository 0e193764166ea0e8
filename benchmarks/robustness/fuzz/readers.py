"""Every reader of the project, with good input to spoil and something to do with what it accepts."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.robustness.fuzz import commands, networks, presets, runtime
from benchmarks.robustness.fuzz.archives import spoil_h5, spoil_npz
from benchmarks.robustness.fuzz.text import write
from leaky_zoo.analysis import analyze
from leaky_zoo.analysis.shards import analyze_part
from leaky_zoo.deploy import export_onnx
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.training import Recipe
from leaky_zoo.zoo import save_to_preset


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        spoil: makes one bad input in a folder; returns what `read` takes.
        read: reads it, and uses what it accepted.
        names: texts of which a refusal must hold one: the file's name, or fields.
    """

    spoil: Callable[[Path, random.Random], Any]
    read: Callable[[Any], None]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Good:
    """Good files: a small preset, a `.keras` file, an ONNX file."""

    preset: Path
    keras: Path
    onnx: Path
    part: Path


def make_good(folder: Path) -> Good:
    """Write the good files, once for a whole run."""
    good = Good(folder / "leaky_mlp_toy", folder / "net.keras", folder / "net.onnx", folder / "part.npz")
    if good.onnx.exists():
        return good
    network = LeakyMLP((4,), 3, width=5, depth=4, effective_depth=2.0, schedule="learnable", weight_decay=1e-3)
    x = np.random.default_rng(0).normal(size=(20, 4))
    audit = analyze(network, x, np.zeros(20, int))
    recipe = Recipe.from_dict(presets.RECIPE)
    metrics = {"test": {"loss": 0.5, "accuracy": 0.75}}
    extra = {"device": "CPU", "training_seconds": 1.0}
    save_to_preset(network, good.preset, recipe=recipe, metrics=metrics, audit=audit, golden_inputs=x, extra=extra)
    network.save(good.keras)
    analyze_part(network, x, np.zeros(20, int), (1, 1)).save(good.part)
    export_onnx(network, good.onnx, audit=audit)
    return good


def make_readers(good: Good) -> dict[str, Reader]:
    """All readers by name."""
    files = {path.name: path.read_bytes() for path in good.preset.iterdir()}
    keras_file, onnx_file, part_file = (path.read_bytes() for path in (good.keras, good.onnx, good.part))
    watching = runtime.make_watching(good.onnx.parent)

    def file(name: str, content: bytes, spoil: presets.Spoil) -> Callable[[Path, random.Random], Path]:
        return lambda path, chance: write(path / name, spoil(content, chance))

    def preset(name: str, spoil: presets.Spoil, read: Any, names: tuple[str, ...]) -> Reader:
        return Reader(lambda path, chance: presets.spoil_preset(path, files, chance, name, spoil), read, names)

    def user(path: Path, chance: random.Random) -> Path:
        return write(path / "mine.npz", spoil_npz(networks.user_arrays(chance), b"", chance))

    def command(path: Path, chance: random.Random) -> list[str]:
        return commands.spoil_command(path, onnx_file, keras_file, chance)

    onnx, name = file("net.onnx", onnx_file, networks.spoil_onnx), "leaky_mlp_toy"
    keras = file("net.keras", keras_file, networks.spoil_keras)
    audit = file("audit.json", files["audit.json"], presets.spoil_json)
    return {
        "recipe": Reader(
            presets.yaml_file("recipe.yaml", presets.RECIPE), presets.read_recipe, ("recipe.yaml", "schedule", "depth")
        ),
        "sweep": Reader(presets.yaml_file("sweep.yaml", presets.SWEEP), presets.read_sweep, ("sweep.yaml",)),
        "preset metadata.json": preset("metadata.json", presets.spoil_json, presets.read_metadata, ("metadata.json",)),
        "preset config.json": preset("config.json", presets.spoil_json, presets.read_preset, ("config.json", name)),
        "preset weights": preset("model.weights.h5", spoil_h5, presets.read_preset, ("model.weights.h5", name)),
        "preset golden.npz": preset(
            "golden.npz", presets.spoil_golden, presets.read_golden, ("golden.npz", "`golden`", "golden[")
        ),
        "preset name": Reader(
            lambda path, chance: presets.spoil_name(chance),
            presets.read_name,
            ("preset", "data set", "file", "configs"),
        ),
        "audit": Reader(audit, presets.read_audit, ("audit",)),
        "audit part .npz": Reader(
            file("part.npz", part_file, presets.spoil_part), presets.read_part, ("part.npz", "part")
        ),
        ".keras": Reader(keras, networks.read_keras, ("net.keras",)),
        "user .npz": Reader(user, networks.read_user, ("mine.npz",)),
        "onnx inspect": Reader(onnx, networks.read_inspect, ("net.onnx", "leaky_zoo.", "golden")),
        "onnx describe": Reader(onnx, networks.read_describe, ("net.onnx",)),
        "onnx verify": Reader(onnx, networks.read_verify, ("net.onnx", "leaky_zoo.", "golden")),
        "onnx runtime": Reader(onnx, networks.read_runtime, ("net.onnx", "leaky_zoo.", "class", "x")),
        "onnx metadata": Reader(
            file("net.onnx", watching, runtime.spoil_metadata), runtime.read_everything, runtime.WORDS
        ),
        "onnx monitor": Reader(file("net.onnx", watching, runtime.spoil_watched), runtime.read_monitor, runtime.WORDS),
        "onnx attach": Reader(
            lambda path, chance: runtime.spoil_pair(path, watching, chance), runtime.read_attach, runtime.WORDS
        ),
        "command line": Reader(command, commands.read_command, ()),
    }
