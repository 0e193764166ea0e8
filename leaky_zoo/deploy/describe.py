"""What is said about a model in its file: gathered from the network and from a preset's metadata."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from leaky_zoo.deploy.graph import BATCH
from leaky_zoo.deploy.ports import Port, Reference
from leaky_zoo.networks import TASKS, LeakyNetwork, Task
from leaky_zoo.networks.ends import known_of_input

# What has a key of its own is not repeated under `leaky_zoo.preset`; other files made of the preset are not about this.
_LEFT_OUT = ("citation", "class_names", "compressed", "metrics", "temperature", "weights_sha256")

UNKNOWN = Task()  # what is said of a foreign model whose task nobody has told


def task_of(model: keras.Model, metadata: Mapping[str, Any]) -> Task:
    """Give the task: the network's own, or what the metadata says of a foreign model."""
    return model.task if isinstance(model, LeakyNetwork) else TASKS.get(metadata.get("task") or "", UNKNOWN)


def describe_model(
    model: keras.Model,
    reference: Reference,
    metadata: Mapping[str, Any],
    audit: dict[str, Any] | None,
    weights_sha256: str,
) -> dict[str, Any]:
    """Metadata of a file by short key, as `write_properties` takes it; None where nothing is known."""
    task = task_of(model, metadata)
    inputs = [_describe_port(port, "raw samples, as the Keras model takes them") for port in reference.inputs]
    outputs = [_describe_port(port, task.output_words) for port in reference.outputs]
    several = len(inputs) > 1 or len(outputs) > 1
    described = {
        "audit": audit,
        "citation": metadata.get("citation"),
        "class_names": metadata.get("class_names"),
        "dataset": {"name": metadata["dataset"]} if metadata.get("dataset") else None,
        "effective_depth": metadata.get("effective_depth"),
        "golden_sha256": (metadata.get("sha256") or {}).get("golden.npz"),
        "input": inputs[0],
        "inputs": inputs if several else None,
        "metrics": metadata.get("metrics"),
        "output": outputs[0],
        "outputs": outputs if several else None,
        "preprocessing": {"words": "whatever the Keras model does itself, inside the graph"},
        "preset": {
            "name": model.name,
            "class": type(model).__name__,
            **{key: value for key, value in metadata.items() if key not in _LEFT_OUT},
        },
        "task": task.name or None,
        "temperature": metadata.get("temperature"),
        "weights_sha256": weights_sha256,
    }
    if isinstance(model, LeakyNetwork):
        described.update(_describe_network(model, described))
    return described


def _describe_network(network: LeakyNetwork, described: Mapping[str, Any]) -> dict[str, Any]:
    config = network.config
    return {
        "class_names": config.class_names or described["class_names"],
        "input": {**described["input"], **_new_of_input(network, described["preset"])},
        "dataset": config.dataset or described["dataset"],
        "effective_depth": network.effective_depth,
        "preprocessing": {
            "mean": config.input_mean,
            "variance": config.input_variance,
            "words": (
                f"inside the graph: (x - mean) / max(sqrt(variance), {keras.config.epsilon():g}), along the last axis; "
                "give raw values"
            ),
        },
        "step_sizes": np.concatenate([path.step_sizes for path in network.paths]),
    }


def _new_of_input(network: LeakyNetwork, preset: Mapping[str, Any]) -> dict[str, Any]:
    """Range and names of the features, unless the preset's metadata, which the file carries, state them already."""
    stated = preset.get("input")
    stated = stated if isinstance(stated, Mapping) else {}
    return {key: value for key, value in known_of_input(network.config).items() if key not in stated}


def _describe_port(port: Port, words: str) -> dict[str, Any]:
    return {"name": port.name, "shape": [BATCH, *port.shape], "dtype": "float32", "words": words}


def sentence(model: keras.Model, reference: Reference, route: str) -> str:
    """One readable sentence on the model and its graph."""
    source, target = (
        " and ".join(f"{port.name} ({', '.join(map(str, (BATCH, *port.shape)))})" for port in ports)
        for ports in (reference.inputs, reference.outputs)
    )
    what = type(model).__name__
    if isinstance(model, LeakyNetwork):
        what += " of " + ", then ".join(
            f"{path.depth} blocks, width {path.width}, effective depth {path.effective_depth:g}" for path in model.paths
        )
    how = "built directly from the weights" if route == "direct" else "converted by tf2onnx"
    return f"{what}: from raw float32 {source}, preprocessing included, to {target}; {how}."
