"""Every reader of the project, with good input to spoil and something to do with what it accepts."""

import contextlib
import functools
import io
import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fuzz import mutate

from leaky_zoo.errors import LeakyZooError
from leaky_zoo.io.files import sha256

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


class ReportedError(LeakyZooError):
    """A reader that answers with a list of failed checks has refused."""


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
    from leaky_zoo.analysis import analyze
    from leaky_zoo.analysis.shards import analyze_part
    from leaky_zoo.deploy import export_onnx
    from leaky_zoo.networks import LeakyMLP
    from leaky_zoo.training import Recipe
    from leaky_zoo.zoo import save_to_preset

    good = Good(folder / "leaky_mlp_toy", folder / "net.keras", folder / "net.onnx", folder / "part.npz")
    if good.onnx.exists():
        return good
    network = LeakyMLP((4,), 3, width=5, depth=4, effective_depth=2.0, schedule="learnable", weight_decay=1e-3)
    x = np.random.default_rng(0).normal(size=(20, 4))
    audit = analyze(network, x, np.zeros(20, int))
    recipe = Recipe.from_dict(RECIPE)
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
    loaded = {name: json.loads(content) for name, content in files.items() if name.endswith(".json")}
    keras_file, onnx_file = good.keras.read_bytes(), good.onnx.read_bytes()

    def onnx(path: Path, chance: random.Random) -> Path:
        return _write(path / "net.onnx", spoil_onnx(onnx_file, chance))

    def preset(spoil: Any) -> Any:
        return lambda path, chance: spoil_preset(path, files, chance, spoil)

    return {
        "recipe": Reader(_yaml_file("recipe.yaml", RECIPE), read_recipe, ("recipe.yaml", "schedule", "depth")),
        "sweep": Reader(_yaml_file("sweep.yaml", SWEEP), read_sweep, ("sweep.yaml",)),
        "preset metadata.json": Reader(
            preset(lambda chance: ("metadata.json", _json(files, loaded, "metadata.json", chance))),
            read_metadata,
            ("metadata.json",),
        ),
        "preset config.json": Reader(
            preset(lambda chance: ("config.json", _json(files, loaded, "config.json", chance))),
            read_preset,
            ("config.json", "leaky_mlp_toy"),
        ),
        "preset weights": Reader(
            preset(lambda chance: ("model.weights.h5", mutate.spoil_h5(files["model.weights.h5"], chance))),
            read_preset,
            ("model.weights.h5", "leaky_mlp_toy"),
        ),
        "preset golden.npz": Reader(
            preset(lambda chance: ("golden.npz", spoil_npz(_arrays(files["golden.npz"]), files["golden.npz"], chance))),
            read_golden,
            ("golden.npz", "`golden`", "golden["),
        ),
        "preset name": Reader(
            lambda path, chance: spoil_name(chance), read_name, ("preset", "data set", "file", "configs")
        ),
        "audit": Reader(
            lambda path, chance: _write(path / "audit.json", _json(files, loaded, "audit.json", chance)),
            read_audit,
            ("audit",),
        ),
        "audit part .npz": Reader(
            lambda path, chance: _write(path / "part.npz", spoil_part(good.part.read_bytes(), chance)),
            read_part,
            ("part.npz", "part"),
        ),
        ".keras": Reader(
            lambda path, chance: _write(path / "net.keras", spoil_keras(keras_file, chance)), read_keras, ("net.keras",)
        ),
        "user .npz": Reader(
            lambda path, chance: _write(path / "mine.npz", spoil_npz(user_arrays(chance), b"", chance)),
            read_user,
            ("mine.npz",),
        ),
        "onnx inspect": Reader(onnx, read_inspect, ("net.onnx", "leaky_zoo.", "golden")),
        "onnx describe": Reader(onnx, read_describe, ("net.onnx",)),
        "onnx verify": Reader(onnx, read_verify, ("net.onnx", "leaky_zoo.", "golden")),
        "onnx runtime": Reader(onnx, read_runtime, ("net.onnx", "leaky_zoo.", "class", "x")),
        "command line": Reader(
            lambda path, chance: spoil_command(path, files, onnx_file, keras_file, chance), read_command, ()
        ),
    }


# Spoiling


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _yaml_file(name: str, value: Any) -> Callable[[Path, random.Random], Path]:
    def spoil(path: Path, chance: random.Random) -> Path:
        content = mutate.to_yaml(mutate.spoil_data(value, chance), chance)
        return _write(path / name, mutate.spoil_bytes(content, chance) if chance.random() < 0.25 else content)

    return spoil


def _json(files: dict[str, bytes], loaded: dict[str, Any], name: str, chance: random.Random) -> bytes:
    if chance.random() < 0.3:
        return mutate.spoil_bytes(files[name], chance)
    return mutate.to_json(mutate.spoil_data(loaded[name], chance), chance)


def spoil_preset(path: Path, files: dict[str, bytes], chance: random.Random, spoil: Any) -> Path:
    """A preset of which one file is spoiled; its hash is mostly made to fit: the hash alone must not save us."""
    folder = path / "leaky_mlp_toy"
    folder.mkdir()
    name, content = spoil(chance)
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


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content)) as loaded:
        return {name: loaded[name] for name in loaded.files}


def user_arrays(chance: random.Random) -> dict[str, np.ndarray]:
    """Good data of a user."""
    random_ = np.random.default_rng(chance.randrange(2**32))
    arrays = {"x": random_.normal(size=(20, 4)), "y": random_.integers(0, 3, 20)}
    if chance.random() < 0.5:
        arrays |= {"x_test": random_.normal(size=(6, 4)), "y_test": random_.integers(0, 3, 6)}
    return arrays


def spoil_npz(arrays: dict[str, np.ndarray], content: bytes, chance: random.Random) -> bytes:
    """Arrays, headers, archive or bytes: one of them wrong."""
    content = content or mutate.npz(arrays, random.Random(0))
    way = chance.random()
    if way < 0.45:
        return mutate.npz(mutate.spoil_arrays(arrays, chance), chance)
    if way < 0.47:
        return mutate.zip_bomb("x.npy", 300)
    if way < 0.7:
        return mutate.spoil_zip(content, chance, lambda name, inside: mutate.spoil_bytes(inside, chance))
    if way < 0.73:
        return mutate.npy(next(iter(arrays.values())), chance)
    return mutate.spoil_bytes(content, chance)


def spoil_part(content: bytes, chance: random.Random) -> bytes:
    """A part of an analysis: its header, arrays, archive or bytes."""
    arrays = _arrays(content)
    if chance.random() < 0.4:
        header = json.loads(arrays["header"].tobytes())
        text = mutate.to_json(mutate.spoil_data(header, chance), chance)
        return mutate.npz({**arrays, "header": np.frombuffer(text, np.uint8)}, random.Random(0))
    return spoil_npz(arrays, content, chance)


def spoil_keras(content: bytes, chance: random.Random) -> bytes:
    """Members, configuration, weights or bytes."""

    def inside(name: str, member: bytes) -> bytes:
        if name.endswith(".h5"):
            return mutate.spoil_h5(member, chance)
        if chance.random() < 0.2:
            return mutate.spoil_bytes(member, chance)
        value = json.loads(member)
        if name == "config.json" and chance.random() < 0.3:
            return mutate.to_json(hostile_config(value, chance), chance)
        return mutate.to_json(mutate.spoil_data(value, chance), chance)

    way = chance.random()
    if way < 0.01:
        return mutate.zip_bomb("config.json", 300)
    return mutate.spoil_bytes(content, chance) if way < 0.2 else mutate.spoil_zip(content, chance, inside)


def hostile_config(value: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Configurations that have run code or read files through Keras, or ask for absurd sizes."""
    layer = chance.choice(
        (
            {"class_name": "Lambda", "module": "keras.layers", "config": {"function": "x"}},
            {"class_name": "__lambda__", "config": {"value": "4wE="}},
            {"class_name": "function", "module": "os", "config": "system", "registered_name": "function"},
            {
                "class_name": "get_file",
                "module": "keras.utils",
                "config": {"fname": "x", "origin": "http://127.0.0.1/x"},
            },
            {"class_name": "enable_unsafe_deserialization", "module": "keras.config", "config": {}},
            {"class_name": "Popen", "module": "subprocess", "config": {"args": ["touch", "owned.txt"]}},
            {"class_name": "StringLookup", "module": "keras.layers", "config": {"vocabulary": "/etc/passwd"}},
            {"class_name": "TorchModuleWrapper", "module": "keras.layers", "config": {"module": "x"}},
            {"class_name": "TFSMLayer", "module": "keras.layers", "config": {"filepath": "/tmp"}},
            {"class_name": "__typespec__", "config": []},
            {"class_name": "LeakyMLP", "module": "leaky_zoo.networks.mlp", "config": {}},
            {"class_name": "Sequential", "module": "keras", "config": {"layers": []}},
            {"class_name": "Dense", "module": "keras.layers", "config": {"units": 10**12}},
        )
    )
    if chance.random() < 0.5:
        key = chance.choice(("width", "depth", "output_size", "input_shape", "effective_depth", "schedule", "dtype"))
        huge = chance.choice((10**9, [10**9], 1e30, layer, {"name": "irregular", "amplitude": []}))
        return {**value, "config": {**value["config"], key: huge}}
    if chance.random() < 0.5:
        return {**layer, "registered_name": chance.choice((None, "leaky_zoo>LeakyMLP", layer["class_name"]))}
    return {**value, "config": {**value["config"], chance.choice(("dtype", "schedule", "class_names")): layer}}


def spoil_onnx(content: bytes, chance: random.Random) -> bytes:
    """Bytes, metadata, tensors, shapes or nodes."""
    import onnx

    if chance.random() < 0.4:
        return mutate.spoil_bytes(content, chance)
    model = onnx.ModelProto.FromString(content)
    way = chance.randrange(9)
    entry = chance.choice(model.metadata_props)
    node, tensor = chance.choice(model.graph.node), chance.choice(model.graph.initializer)
    if way <= 1:
        with contextlib.suppress(ValueError, RecursionError, UnicodeEncodeError):
            entry.value = mutate.to_json(mutate.spoil_data(json.loads(entry.value), chance), chance).decode()
    elif way == 2:
        model.metadata_props.remove(entry)
    elif way == 3:
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(
            key="location", value=chance.choice(("../x.bin", "/etc/passwd", "", "x.bin", "net.onnx"))
        )
    elif way == 4:
        del tensor.dims[:]
        tensor.dims.extend(chance.choice(([2**40], [-1], [0], [3, 10**9], [])))
    elif way == 5:
        node.op_type = chance.choice(("NoSuchOperator", "Loop", "", "ConstantOfShape", "If", "Softmax", "Relu", "PyOp"))
    elif way == 6:
        axis = chance.choice([*model.graph.input, *model.graph.output]).type.tensor_type.shape.dim
        axis[chance.randrange(len(axis))].dim_value = chance.choice((0, -1, 10**12, 7))
    elif way == 7:
        getattr(node, chance.choice(("input", "output")))[0] = chance.choice(("", "nowhere", "outputs", "inputs"))
    else:
        model.ir_version, model.opset_import[0].version = chance.choice(
            ((8, 0), (99, 17), (8, 999), (-1, -1), (8, 2**62))
        )
    return model.SerializeToString()


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
    return (
        name
        if chance.random() < 0.6
        else name + chance.choice(("/", "\x00", "..", "\u2028", chr(chance.randrange(1, 0xD7FF))))
    )


def spoil_command(
    path: Path, files: dict[str, bytes], onnx_file: bytes, keras_file: bytes, chance: random.Random
) -> list[str]:
    """A command line whose arguments or files are wrong."""
    made = {
        "onnx": lambda: _write(path / "net.onnx", spoil_onnx(onnx_file, chance)),
        "keras": lambda: _write(path / "net.keras", spoil_keras(keras_file, chance)),
        "npz": lambda: _write(path / "mine.npz", spoil_npz(user_arrays(chance), b"", chance)),
        "recipe": lambda: _write(path / "recipe.yaml", mutate.spoil_bytes(b"name: [\n", chance)),
        "sweep": lambda: _yaml_file("sweep.yaml", {**SWEEP, "invalid": "fail", "grid": {"seed": [0, -1]}})(
            path, chance
        ),
        "name": lambda: spoil_name(chance),
    }

    def junk() -> str:
        pool = ("-1", "nan", "1e999", "0", "abc", "", "--", "-", "9" * 5000, "\udcff", "1/0", "[x]")
        return chance.choice(pool)

    out = str(path / "out")
    commands = (
        lambda: ["inspect", made["onnx"]()],
        lambda: ["verify", made["onnx"](), "--json"],
        lambda: ["info", made["name"]()],
        lambda: ["list", made["name"](), chance.choice(("--json", "--all", junk()))],
        lambda: ["evaluate", made["keras"](), "--data", made["npz"]()],
        lambda: ["evaluate", made["name"](), "--split", junk()],
        lambda: ["analyze", made["keras"](), "--gamma-0", junk()],
        lambda: ["analyze", made["keras"](), "--plot", out + chance.choice((".gif", "", ".png/x.png"))],
        lambda: [
            "export",
            made["keras"](),
            "--out",
            out + chance.choice((".txt", "", ".onnx")),
            "--data",
            made["npz"](),
        ],
        lambda: ["train", made["recipe"](), "--out", out],
        lambda: ["train", made["name"](), "--out", out, "--seed", junk(), "--devices", junk()],
        lambda: ["sweep", made["sweep"](), "--out", out, "--no-build", "--dry-run"],
        lambda: ["sweep", "run", made["sweep"](), "--out", out, "--no-build", "--shard", junk(), "--dry-run"],
        lambda: ["sweep", "report", made["name"]()],
        lambda: ["merge-audits", made["npz"](), "--save", out],
        lambda: ["compare", made["name"](), made["keras"](), "--report", out + chance.choice((".html", ".txt"))],
        lambda: ["sweep", chance.choice(("--jobs", "--threads", "--shard", "--out")), junk()],
        lambda: [junk(), junk()],
        lambda: [chance.choice(("inspect", "verify", "info", "train", "sweep")), *[junk() for _ in range(3)]],
    )
    # What no operating system can pass as an argument is not an input.
    return ["".join(letter for letter in str(word) if letter not in "\x00\ud800") for word in chance.choice(commands)()]


# Reading, and using what was accepted


def read_recipe(path: Path) -> None:
    """Accepted: comes back from YAML the same, and its schedule starts."""
    from leaky_zoo.layers import get_schedule
    from leaky_zoo.training import Recipe

    recipe = Recipe.read(path)
    recipe.write(path)
    assert Recipe.read(path) == recipe
    get_schedule(recipe.network.schedule).start(recipe.network.depth, recipe.network.effective_depth)


def read_sweep(path: Path) -> None:
    """Accepted: every cell has a recipe or a problem, and they come back from a folder."""
    from leaky_zoo.sweeps import Sweep, SweepFolder

    sweep = Sweep.read(path)
    cells = sweep.cells()
    assert all((cell.recipe is None) != (cell.problem is None) for cell in cells)
    assert all("/" not in cell.name and len(cell.name) < 200 for cell in cells)
    folder = SweepFolder(path.parent / "sweep")
    folder.check(cells)


def read_metadata(path: Path) -> None:
    """Accepted: can be listed, shown and put on a card."""
    from leaky_zoo.cli import listing
    from leaky_zoo.io.reading import read_json
    from leaky_zoo.zoo.card import write_card
    from leaky_zoo.zoo.index import checked_metadata

    metadata = checked_metadata(read_json(path / "metadata.json"), str(path))
    listing.headline(metadata["metrics"])
    for key in ("seed", "weight_decay", "io_weight_decay", "versions", "licence", "citation", "dataset", "device"):
        metadata.setdefault(key, None)
    assert f"{metadata['effective_depth']:g} {metadata['parameters']:,}"
    if metadata["weight_decay"] is not None and metadata["versions"] and "cross_validation" not in metadata:
        with contextlib.suppress(
            TypeError, KeyError
        ):  # cards are written from our own metadata, never from a stranger's
            write_card(metadata, None)


def read_preset(path: Path) -> None:
    """Accepted: computes."""
    from leaky_zoo.zoo import from_preset

    _use(from_preset(path))


def read_golden(path: Path) -> None:
    """Accepted: pairs that fit the network, or are refused by what takes them."""
    from leaky_zoo.deploy.arguments import checked_golden
    from leaky_zoo.zoo.preset import parse_golden

    checked_golden(parse_golden((path / "golden.npz").read_bytes(), "golden.npz"), small_network())


@functools.cache
def small_network() -> Any:
    """A network of the preset's shapes."""
    from leaky_zoo.networks import LeakyMLP

    return LeakyMLP((4,), 3, width=5, depth=4, effective_depth=2.0)


def read_name(name: str) -> None:
    """Names of presets and of data sets."""
    from leaky_zoo.data import load_data
    from leaky_zoo.zoo import preset_folder

    with contextlib.suppress(LeakyZooError):
        preset_folder(name)
        return
    load_data(name)


def read_audit(path: Path) -> None:
    """Accepted: comes back the same, and can be drawn."""
    from leaky_zoo.analysis import Audit
    from leaky_zoo.figures import plot_audit

    audit = Audit.load(path)
    assert Audit.from_dict(json.loads(audit.to_json())).to_dict() == audit.to_dict()
    plot_audit(audit)


def read_part(path: Path) -> None:
    """Accepted: makes an audit."""
    from leaky_zoo.analysis.shards import AuditPart, merge_parts

    merge_parts([AuditPart.load(path)]).to_json()


def read_keras(path: Path) -> None:
    """Accepted: computes."""
    from leaky_zoo.zoo import load_model

    _use(load_model(path))


def read_user(path: Path) -> None:
    """Accepted: finite numbers, splits and statistics."""
    from leaky_zoo.data import load_data

    data = load_data(str(path))
    for split in ("train", "test"):
        x, y = data.select(split)
        assert len(x) == len(y) and np.isfinite(x.astype(np.float32)).all() and np.isfinite(y.astype(np.float32)).all()
    assert np.isfinite(data.statistics("train")["input_variance"]).all()
    assert 1 <= data.output_size <= 10**6


def read_inspect(path: Path) -> None:
    """Metadata."""
    from leaky_zoo.runtime import inspect_onnx

    json.dumps(inspect_onnx(path), allow_nan=False)


def read_describe(path: Path) -> None:
    """The graph."""
    from leaky_zoo.runtime import describe_onnx

    json.dumps(describe_onnx(path), allow_nan=False)


def read_verify(path: Path) -> None:
    """All checks; one that failed is a refusal."""
    from leaky_zoo.runtime import verify_onnx

    report = verify_onnx(path)
    json.dumps(report.to_dict(), allow_nan=False)
    if not report.passed:
        raise ReportedError(
            f"net.onnx: {'; '.join(check.detail for check in report.checks if not check.passed)}"[:4000]
        )


def read_runtime(path: Path) -> None:
    """Accepted: computes, or refuses the samples."""
    from leaky_zoo.runtime import OnnxModel

    model = OnnxModel(path, threads=1)
    if all(isinstance(side, int) and 0 < side < 10**6 for side in model.input_shape):
        model.predict(np.zeros((2, *model.input_shape)))


def read_command(arguments: list[str]) -> None:
    """A command in this process: any exit code but that of a traceback."""
    from leaky_zoo import cli

    out, error = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    before = sys.argv
    sys.argv = ["leaky-zoo", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            cli.main()
        code: Any = 0
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv = before
    for stream in (out, error):
        stream.flush()
    words = error.buffer.getvalue().decode("utf-8")  # type: ignore[attr-defined]
    assert "Traceback" not in words, words
    assert code in (0, 1, 2), (code, words)
    if code:
        assert words.strip() or out.buffer.getvalue(), "nothing was said"  # type: ignore[attr-defined]
        raise ReportedError(" ".join(words.split())[:3000] or "a check failed")


def _use(network: Any) -> None:
    import keras

    shape = network.inputs[0].shape[1:]
    if None not in shape and int(np.prod(shape)) <= 10**6:
        assert network(np.zeros((2, *shape), network.inputs[0].dtype), training=False).shape[0] == 2
    keras.backend.clear_session()
