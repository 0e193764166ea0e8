"""Ways to spoil bytes, plain data, JSON and YAML; every function takes its own `random.Random`."""

import copy
import functools
import json
import random
from pathlib import Path
from typing import Any

import yaml

NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, -(10**4000), 1e308, 1e999, -1e999, float("nan"), 0.5, -0.0,
    "", " ", "a" * 5000, "\ud800", "\x00", "../../etc/passwd", "/etc/passwd", "~", "${HOME}", "nan", "1e999", "ü☃",
    "[red]x[/", "%s%n", "\n\nx", [], {}, [[]], {"": 0}, {"name": []}, {"name": "nobody"}, list(range(50)),
    {"class_name": "Lambda"}, "a\x00.npz", "\u202e", "x" * 300 + ".npz",
)  # fmt: skip


TAGS = (
    "!!python/object/apply:os.system ['echo owned > owned.txt']",
    "!!python/object/new:subprocess.Popen [[touch, owned.txt]]",
    "!!python/name:os.system",
    "!!binary aGVsbG8=",
    "!!timestamp x",
    "!!int ''",
    "!!bool maybe",
    "!!set {a, b}",
    "!custom {a: 1}",
)


def write(path: Path, content: bytes) -> Path:
    """Write a file; its path."""
    path.write_bytes(content)
    return path


def spoil_bytes(content: bytes, chance: random.Random) -> bytes:
    """Cut off, changed, repeated, shifted or replaced bytes."""
    at = chance.randrange(len(content) + 1)
    way = chance.randrange(11)
    if way == 0:
        return content[:at]
    if way == 1:
        return content[at:]
    if way in (2, 3):
        changed = bytearray(content)
        for _ in range(chance.choice((1, 1, 2, 8, 64))):
            if changed:
                changed[chance.randrange(len(changed))] = chance.randrange(256)
        return bytes(changed)
    if way == 4:
        return content[:at] + chance.randbytes(chance.randrange(1, 200)) + content[at:]
    if way == 5:
        return content[:at] + content[at : at + chance.randrange(400)] * 2 + content[at:]
    if way == 6:
        size = chance.randrange(1, 100)
        return content[:at] + bytes([chance.choice((0, 255))]) * size + content[at + size :]
    if way == 7:
        return chance.randbytes(chance.randrange(600))
    if way == 8:
        whole = (b"", b"\x00", b"\n", b"\xff\xfe" + content, b"\xef\xbb\xbf" + content, b"null", b"[]", b"{}")
        return chance.choice(whole)
    if way == 9:
        magic = (b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x93NUMPY", b"\x80\x04", b"%YAML 1.2\n")
        return chance.choice(magic) + content[at:]
    return content + chance.randbytes(chance.randrange(1, 50))


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to everything inside plain data."""
    found = [place] if place else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, (*place, key))
    return found


def spoil_data(value: Any, chance: random.Random) -> Any:
    """Plain data with one to three things changed, removed, added or moved."""
    try:
        return _spoil_data(copy.deepcopy(value), chance)
    except RecursionError:  # nested within nested
        return nested(200, 1)


def _spoil_data(value: Any, chance: random.Random) -> Any:
    if chance.random() < 0.03:
        return copy.deepcopy(chance.choice(NASTY))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        known = places(value)
        if not known:
            return value
        *parts, last = chance.choice(known)
        target = functools.reduce(lambda inner, key: inner[key], parts, value)
        way = chance.randrange(8)
        if way <= 3:
            target[last] = copy.deepcopy(chance.choice(NASTY))
        elif way == 4:
            del target[last]
        elif way == 5:
            new = chance.choice(("extra", "", "__class__", "x" * 300, str(last) + "s"))
            target.update({new: chance.choice((1, None, "x"))}) if isinstance(target, dict) else target.append(new)
        elif way == 6:
            target[last] = nested(chance.choice((3, 70, 200)), target[last])
        elif isinstance(target[last], bool | str | None):
            target[last] = chance.choice((0, [target[last]], {"value": target[last]}))
        elif isinstance(target[last], int | float):
            target[last] = chance.choice((-target[last] - 1, str(target[last]), target[last] * 10**12, float("inf")))
        else:
            target[last] = chance.choice((str(target[last])[:50], list(target[last]), 7))
    return value


def nested(levels: int, inside: Any) -> Any:
    """Something in so many lists."""
    for _ in range(levels):
        inside = [inside]
    return inside


def to_json(value: Any, chance: random.Random) -> bytes:
    """JSON, now and then not quite."""
    try:
        text = json.dumps(value, ensure_ascii=chance.random() < 0.5)
    except (RecursionError, ValueError):
        text = "[" * 2000
    way = chance.randrange(30)
    if way == 0:
        text = text.replace(":", ": NaN, ", 1)
    elif way == 1:
        text = "[" * chance.choice((70, 5000, 100_000)) + text
    elif way == 2:
        text = text.replace("{", '{"a": 1, "a": 2, ', 1)
    elif way == 3:
        text = text.replace("0", "1" + "0" * 5000, 1)
    return text.encode("utf-8", "surrogatepass")


def to_yaml(value: Any, chance: random.Random) -> bytes:
    """YAML, a third of it with what plain YAML does not have."""
    try:
        text = yaml.safe_dump(value, sort_keys=False, allow_unicode=chance.random() < 0.5)
    except (yaml.YAMLError, RecursionError, ValueError):
        text = "a: " + "[" * 5000
    lines = text.splitlines() or [""]
    row = chance.randrange(len(lines))
    way, field = chance.randrange(24), lines[row].split(":")[0]
    if way == 0:
        return laughs(chance.choice((3, 9, 30))).encode() + text.encode("utf-8", "surrogatepass")
    if way == 1:
        lines[row] = f"{field}: {chance.choice(TAGS)}"
    elif way == 2:
        lines[row] = f"{field}: &a [*a]"
    elif way == 3:
        lines.insert(row, lines[row])
    elif way == 4:
        lines[row] = "\t" + lines[row]
    elif way == 5:
        scalars = ("9" * 6000, "2026-13-45", ".nan", ".inf", "0o9", "1:99:99")
        lines[row] = f"{field}: {chance.choice(scalars)}"
    elif way == 6:
        lines.append("---\na: 1")
    elif way == 7:
        lines[row] = f"{field}: " + "{a: " * chance.choice((40, 5000))
    elif way == 8:
        return text.encode(chance.choice(("utf-16", "latin-1", "utf-32")), "replace")
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def laughs(levels: int) -> str:
    """Billion laughs."""
    lines = ["l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"l{row}: &l{row} [{', '.join([f'*l{row - 1}'] * 9)}]" for row in range(1, levels)]
    return "\n".join(lines) + "\n"
