"""Tensors of a graph beside its file: what ONNX does with more than 2 GiB."""

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx

from leaky_zoo.io.files import ASIDE, replacing, writing

LEAST_BYTES = 128  # smaller tensors stay in the graph
ALIGNMENT = 4096  # of ONNX Runtime's memory maps


@contextlib.contextmanager
def writing_graph(model: onnx.ModelProto, path: Path) -> Iterator[tuple[Path, dict[str, Any] | None]]:
    """Write a graph in a folder aside; what is at the end of the block takes the place of `path`.

    Args:
        model: changed in place where its tensors move to a file of their own.
        path: the `.onnx` file.

    Yields:
        The file aside, and what `externalize` says, or None.

    Raises:
        WriteFailedError: disk full or read-only; an existing file is as it was.
    """
    with _folder_beside(path) as folder:
        external = externalize(model, folder, path.stem) if needs_external_data(model) else None
        aside = folder / path.name
        aside.write_bytes(model.SerializeToString(deterministic=True))
        yield aside, external
        if external is not None:
            # Its name holds its hash: the tensors of the file that is there now are not touched.
            (folder / external["location"]).replace(path.parent / external["location"])
        with replacing(path) as last:
            last.write_bytes(aside.read_bytes())
    for old in path.parent.glob(f"{path.stem}.{'[0-9a-f]' * 16}.data"):
        if external is None or old.name != external["location"]:
            old.unlink()  # of the file that was there before


@contextlib.contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """A folder on the same disk, gone at the end."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=ASIDE, dir=path.parent) as place:
            yield Path(place)


def needs_external_data(model: onnx.ModelProto) -> bool:
    """Whether a model is too large for one file of protobuf."""
    # Its own limit, looked up each time; a little is left for names and metadata.
    return tensor_bytes(model) > onnx.checker.MAXIMUM_PROTOBUF * 0.98


def tensor_bytes(model: onnx.ModelProto) -> int:
    """Bytes of a model's initialisers."""
    return sum(len(tensor.raw_data) for tensor in model.graph.initializer)


def externalize(model: onnx.ModelProto, folder: Path, stem: str) -> dict[str, Any]:
    """Move the initialisers of a model into a file of their own, whose name holds its hash.

    Args:
        model: changed in place.
        folder: where the file goes.
        stem: start of its name.

    Returns:
        `{"location", "sha256", "bytes"}` for the metadata.
    """
    digest, at = hashlib.sha256(), 0
    part = folder / f"{stem}.data"
    with part.open("wb") as file:
        for tensor in model.graph.initializer:
            if len(tensor.raw_data) < LEAST_BYTES:
                continue
            padding = -at % ALIGNMENT
            for content in (bytes(padding), tensor.raw_data):
                digest.update(content)
                file.write(content)
            at += padding
            tensor.external_data.extend(
                onnx.StringStringEntryProto(key=key, value=str(value))
                for key, value in (("offset", at), ("length", len(tensor.raw_data)))
            )
            at += len(tensor.raw_data)
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
    location = f"{stem}.{digest.hexdigest()[:16]}.data"
    part.rename(folder / location)
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            tensor.external_data.append(onnx.StringStringEntryProto(key="location", value=location))
    return {"location": location, "sha256": digest.hexdigest(), "bytes": at}
