"""Reading files that may be anything: cut off, too large, hostile. Plain data only; for the rest one clear error."""

import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from leaky_zoo.arguments import nearest
from leaky_zoo.errors import InvalidInputError

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound="BaseModel")

MAX_YAML_BYTES = 256 * 1024
MAX_JSON_BYTES = 64 * 1024**2
MAX_DEPTH = 64
MAX_INTEGER = 2**63
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def path_text(path: Any, what: str = "path") -> str:
    """A path or a name as text.

    Raises:
        InvalidInputError: it is neither a text nor a path; the message calls it `what`.
    """
    if not isinstance(path, str | os.PathLike):
        raise InvalidInputError(f"`{what}` must be a name or a path. Received: {what}={shown(path)}")
    return os.fspath(path)


def existing_file(path: str | os.PathLike[str], what: str = "file") -> Path:
    """The path, if it is a regular file or a link to one: no folder, no pipe, no device.

    Args:
        path: the path.
        what: how the error calls it. Default "file".

    Raises:
        InvalidInputError: it is not, or can be no path at all.
    """
    path = Path(path)
    try:
        found, folder = path.is_file(), path.is_dir()
    except (OSError, ValueError):  # a name that is too long, or holds a zero byte
        found = folder = False
    if folder:
        article = "an" if what[0] in "AEIO" else "a"
        raise InvalidInputError(f"{shown_text(str(path))} is a folder, not {article} {what}.")
    if not found:
        raise InvalidInputError(f"No such {what}: {shown_text(str(path))}")
    return path


def read_bytes(path: str | os.PathLike[str], limit: int, what: str = "file") -> bytes:
    """The content of a file of at most `limit` bytes.

    Raises:
        InvalidInputError: no such file, too long, or not readable.
    """
    path = existing_file(path, what)
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}.") from error
    if len(content) > limit:
        raise InvalidInputError(f"{path} is too long: more than {limit:,} bytes.")
    return content


def decoded(content: bytes, source: str) -> str:
    """Bytes as UTF-8 text.

    Raises:
        InvalidInputError: they are none.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"{source} is not UTF-8 text: byte {error.start} is {content[error.start]:#04x}."
        ) from error


def read_text(path: str | os.PathLike[str], limit: int, what: str = "file") -> str:
    """The UTF-8 text of a file of at most `limit` bytes.

    Raises:
        InvalidInputError: no such file, too long, not readable, or not UTF-8.
    """
    return decoded(read_bytes(path, limit, what), str(path))


def parse_json(text: str | bytes, source: str) -> Any:
    """JSON to plain data: no NaN, no infinity, no number beyond 64 bits, no lone surrogates, no deep nesting.

    Args:
        text: the JSON.
        source: what the error calls it, as a path.

    Raises:
        InvalidInputError: it is anything else.

    Example:
    >>> parse_json('{"depth": 3}', "config.json")
    {'depth': 3}
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{source} is not JSON: {one_line(error)}.") from error
    check_plain(value, source)
    return value


def read_json(path: str | os.PathLike[str], limit: int = MAX_JSON_BYTES, what: str = "file") -> Any:
    """The JSON file at `path`, as `parse_json`.

    Raises:
        InvalidInputError: as `read_text` and `parse_json`; the message names the file.
    """
    return parse_json(read_text(path, limit, what), str(path))


def read_yaml(path: str | os.PathLike[str], what: str = "file") -> Any:
    """The YAML file at `path`, as `parse_yaml`.

    Raises:
        InvalidInputError: as `read_text` and `parse_yaml`; the message names the file.
    """
    return parse_yaml(read_text(path, MAX_YAML_BYTES, what), str(path))


def parse_yaml(text: str, source: str) -> Any:
    """YAML to plain data, without tags, aliases and repeated keys.

    Raises:
        InvalidInputError: it is anything else; the message names `source` and, for syntax, the line.
    """
    import yaml

    from leaky_zoo.io.yaml_loader import PlainLoader

    try:
        value = yaml.load(text, PlainLoader)  # a stricter SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a day 13-45, a number of 5000 digits
        raise InvalidInputError(f"{source} is not plain YAML: {one_line(error)}.") from error
    check_plain(value, source)
    return value


def check_plain(value: Any, source: str, place: str = "", depth: int = 0) -> None:
    """Refuse, with the place, what is legal JSON or YAML and surprises everyone later.

    Raises:
        InvalidInputError: NaN, infinity, an integer beyond 64 bits, text that is no Unicode, nesting beyond 64 levels.
    """
    where = f"{source}: {shown_text(place)}" if place else source
    if depth > MAX_DEPTH:
        raise InvalidInputError(f"{source} is nested too deeply: more than {MAX_DEPTH} levels.")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInputError(f"{where} must be a finite number. Received: {value}")
    if isinstance(value, int) and not -MAX_INTEGER <= value < MAX_INTEGER:
        raise InvalidInputError(f"{where} must be a number of at most 64 bits. Received: {shown(value)}")
    if isinstance(value, str) and not _is_unicode(value):
        raise InvalidInputError(f"{where} must be Unicode text. Received: {shown(value)}")
    if isinstance(value, dict):
        for key, item in value.items():
            check_plain(key, source, place, depth + 1)
            check_plain(item, source, f"{place}.{key}" if place else str(key), depth + 1)
    elif isinstance(value, list):
        for row, item in enumerate(value):
            check_plain(item, source, f"{place}[{row}]", depth + 1)


def read_fields(model: type[Model], value: Any, source: str, kind: str) -> Model:
    """A pydantic model from plain data.

    Args:
        model: its class.
        value: a mapping of its fields.
        source: what errors call it, as its path.
        kind: what it is, as "recipe".

    Raises:
        InvalidInputError: no mapping, or a field that is wrong; the message names `source` and the field.
    """
    from pydantic import ValidationError

    if not isinstance(value, dict):
        raise InvalidInputError(f"{source} must be a mapping of {kind} fields. Received: {type(value).__name__}")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidInputError(f"{source}: {validation_words(error, kind, model, value)}") from error


def validation_words(
    error: "ValidationError", whole: str, model: "type[BaseModel]", value: dict[str, Any], most: int = 5
) -> str:
    """What pydantic found wrong, by field, in one sentence of bounded length.

    Args:
        error: the error.
        whole: name of the whole object, for what is wrong with no field in particular.
        model: class of the whole object, for the nearest name of a field that does not exist. A part of it may know
            more names than its fields: as `every_name(plain data of the part)`.
        value: the plain data.
        most: problems named; the rest are counted. Default 5.
    """
    problems = error.errors(include_url=False)
    words = []
    for problem in problems[:most]:
        message = shown_text(problem["msg"], 200)
        if problem["type"] == "extra_forbidden":
            known = _names_at(model, value, problem["loc"])
            message = f"there is no such field{nearest(problem['loc'][-1], known) if known else ''}"
        place = shown_text(".".join(map(str, problem["loc"]))) or whole
        words.append(f"{place}: {message} (received {shown(problem['input'])})")
    return "; ".join(words) + (f"; and {len(problems) - most} more" if len(problems) > most else "")


def _names_at(model: "type[BaseModel]", value: Any, place: Sequence[Any]) -> list[str]:
    """Names of the fields beside the one at `place`; none where that part is no model."""
    part: Any = model
    for key in place[:-1]:
        field, value = part.model_fields.get(str(key)), value.get(key) if isinstance(value, dict) else None
        kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
        part = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
        if part is None:
            return []
    own = getattr(part, "every_name", None)
    return own(value) if own else [field.alias or name for name, field in part.model_fields.items()]


def counted(count: int, noun: str) -> str:
    """A number of things, in the singular where it is one.

    >>> counted(1, "class"), counted(1200, "class"), counted(3, "sample")
    ('1 class', '1200 classes', '3 samples')
    """
    plural = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{plural}"


def shown(value: Any, limit: int = 80) -> str:
    """`repr` of a value for a message, cut to a bounded length.

    >>> shown("a" * 1000, 10)
    "'aaaaaaaaa..."
    """
    if isinstance(value, int) and abs(value) >= 10**limit:
        return f"an integer of {value.bit_length():,} bits"
    return shown_text(repr(value), limit)


def shown_text(text: str, limit: int = 160) -> str:
    """Text for a message: one line, printable, of a bounded length."""
    plain = "".join(character if character.isprintable() else " " for character in text[: limit + 1])
    return f"{plain[:limit]}..." if len(text) > limit else plain


def one_line(error: BaseException, limit: int = 300) -> str:
    """An error's message in one bounded line, without its last full stop."""
    plain = COLOURS.sub("", str(error))  # of terminals
    return shown_text(" ".join(plain.split()) or type(error).__name__, limit).rstrip(".")


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
