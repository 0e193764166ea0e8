"""Recipes, sweeps, presets, audits and names, spoiled; and what reads them and uses what it accepted."""

import contextlib
import functools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.robustness.fuzz.archives import arrays_of, npz, spoil_npz
from benchmarks.robustness.fuzz.networks import use
from benchmarks.robustness.fuzz.text import spoil_bytes, spoil_data, to_json, to_yaml, write
from leaky_zoo.analysis import Audit
from leaky_zoo.analysis.shards import AuditPart, merge_parts
from leaky_zoo.cli import listing
from leaky_zoo.data import load_data
from leaky_zoo.deploy.arguments import checked_golden
from leaky_zoo.deploy.ports import Reference
from leaky_zoo.errors import LeakyZooError
from leaky_zoo.figures import plot_audit
from leaky_zoo.io.files import sha256
from leaky_zoo.io.reading import read_json
from leaky_zoo.layers import get_schedule
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.sweeps import Sweep, SweepFolder
from leaky_zoo.training import Recipe
from leaky_zoo.zoo import from_preset, preset_folder
from leaky_zoo.zoo.card import write_card
from leaky_zoo.zoo.index import checked_metadata
from leaky_zoo.zoo.preset import parse_golden

Spoil = Callable[[bytes, random.Random], bytes]
RECIPE = {
    "name": "leaky_mlp_toy",
    "data": {"name": "optical_digits/fold_0", "batch_size": 64, "input_dropout": 0.1, "validation": "test"},
    "network": {"width": 8, "depth": 12, "effective_depth": 2.0, "schedule": {"name": "irregular", "amplitude": 0.5}},
    "objective": {"weight_decay": 0.001, "ramp": 0.4},
    "optimizer": {"steps": 100, "learning_rate": 0.002},
    "lbfgs": {"iterations": 10, "criticality": 0.05},
    "early_stopping": 3,
    "seed": 1,
}


SWEEP = {
    "name": "toy",
    "recipe": {key: RECIPE[key] for key in ("name", "data", "network", "optimizer")},
    "cases": [
        {"network.depth": 12, "network.effective_depth": 2.0},
        {"network.depth": 20, "network.effective_depth": 7},
    ],
    "grid": {"network.schedule": ["equidistant", "hamiltonian"], "seed": [0, 1]},
    "invalid": "skip",
}


def yaml_file(name: str, value: Any) -> Callable[[Path, random.Random], Path]:
    """What writes this value as YAML, spoiled."""

    def spoil(path: Path, chance: random.Random) -> Path:
        content = to_yaml(spoil_data(value, chance), chance)
        return write(path / name, spoil_bytes(content, chance) if chance.random() < 0.25 else content)

    return spoil


def spoil_json(content: bytes, chance: random.Random) -> bytes:
    """JSON of which a value or a byte is wrong."""
    if chance.random() < 0.3:
        return spoil_bytes(content, chance)
    return to_json(spoil_data(json.loads(content), chance), chance)


def spoil_preset(path: Path, files: dict[str, bytes], chance: random.Random, name: str, spoil: Spoil) -> Path:
    """A preset with one file, `name`, spoiled; its hash is mostly made to fit: the hash alone must not save us."""
    folder = path / "leaky_mlp_toy"
    folder.mkdir()
    content = spoil(files[name], chance)
    for file, good in files.items():
        (folder / file).write_bytes(content if file == name else good)
    if name != "metadata.json" and chance.random() < 0.9:
        metadata = json.loads(files["metadata.json"])
        metadata["sha256"][name] = sha256(folder / name)
        (folder / "metadata.json").write_text(json.dumps(metadata))
    if chance.random() < 0.03:
        (folder / name).unlink()
        (folder / name).symlink_to(chance.choice(("/dev/zero", "/nowhere", ".", "/etc/passwd")))
    return folder


def spoil_golden(content: bytes, chance: random.Random) -> bytes:
    """Golden pairs: arrays, archive or bytes."""
    return spoil_npz(arrays_of(content), content, chance)


def spoil_part(content: bytes, chance: random.Random) -> bytes:
    """A part of an analysis: its header, arrays, archive or bytes."""
    arrays = arrays_of(content)
    if chance.random() < 0.4:
        header = json.loads(arrays["header"].tobytes())
        text = to_json(spoil_data(header, chance), chance)
        return npz({**arrays, "header": np.frombuffer(text, np.uint8)}, random.Random(0))
    return spoil_npz(arrays, content, chance)


def spoil_name(chance: random.Random) -> str:
    """Names of presets and data sets that are none."""
    pool = (
        "../leaky_mlp_toy", "..", ".", "/", "/etc", "./x", "", " ", "a\x00b", "x" * 5000, "a/" * 3000, "LEAKY",
        "leaky_mlp_optical_digits_l7_equidistan", "mnest", "optical_digits/fold_9", "%s", "\ud800",
        "leaky_mlp_toy\n", "none.npz", "/dev/zero", "/dev/null", ".npz", "x" * 300 + ".npz", "[bold]", "\u202etxt",
        "optical_digits/", "/proc/self/mem", "file:///etc/passwd", "http://127.0.0.1/x", "\\\\host\\share", "~root",
        "*", "optical_digits/../..",
    )  # fmt: skip
    name = chance.choice(pool)
    if chance.random() < 0.6:
        return name
    return name + chance.choice(("/", "\x00", "..", "\u2028", chr(chance.randrange(1, 0xD7FF))))


def read_recipe(path: Path) -> None:
    """Accepted: comes back from YAML the same, and its schedule starts."""
    recipe = Recipe.read(path)
    recipe.write(path)
    assert Recipe.read(path) == recipe
    get_schedule(recipe.network.schedule).start(recipe.network.depth, recipe.network.effective_depth)


def read_sweep(path: Path) -> None:
    """Accepted: every cell has a recipe or a problem, and they come back from a folder."""
    sweep = Sweep.read(path)
    cells = sweep.cells()
    assert all((cell.recipe is None) != (cell.problem is None) for cell in cells)
    assert all("/" not in cell.name and len(cell.name) < 200 for cell in cells)
    folder = SweepFolder(path.parent / "sweep")
    folder.check(cells)


def read_metadata(path: Path) -> None:
    """Accepted: can be listed, shown and put on a card."""
    metadata = checked_metadata(read_json(path / "metadata.json"), str(path / "metadata.json"))
    listing.headline(metadata["metrics"])
    for key in ("seed", "weight_decay", "io_weight_decay", "versions", "licence", "citation", "dataset", "device"):
        metadata.setdefault(key, None)
    assert f"{metadata['effective_depth']:g} {metadata['parameters']:,}"
    if metadata["weight_decay"] is not None and metadata["versions"] and "cross_validation" not in metadata:
        with contextlib.suppress(TypeError, KeyError):  # cards are written from our own metadata, never a stranger's
            write_card(metadata, None)


def read_preset(path: Path) -> None:
    """Accepted: computes."""
    use(from_preset(path))


def read_golden(path: Path) -> None:
    """Accepted: pairs that fit the network, or are refused by what takes them."""
    network = small_network()
    reference = Reference(network, network.task.output_name)
    checked_golden(parse_golden((path / "golden.npz").read_bytes(), "golden.npz"), reference.inputs, reference.outputs)


@functools.cache
def small_network() -> Any:
    """A network of the preset's shapes."""
    return LeakyMLP((4,), 3, width=5, depth=4, effective_depth=2.0)


def read_name(name: str) -> None:
    """Names of presets and of data sets."""
    with contextlib.suppress(LeakyZooError):
        preset_folder(name)
        return
    load_data(name)


def read_audit(path: Path) -> None:
    """Accepted: comes back the same, and can be drawn."""
    audit = Audit.load(path)
    assert Audit.from_dict(json.loads(audit.to_json())).to_dict() == audit.to_dict()
    plot_audit(audit)


def read_part(path: Path) -> None:
    """Accepted: makes an audit."""
    merge_parts([AuditPart.load(path)]).to_json()
