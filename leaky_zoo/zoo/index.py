"""Which presets there are, where, and what their metadata must say. No heavy imports: `leaky-zoo list` starts here."""

import difflib
import os
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from leaky_zoo.arguments import naming_the_nearest
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import existing_file, path_text, read_fields, read_json, shown, shown_text
from leaky_zoo.zoo.addresses import FILES, INDEX_FILE, NAME, HubAddress, IndexAddress, address_of

ALIASES = "aliases.json"  # in the folder of presets: short names for those to start with
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


@naming_the_nearest
def list_presets(filter: str | None = None, *, source: str | os.PathLike[str] | None = None) -> list[dict[str, Any]]:
    """The presets at hand, or those of another place, sorted by name.

    Args:
        filter: keep names that contain this text, case aside; or a place as `source`. Default None: all.
        source: the path of a folder of presets; path or URL of an index with hashes; `hf://USER/NAME[@REVISION]`, or
            `hf://USER` for all of a user. Default None: this zoo.

    Returns:
        For each: `name, alias, class, task, dataset, effective_depth, schedule, depth, width, parameters, metrics,
        device`, and `address`, what `from_preset` takes; `alias` is None where it has none.

    Raises:
        InvalidInputError: nothing is there, or it cannot be reached.
        ChangedFileError: metadata that are not those of the index.

    Example:
    >>> [preset["name"] for preset in list_presets("teacher_k3_l7")]
    ['leaky_mlp_teacher_k3_l7_equidistant', 'leaky_mlp_teacher_k3_l7_hamiltonian']
    """
    if filter is not None and source is None and (address_of(filter) or is_path(filter)):
        filter, source = None, filter
    found = []
    short = {name: alias for alias, name in read_aliases().items()} if source is None else {}
    for address, path in _metadata_files(source):
        metadata = checked_metadata(read_json(path), str(path))
        name = path.parent.name if source is None else metadata["name"]
        if filter is None or filter.lower() in name.lower():
            found.append({"name": name, "alias": short.get(name), "address": address, **_listed(metadata)})
    return sorted(found, key=lambda preset: preset["name"])


def _listed(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: metadata.get(key) for key in LISTED}


def _metadata_files(source: str | os.PathLike[str] | None) -> Iterator[tuple[str, Path]]:
    """Address and `metadata.json` of every preset of a place."""
    file = ("metadata.json",)
    address = None if source is None or isinstance(source, Path) else address_of(source)
    if isinstance(address, HubAddress):
        from leaky_zoo.zoo.hub import fetch_from_hub, presets_of_user

        several = presets_of_user(address.user) if address.name is None else [address]
        yield from ((each.text, fetch_from_hub(each, file) / file[0]) for each in several)
        return
    folder = models_dir() if source is None else Path(source)
    if address is None and source is not None and (folder / INDEX_FILE).is_file():
        address = IndexAddress(str(folder / INDEX_FILE), None)
    if isinstance(address, IndexAddress):
        from leaky_zoo.zoo.hashed_index import HashedIndex

        index = HashedIndex.read(address.index)
        names = sorted(index.presets) if address.name is None else [address.name]
        yield from ((f"{address.index}#{name}", index.fetch(name, file) / file[0]) for name in names)
        return
    if source is not None and not folder.is_dir():
        raise InvalidInputError(f"No such folder of presets: {shown_text(str(folder))}")
    paths = [folder / file[0]] if (folder / file[0]).is_file() else sorted(folder.glob("*/metadata.json"))
    for path in paths:
        if NAME.match(path.parent.name) or path.parent == folder:
            yield path.parent.name if source is None else str(path.parent), path


def is_path(name: str | os.PathLike[str]) -> bool:
    """Whether a preset is given as a path: it holds a separator, starts with a dot, or is a `Path`."""
    text = path_text(name, "name")
    return isinstance(name, Path) or os.sep in text or text.startswith(".")


def preset_folder(name: str | os.PathLike[str], files: Sequence[str] = FILES) -> Path:
    """The folder of a preset, from its name, a path or an address; never guesses between them.

    Args:
        name: a preset's name or alias; a path, which holds a separator, starts with a dot, or is a `Path`; an address,
            `hf://USER/NAME[@REVISION]`, or `INDEX#NAME` of an index with hashes.
        files: that are wanted of a preset that is elsewhere, and so has to be fetched. Default: all.

    Raises:
        UnknownPresetError: no preset of that name; the message gives the nearest names.
        MissingFileError: the path is no preset folder.
        ChangedFileError: a file is not the one that the index names.
        InvalidInputError: an address where nothing is, or that cannot be reached.
    """
    text = path_text(name, "name")
    address = None if isinstance(name, Path) else address_of(text)
    if isinstance(address, HubAddress):
        from leaky_zoo.zoo.hub import fetch_from_hub

        return _is_preset(fetch_from_hub(address, files), text)
    if isinstance(address, IndexAddress):
        from leaky_zoo.zoo.hashed_index import HashedIndex

        index = HashedIndex.read(address.index)
        return index.fetch(address.name or "", files) if address.name else _one_of(index.presets, address.index)
    if is_path(name):
        return _is_preset(Path(text), text)
    known = [path.parent.name for path in models_dir().glob("*/metadata.json")]
    aliases = read_aliases()
    if text not in known and aliases.get(text) in known:
        text = aliases[text]
    if not NAME.match(text) or text not in known:
        raise UnknownPresetError(f"No preset is called {shown(text)}. {_advice(text, known, list(aliases))}")
    return models_dir() / text


def _advice(text: str, known: list[str], aliases: list[str]) -> str:
    """What somebody may have meant who gave a name that no preset has."""
    if Path(text).exists():
        kind = "folder" if Path(text).is_dir() else "file"
        return f"The {kind} of this name is taken for a `.keras` file, a run or a preset if it is given as ./{text}"
    folder = models_dir()
    if not known:
        return f"There are no presets in {folder}{'' if folder.is_dir() else ', which is not a folder'}."
    near = difflib.get_close_matches(text.lower(), known + aliases, n=3)
    words = f"Nearest: {', '.join(near)}." if near else f"`leaky-zoo list` names the {len(known)} that there are."
    return f"{words} A folder is given as a path, as ./{text[:80]}"


def _is_preset(folder: Path, text: str) -> Path:
    try:
        existing_file(folder / "metadata.json")
    except InvalidInputError as error:
        if "://" in text or "#" in text:  # an address, and what it names has been fetched
            raise MissingFileError(f"{shown_text(text)} is not a preset: it has no metadata.json.") from error
        if not folder.exists():
            raise MissingFileError(f"No such file or folder: {shown_text(text)}") from error
        words = (
            "leaky-zoo inspect, verify and predict read it." if folder.suffix == ".onnx" else "it has no metadata.json."
        )
        raise MissingFileError(f"{shown_text(text)} is not a `.keras` file, a run or a preset: {words}") from error
    return folder


def _one_of(names: Any, source: str) -> Path:
    raise InvalidInputError(f"{source} names several presets: add #NAME. It has: {', '.join(sorted(names))}")


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
