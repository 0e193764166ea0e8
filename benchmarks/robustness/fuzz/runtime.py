"""What a deployed file meets: metadata that was changed, references of the drift monitor, metadata put back."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks.robustness.fuzz.networks import spoil_onnx
from benchmarks.robustness.fuzz.text import spoil_data, to_json
from leaky_zoo.analysis import analyze
from leaky_zoo.deploy import export_onnx
from leaky_zoo.errors import LeakyZooError
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.runtime import (
    DriftMonitor,
    attach_metadata,
    describe_onnx,
    inspect_onnx,
    load,
    provenance,
    summarise_audit,
    verify_onnx,
)
from leaky_zoo.runtime import metadata as keys

WORDS = ("net.onnx", "source.onnx", "leaky_zoo.", "golden", "class", "reference", "metadata", "monitor")


def make_watching(folder: Path) -> bytes:
    """A small classifier that watches for drift, with every key that a file can have."""
    path = folder / "watching.onnx"
    if not path.exists():
        random_ = np.random.default_rng(0)
        network = LeakyMLP((4,), 3, width=6, depth=5, effective_depth=2.0, class_names=["a", "b", "c"])
        x = random_.normal(size=(400, 4)).astype(np.float32)
        audit = analyze(network, x[:50], np.zeros(50, int))
        metadata = {"temperature": 1.5, "citation": "nobody", "dataset": "none"}
        export_onnx(network, path, audit=audit, metadata=metadata, monitor_data=x)
        model = onnx.load(path)
        version = model.metadata_props.pop()
        extra = {
            "audit_summary": summarise_audit(audit.to_dict()),
            "compression": {"source": {"weights_sha256": audit.model["weights_sha256"]}, "layers": []},
        }
        for key, value in extra.items():
            model.metadata_props.add(key=f"leaky_zoo.{key}", value=keys.to_json(value, key))
        model.metadata_props.append(version)
        path.write_bytes(model.SerializeToString())
    return path.read_bytes()


def spoil_metadata(content: bytes, chance: random.Random, most: int = 3) -> bytes:
    """One to three properties changed, swapped, doubled, removed or moved; the graph stays."""
    model = onnx.ModelProto.FromString(content)
    for _ in range(chance.randrange(1, most + 1)):
        if not model.metadata_props:
            break
        entry = chance.choice(model.metadata_props)
        way = chance.randrange(8)
        if way <= 3:
            _change(entry, chance)
        elif way == 4:
            model.metadata_props.remove(entry)
        elif way == 5:
            entry.value = chance.choice(model.metadata_props).value
        elif way == 6:
            model.metadata_props.add(key=entry.key, value=chance.choice(("", "{}", "[]", "null", "1e999", entry.value)))
        else:
            entry.key = chance.choice(("", "leaky_zoo.", "leaky_zoo.audit", "leaky_zoo.reference", "x" * 300, "\n"))
    return model.SerializeToString()


def _change(entry: Any, chance: random.Random) -> None:
    try:
        value = json.loads(entry.value)
    except (ValueError, RecursionError):
        value = entry.value
    try:
        entry.value = to_json(spoil_data(value, chance), chance).decode()
    except (ValueError, RecursionError, UnicodeError):
        entry.value = "["


def spoil_reference(content: bytes, chance: random.Random) -> bytes:
    """The reference alone, which the monitor reads number by number; now and then the graph's output."""
    model = onnx.ModelProto.FromString(content)
    entry = next(entry for entry in model.metadata_props if entry.key == "leaky_zoo.reference")
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        _change(entry, chance)
    if chance.random() < 0.2:
        model.graph.output[-1].name = chance.choice(("", "logits", "nowhere", "inputs"))
    return model.SerializeToString()


def spoil_watched(content: bytes, chance: random.Random) -> bytes:
    """The reference, or anything of the file."""
    return (spoil_reference if chance.random() < 0.7 else spoil_onnx)(content, chance)


def spoil_pair(path: Path, watching: bytes, chance: random.Random) -> Path:
    """A file to attach to, `net.onnx`, and the one to take from, `source.onnx`: one of the two is spoiled."""
    bare = onnx.ModelProto.FromString(watching)
    bare.ClearField("metadata_props")
    content = bare.SerializeToString()
    first = chance.random() < 0.4
    spoil = spoil_onnx if first or chance.random() < 0.3 else spoil_metadata
    (path / "net.onnx").write_bytes(spoil_onnx(_with_one(content), chance) if first else content)
    (path / "source.onnx").write_bytes(watching if first else spoil(watching, chance))
    return path / "net.onnx"


def _with_one(content: bytes) -> bytes:
    """With a property that is not ours: what spoils files expects one."""
    model = onnx.ModelProto.FromString(content)
    model.metadata_props.add(key="tool", value="1")
    return model.SerializeToString()


def read_everything(path: Path) -> None:
    """Accepted: whatever the runtime offers works, or is refused."""
    json.dumps([describe_onnx(path), provenance(path), verify_onnx(path).to_dict()], allow_nan=False)
    json.dumps(inspect_onnx(path), allow_nan=False)
    model = load(path, threads=1)
    x = np.zeros((3, 4))
    assert model.predict(x).shape == (3, 3)
    assert model.input_description["name"] is not None and model.providers
    for use in (model.predict_labels, model.predict_probabilities, model.predict_with_bottleneck):
        try:
            assert len(use(x)) in (2, 3)
        except LeakyZooError as error:
            assert str(error)


def read_monitor(path: Path) -> None:
    """Accepted: verdicts are finite numbers, and the text is a number on each line."""
    monitor = DriftMonitor(load(path, threads=1), batch=20)
    monitor.predict(np.random.default_rng(0).normal(size=(45, 4)))
    assert monitor.last is not None and 0 < monitor.last.p_value <= 1
    assert np.isfinite(monitor.last.distance) and "\n" not in monitor.last.line()
    for line in monitor.prometheus_text().splitlines():
        assert line.startswith("#") or float(line.split()[1]) >= 0


def read_attach(path: Path) -> None:
    """Accepted: the written file can be read."""
    before = path.read_bytes()
    try:
        attach_metadata(path, path.with_name("source.onnx"))
    except Exception:
        assert path.read_bytes() == before
        raise
    inspect_onnx(path)
