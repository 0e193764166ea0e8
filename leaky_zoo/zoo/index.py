"""Which presets there are, where, and what their metadata must say. No heavy imports: `leaky-zoo list` starts here."""

import difflib
import os
import re
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import existing_file, read_fields, read_json, shown, shown_text

NAME = re.compile(r"^[a-z0-9][a-z0-9_.\-]*$")
ALIASES = "aliases.json"  # in the folder of presets: short names for those to start with
FILES = ("config.json", "model.weights.h5", "metadata.json", "recipe.yaml", "audit.json", "golden.npz", "README.md")
LISTED = (
    "class", "task", "dataset", "effective_depth", "schedule", "depth", "width", "parameters", "metrics", "device",
)  # fmt: skip


class Metadata(BaseModel):
    """What every command may rely on in a `metadata.json`; other keys are free."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    name: str = Field(pattern=NAME.pattern, max_length=200)
    class_: str = Field(alias="class")
    task: str
    dataset: str | None = None
    effective_depth: float = Field(ge=0)
    schedule: str
    depth: int = Field(ge=1)
    width: int = Field(ge=1)
    parameters: int = Field(ge=0)
    metrics: dict[str, dict[str, float]]
    sha256: dict[str, str]
    weight_decay: float | None = None
    io_weight_decay: float | None = None
    seed: int | None = None
    device: str | None = None
    training_seconds: float | None = None
    citation: str | None = None
    licence: str | None = None
    versions: dict[str, str] = {}


REQUIRED = [field.alias or name for name, field in Metadata.model_fields.items() if field.is_required()]


class UnknownPresetError(InvalidInputError):
    """No preset has this name; the message gives the nearest ones."""


class MissingFileError(InvalidInputError):
    """A preset folder lacks a file."""


def models_dir() -> Path:
    """The folder of the presets: `LEAKY_ZOO_MODELS`, `models/` of a checkout, or what the wheel carries."""
    named = os.environ.get("LEAKY_ZOO_MODELS")
    if named:
        return Path(named)
    package = Path(str(resources.files("leaky_zoo")))
    carried = package / "models"  # in a wheel
    return carried if carried.is_dir() else package.parent / "models"


def read_aliases() -> dict[str, str]:
    """Short names of presets, as `aliases.json` in the folder of presets has them; a preset's own name goes first.

    Raises:
        InvalidInputError: the file is no mapping of names to names.

    Example:
    >>> read_aliases()["digits"]
    'leaky_mlp_optical_digits_l7_equidistant'
    """
    path = models_dir() / ALIASES
    if not path.is_file():
        return {}
    value = read_json(path)
    fine = isinstance(value, dict) and all(
        isinstance(text, str) and NAME.match(text) for pair in value.items() for text in pair
    )
    if not fine:
        raise InvalidInputError(f"{path} must map short names to names of presets. Received: {shown(value)}")
    return value


def list_presets(filter: str | None = None) -> list[dict[str, Any]]:
    """The presets at hand, sorted by name.

    Args:
        filter: keep names that contain this text, case aside. Default None: all.

    Returns:
        For each: `name, alias, class, task, dataset, effective_depth, schedule, depth, width, parameters, metrics,
        device`; `alias` is None where it has none.

    Example:
    >>> [preset["name"] for preset in list_presets("teacher_k3_l7")]
    ['leaky_mlp_teacher_k3_l7_equidistant', 'leaky_mlp_teacher_k3_l7_hamiltonian']
    """
    found = []
    short = {name: alias for alias, name in read_aliases().items()}
    for path in sorted(models_dir().glob("*/metadata.json")):
        name = path.parent.name
        if NAME.match(name) and (filter is None or filter.lower() in name.lower()):
            metadata = checked_metadata(read_json(path), str(path))
            found.append({"name": name, "alias": short.get(name), **{key: metadata.get(key) for key in LISTED}})
    return found


def is_path(name: str | os.PathLike[str]) -> bool:
    """Whether a preset is given as a path: it holds a separator, starts with a dot, or is a `Path`."""
    text = os.fspath(name)
    return isinstance(name, Path) or os.sep in text or text.startswith(".")


def preset_folder(name: str | os.PathLike[str]) -> Path:
    """The folder of a preset, from its name or a path; never guesses between the two.

    Args:
        name: a preset's name or alias; or a path, which holds a separator, starts with a dot, or is a `Path`.

    Raises:
        UnknownPresetError: no preset of that name; the message gives the nearest names.
        MissingFileError: the path is no preset folder.
    """
    text = os.fspath(name)
    if is_path(name):
        folder = Path(text)
        try:
            existing_file(folder / "metadata.json")
        except InvalidInputError as error:
            raise MissingFileError(f"{shown_text(text)} is no preset: it has no metadata.json.") from error
        return folder
    known = [path.parent.name for path in models_dir().glob("*/metadata.json")]
    aliases = read_aliases()
    if text not in known and aliases.get(text) in known:
        text = aliases[text]
    if not NAME.match(text) or text not in known:
        near = difflib.get_close_matches(text, [*known, *aliases], n=3)
        advice = f"Nearest: {', '.join(near)}" if near else f"Known: {', '.join(sorted(known)) or 'none'}"
        raise UnknownPresetError(
            f"No preset is called {shown(text)}. {advice}. A folder is given as a path, as ./{text[:80]}"
        )
    return models_dir() / text


def checked_metadata(value: Any, source: str) -> dict[str, Any]:
    """What a `metadata.json` holds, if it has the fields that commands rely on.

    Args:
        value: plain data.
        source: what errors call it, as its path.

    Raises:
        InvalidInputError: it is no object, lacks a field, or has one of another type.
    """
    if not isinstance(value, dict):
        raise InvalidInputError(f"{source} must hold a JSON object. Received: {type(value).__name__}")
    lacking = [key for key in REQUIRED if key not in value]
    if lacking:
        raise InvalidInputError(f"{source} lacks {', '.join(lacking)}.")
    read_fields(Metadata, value, source, "metadata")
    return value
