"""A model repository for Triton's ONNX Runtime backend, or an InferenceService for KServe, from one exported file.

    python export/serving/repository.py model.onnx models/ [--name digits] [--version 1]

writes `models/digits/config.pbtxt`, `models/digits/1/model.onnx`, `models/digits/labels.txt` (of a classifier) and
`models/digits/kserve.yaml`. Nothing that is there already is touched.
"""

import argparse
import re
import shutil
from pathlib import Path

from leaky_zoo.errors import InvalidInputError, LeakyZooError
from leaky_zoo.io.files import making_folder
from leaky_zoo.runtime import describe_onnx, load

KSERVE = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {service}
spec:
  predictor:
    model:
      modelFormat: {{name: onnx}}
      protocolVersion: v2
      runtime: kserve-tritonserver
      storageUri: pvc://models  # the folder above this one
"""


def write_repository(file: Path, folder: Path, name: str | None = None, version: int = 1) -> Path:
    """Write one model of a repository.

    Args:
        file: an `.onnx` file.
        folder: the repository.
        name: of the model: letters, digits, `_` and `-`. Default None: the preset's, else the file's.
        version: at least 1. Default 1.

    Returns:
        The model's folder.

    Raises:
        InvalidInputError: the file is no ONNX model, the name or version is none, or the model is there already.
    """
    model, graph = load(file), describe_onnx(file)
    name = name or model.metadata.get("leaky_zoo.preset", {}).get("name") or file.stem
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name) or version < 1:
        raise InvalidInputError(f"A model needs a plain name and a version from 1. Received: {name!r}, {version}")
    if (folder / name).exists():
        raise InvalidInputError(f"{folder / name} is there already.")
    with making_folder(folder / name) as aside:
        labels = "labels.txt" if model.class_names else None
        if labels:
            (aside / labels).write_text("\n".join(model.class_names or []) + "\n", encoding="utf-8")
        (aside / str(version)).mkdir()
        shutil.copyfile(file, aside / str(version) / "model.onnx")
        (aside / "config.pbtxt").write_text(config_of(name, graph, labels), encoding="utf-8")
        service = name.replace("_", "-").lower()
        (aside / "kserve.yaml").write_text(KSERVE.format(service=service), encoding="utf-8")
    return folder / name


def config_of(name: str, graph: dict, labels: str | None) -> str:
    """The `config.pbtxt` of a graph whose tensors are float32 with the batch first; labels belong to the first output.

    Raises:
        InvalidInputError: a tensor whose samples have no fixed shape.
    """

    def tensors(kind: str, shapes: dict[str, list[int | str]]) -> str:
        blocks = []
        for place, (tensor, shape) in enumerate(shapes.items()):
            if not all(isinstance(side, int) for side in shape[1:]):
                raise InvalidInputError(f"Samples must have a fixed shape. Received: {tensor} {shape}")
            extra = f', label_filename: "{labels}"' if labels and kind == "output" and not place else ""
            dims = ", ".join(map(str, shape[1:]))
            blocks.append(f'  {{ name: "{tensor}", data_type: TYPE_FP32, dims: [ {dims} ]{extra} }}')
        return f"{kind} [\n" + ",\n".join(blocks) + "\n]\n"

    return (
        f'name: "{name}"\nbackend: "onnxruntime"\nmax_batch_size: 256\n'
        + tensors("input", graph["inputs"])
        + tensors("output", graph["outputs"])
        + "dynamic_batching { max_queue_delay_microseconds: 1000 }\ninstance_group [ { kind: KIND_CPU, count: 1 } ]\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name")
    parser.add_argument("--version", type=int, default=1)
    chosen = parser.parse_args()
    try:
        print(write_repository(chosen.file, chosen.folder, chosen.name, chosen.version))
    except LeakyZooError as error:
        parser.exit(error.exit_code, f"{error}\n")
