"""An index of presets with the hash of each of their files: who has the index knows every byte that it names."""

import hashlib
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.io.files import replacing, sha256, write_json
from leaky_zoo.io.reading import MAX_JSON_BYTES, one_line, parse_json, read_bytes, read_fields, shown
from leaky_zoo.zoo.addresses import FILES, INDEX_FILE, NAME, is_url

PATIENCE = 5.0  # seconds for an answer
PART = 1 << 20
MAX_FILE_BYTES = 16 << 30


class ChangedFileError(CheckFailedError):
    """A file of a preset is not the one that its metadata, or an index, name."""


class _Contents(BaseModel):
    """An `index.json`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    leaky_zoo_index: int = Field(ge=1, le=1)
    base: str | None = None
    presets: dict[str, dict[str, str]]


@dataclass(frozen=True)
class HashedIndex:
    """What an `index.json` names.

    Attributes:
        source: path or URL that it was read from.
        base: path or URL of the folder that holds a folder for each preset.
        presets: `{name: {file: sha256}}`.
    """

    source: str
    base: str
    presets: dict[str, dict[str, str]]

    @classmethod
    def read(cls, source: str) -> "HashedIndex":
        """Read an index.

        Args:
            source: path or URL. A URL is https, or of this machine: over plain http hashes could be changed on the way.

        Raises:
            InvalidInputError: there is none, or it is none.
        """
        if is_url(source):
            _refuse_plain(source)
            content = b"".join(_download(source, MAX_JSON_BYTES))
        else:
            content = read_bytes(source, MAX_JSON_BYTES, "index of presets")
        found = read_fields(_Contents, parse_json(content, source), source, "index")
        for name, files in found.presets.items():
            if not NAME.match(name) or "metadata.json" not in files or not set(files) <= set(FILES):
                raise InvalidInputError(
                    f"{source}: a preset has a name of small letters and digits, and the hashes of its metadata.json "
                    f"and of {', '.join(FILES)}. Received: {shown({name: sorted(files)})}"
                )
        beside = source.rpartition("/")[0] if is_url(source) else str(Path(source).parent)
        return cls(source, (found.base or beside).rstrip("/"), found.presets)

    def files_of(self, name: str) -> dict[str, str]:
        """`{file: sha256}` of a preset.

        Raises:
            InvalidInputError: the index has none of this name.
        """
        if name not in self.presets:
            raise InvalidInputError(
                f"{self.source} names no preset {shown(name)}. It has: {', '.join(sorted(self.presets)) or 'none'}"
            )
        return self.presets[name]

    def fetch(self, name: str, wanted: Sequence[str] = FILES) -> Path:
        """A folder with files of a preset, each of the hash that the index names.

        What comes from a URL is kept in the cache, under its hashes, and not fetched again.

        Args:
            name: of the preset.
            wanted: the files, where the index names them. Default: all.

        Raises:
            ChangedFileError: a file is not the one that the index names; it is not kept.
            InvalidInputError: no such preset, or it cannot be read.
        """
        files = {file: digest for file, digest in self.files_of(name).items() if file in wanted}
        if not is_url(self.base):
            folder = Path(self.base) / name
            for file, digest in files.items():
                if not (folder / file).is_file():
                    raise InvalidInputError(f"{folder} lacks {file}, which {self.source} names.")
                if sha256(folder / file) != digest:
                    raise _changed(str(folder / file), digest, self.source)
            return folder
        from leaky_zoo.data.cache import cache_dir

        whole = json.dumps(self.presets[name], sort_keys=True).encode()
        folder = cache_dir() / "presets" / hashlib.sha256(whole).hexdigest()[:16] / name
        for file, digest in files.items():
            if not (folder / file).is_file() or sha256(folder / file) != digest:
                _keep(f"{self.base}/{name}/{file}", folder / file, digest, self.source)
        return folder


def write_index(folder: str | os.PathLike[str], base: str | None = None) -> Path:
    """Write the `index.json` of a folder of presets: the hash of every file of each.

    Args:
        folder: holds a folder for each preset.
        base: URL of the folder from which they are to be fetched, where that is not the one of the index: who keeps the
            index then trusts no server. Default None.

    Returns:
        The file.

    Raises:
        InvalidInputError: there is no preset in the folder.
        WriteFailedError: disk full or read-only.

    Example:
    >>> import shutil, tempfile
    >>> from leaky_zoo.zoo import list_presets, preset_folder
    >>> place, name = Path(tempfile.mkdtemp()), "leaky_mlp_optical_digits_l7_equidistant"
    >>> _ = shutil.copytree(preset_folder(name), place / name)
    >>> [preset["name"] for preset in list_presets(source=str(write_index(place)))]
    ['leaky_mlp_optical_digits_l7_equidistant']
    """
    folder = Path(folder)
    presets = {
        path.parent.name: {file: sha256(path.parent / file) for file in FILES if (path.parent / file).is_file()}
        for path in sorted(folder.glob("*/metadata.json"))
        if NAME.match(path.parent.name)
    }
    if not presets:
        raise InvalidInputError(f"{folder} holds no folder of a preset.")
    value: dict[str, Any] = {"leaky_zoo_index": 1, **({"base": base} if base else {}), "presets": presets}
    write_json(folder / INDEX_FILE, value)
    return folder / INDEX_FILE


def _refuse_plain(url: str) -> None:
    host = urllib.parse.urlsplit(url).hostname
    if url.startswith("http://") and host not in ("127.0.0.1", "localhost", "::1"):
        raise InvalidInputError(
            f"An index is read over https: over http its hashes could be changed on the way. Received: {shown(url)}"
        )


def _download(url: str, most: int) -> Any:
    """The parts of what a URL holds."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            got = 0
            while part := answer.read(PART):
                got += len(part)
                if got > most:
                    raise InvalidInputError(f"{url} is too long: more than {most:,} bytes.")
                yield part
    except urllib.error.HTTPError as error:
        raise InvalidInputError(f"{url} cannot be read: {error.code} {error.reason}.") from error
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidInputError):
            raise
        reason = getattr(error, "reason", error)
        raise InvalidInputError(f"{url} cannot be read: {one_line(ValueError(str(reason)))}.") from error


def _keep(url: str, path: Path, digest: str, source: str) -> None:
    """Fetch a file, and keep it if its hash is the one that was named."""
    found = hashlib.sha256()
    with replacing(path) as aside:
        with aside.open("wb") as file:
            for part in _download(url, MAX_FILE_BYTES):
                found.update(part)
                file.write(part)
        if found.hexdigest() != digest:
            raise _changed(url, digest, source)


def _changed(what: str, digest: str, source: str) -> ChangedFileError:
    return ChangedFileError(f"{what} has changed: its sha256 is not {digest}, which {source} names.")
