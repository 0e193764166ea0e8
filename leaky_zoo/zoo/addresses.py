"""Names, files and addresses of presets, on a hub or in an index with hashes. No heavy imports."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import shown

NAME = re.compile(r"^[a-z0-9][a-z0-9_.\-]*$")
PICTURE = "audit.png"
FILES = (
    "config.json",
    "model.weights.h5",
    "metadata.json",
    "recipe.yaml",
    "audit.json",
    PICTURE,
    "golden.npz",
    "README.md",
)
HUB = "hf://"
INDEX_FILE = "index.json"
_REPOSITORY = re.compile(r"^(?P<user>[\w\-.]+)(/(?P<name>[\w\-.]+)(@(?P<revision>[\w\-./]+))?)?$")


@dataclass(frozen=True)
class HubAddress:
    """`hf://USER/NAME[@REVISION]`, or `hf://USER`, all presets of a user.

    Attributes:
        user: who it belongs to.
        name: of the repository; None for `hf://USER`.
        revision: a branch, a tag or a commit's hash; None for the newest of the main branch.
    """

    user: str
    name: str | None
    revision: str | None

    @property
    def text(self) -> str:
        """The address as it is written."""
        name = "" if self.name is None else f"/{self.name}"
        return f"{HUB}{self.user}{name}" + (f"@{self.revision}" if self.revision else "")

    @property
    def repository(self) -> str:
        """`USER/NAME`.

        Raises:
            InvalidInputError: it is the address of a user.
        """
        if self.name is None:
            raise InvalidInputError(
                f"A preset on a hub is hf://USER/NAME, with @REVISION or not. Received: hf://{self.user}"
            )
        return f"{self.user}/{self.name}"


@dataclass(frozen=True)
class IndexAddress:
    """`INDEX#NAME`, or an index alone, where INDEX is the path or the URL of an `index.json`, or of its folder.

    Attributes:
        index: path or URL of the index.
        name: of a preset in it; None for all.
    """

    index: str
    name: str | None


def address_of(text: "str | os.PathLike[str]") -> HubAddress | IndexAddress | None:
    """What an address names, or None for what is none: a preset's name, or a path.

    Raises:
        InvalidInputError: it starts like an address and is none.

    Example:
    >>> address_of("hf://somebody/net@v1.0")
    HubAddress(user='somebody', name='net', revision='v1.0')
    >>> address_of("https://zoo.example/index.json#net")
    IndexAddress(index='https://zoo.example/index.json', name='net')
    >>> address_of("./zoo/net") is None
    True
    """
    text = os.fspath(text)
    if text.startswith(HUB):
        match = _REPOSITORY.match(text.removeprefix(HUB))
        if match is None:
            raise InvalidInputError(f"A preset on a hub is hf://USER/NAME[@REVISION]. Received: {shown(text)}")
        return HubAddress(match["user"], match["name"], match["revision"])
    where, mark, name = text.partition("#")
    if not where.endswith(INDEX_FILE):
        if not is_url(where) and not (mark and Path(where, INDEX_FILE).is_file()):
            return None
        where = f"{where.rstrip('/')}/{INDEX_FILE}"
    if mark and not name:
        raise InvalidInputError(f"A preset of an index is INDEX#NAME. Received: {shown(text)}")
    return IndexAddress(where, name or None)


def is_url(text: str) -> bool:
    """Whether a text is the address of something on the web."""
    return text.startswith(("https://", "http://"))
