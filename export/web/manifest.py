"""What the page can choose from: every exported file beside `web/`, in `models.json`.

python export/web/manifest.py [EXPORT_FOLDER]
"""

import sys
from pathlib import Path
from typing import Any

from leaky_zoo.io.files import write_json
from leaky_zoo.runtime import inspect_onnx

FIRST = "model.onnx"  # the uncompressed file of a preset


def manifest(folder: Path) -> dict[str, Any]:
    """Presets with their files, in the order of the page.

    Args:
        folder: holds `<preset>/model.onnx`, and compressed files beside them under other names.

    Returns:
        `{"presets": [{"name", "dataset", "effective_depth", "schedule", "files": [{"path", "name", "bytes",
        "accuracy"}]}]}`, what can be drawn first, larger images first, of one data set what names classes first; files
        without our metadata are left out.
    """
    presets = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(place.glob("*.onnx"), key=lambda path: (path.name != FIRST, path.name))
        carried = [(file, inspect_onnx(file)) for file in files]
        ours = [(file, values) for file, values in carried if "leaky_zoo.preset" in values]
        if not ours:
            continue
        about = ours[0][1]
        presets.append(
            {
                "name": place.name,
                "dataset": str(about["leaky_zoo.preset"].get("dataset") or "other").split("/")[0],
                "effective_depth": about.get("leaky_zoo.effective_depth", 0),
                "schedule": about["leaky_zoo.preset"].get("schedule") or "-",
                "side": _side(about["leaky_zoo.input"]["shape"]),
                "classifies": about["leaky_zoo.task"] == "classification",
                "files": [
                    {
                        "path": f"{place.name}/{file.name}",
                        "name": "full" if file.name == FIRST else file.stem,
                        "bytes": file.stat().st_size,
                        "accuracy": accuracy(values),
                    }
                    for file, values in ours
                ],
            }
        )
    presets.sort(
        key=lambda preset: (
            -preset.pop("side"), preset["dataset"], not preset.pop("classifies"), preset["effective_depth"],
        )
    )  # fmt: skip
    return {"presets": presets}


def _side(shape: list[Any]) -> int:
    """Of the images that the page has a board for; 0 for anything else."""
    return int(shape[1]) if shape[1:] in ([8, 8, 1], [28, 28, 1]) else 0


def accuracy(values: dict[str, Any]) -> float | None:
    """Test accuracy of the very file; None where it was not measured."""
    found = values.get("leaky_zoo.metrics", {}).get("test", {}).get("accuracy")
    return float(found) if isinstance(found, int | float) else None


if __name__ == "__main__":
    export = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent
    write_json(export / "web" / "models.json", manifest(export))
