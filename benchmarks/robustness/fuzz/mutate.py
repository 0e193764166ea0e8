"""Ways to spoil bytes, plain data, YAML, archives, arrays and HDF5; every function takes its own `random.Random`."""

import copy
import functools
import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

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
        return chance.choice(
            (b"", b"\x00", b"\n", b"\xff\xfe" + content, b"\xef\xbb\xbf" + content, b"null", b"[]", b"{}")
        )
    if way == 9:
        return (
            chance.choice((b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x93NUMPY", b"\x80\x04", b"%YAML 1.2\n"))
            + content[at:]
        )
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
    import yaml

    try:
        text = yaml.safe_dump(value, sort_keys=False, allow_unicode=chance.random() < 0.5)
    except (yaml.YAMLError, RecursionError, ValueError):
        text = "a: " + "[" * 5000
    lines = text.splitlines() or [""]
    row = chance.randrange(len(lines))
    way = chance.randrange(24)
    if way == 0:
        return laughs(chance.choice((3, 9, 30))).encode() + text.encode("utf-8", "surrogatepass")
    if way == 1:
        lines[row] = lines[row].split(":")[0] + ": " + chance.choice(TAGS)
    elif way == 2:
        lines[row] = lines[row].split(":")[0] + ": &a [*a]"
    elif way == 3:
        lines.insert(row, lines[row])
    elif way == 4:
        lines[row] = "\t" + lines[row]
    elif way == 5:
        lines[row] = (
            lines[row].split(":")[0]
            + ": "
            + chance.choice(("9" * 6000, "2026-13-45", ".nan", ".inf", "0o9", "1:99:99"))
        )
    elif way == 6:
        lines.append("---\na: 1")
    elif way == 7:
        lines[row] = lines[row].split(":")[0] + ": " + "{a: " * chance.choice((40, 5000))
    elif way == 8:
        return text.encode(chance.choice(("utf-16", "latin-1", "utf-32")), "replace")
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def laughs(levels: int) -> str:
    """Billion laughs."""
    lines = ["l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"l{row}: &l{row} [{', '.join([f'*l{row - 1}'] * 9)}]" for row in range(1, levels)]
    return "\n".join(lines) + "\n"


def spoil_zip(content: bytes, chance: random.Random, spoil_member: Callable[[str, bytes], bytes]) -> bytes:
    """An archive that is whole but should not be: strange members, lies about sizes; or one member spoiled within."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    way, name = chance.randrange(14), chance.choice(sorted(members))
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for member, inside in members.items():
            if way == 0 and member == name:
                continue
            archive.writestr(member, spoil_member(member, inside) if way >= 5 and member == name else inside)
        if way == 1:
            strange = (
                "../owned.txt",
                "/tmp/owned.txt",
                "..\\owned.txt",
                "C:/owned.txt",
                "assets/../../owned.txt",
                "a/b",
                "é",
            )
            archive.writestr(chance.choice(strange), b"owned")
        elif way == 2:
            link = zipfile.ZipInfo(chance.choice(("assets/link", name + "2")))
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
        elif way == 3:
            import warnings

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                archive.writestr(name, b"again")
    spoiled = bytearray(result.getvalue())
    if way == 4:  # a lie in the directory: size, flags or method
        at = spoiled.find(b"PK\x01\x02")
        for offset in chance.choice(((24, 25, 26), (8,), (10,), (20, 21), (42, 43))):
            spoiled[at + offset] = chance.randrange(256)
    return bytes(spoiled)


@functools.cache
def zip_bomb(member: str, megabytes: int) -> bytes:
    """A small archive that unpacks to so much."""
    result = io.BytesIO()
    with (
        zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(member, "w", force_zip64=True) as file,
    ):
        for _ in range(megabytes):
            file.write(bytes(2**20))
    return result.getvalue()


def npy(array: np.ndarray, chance: random.Random) -> bytes:
    """An array as `.npy`, its header spoiled now and then."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=True)
    content = file.getvalue()
    way = chance.randrange(12)
    if way == 0:
        shape = chance.choice(("(10**12,)", "(999999999999, 4)", "(-1, 4)", "(1e3,)", "((),)", "(True,)", "()", "None"))
        return header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}") + content[128:]
    if way == 1:
        kind = chance.choice(
            ("'|O'", "'<f99'", "'V'", "[('a', '<f8')]", "'<M8[s]'", "'|S0'", "('<f8', (1000,))", "'zz'", "3")
        )
        return header(f"{{'descr': {kind}, 'fortran_order': False, 'shape': (4,), }}") + content[128:]
    if way == 2:
        text = chance.choice(
            ("__import__('os').system('touch owned.txt')", "-" * 5000 + "1", "[" * 3000, "{}", "x" * 70_000)
        )
        return header(text) + content[128:]
    return content


def header(text: str) -> bytes:
    """Magic and header of a `.npy`."""
    body = text.encode() + b"\n"
    if len(body) < 65_536:
        return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body
    return b"\x93NUMPY\x02\x00" + len(body).to_bytes(4, "little") + body


class Pickled:
    """What a pickle would do if it were loaded."""

    def __reduce__(self) -> Any:
        return (Path("owned.txt").write_text, ("owned",))


def spoil_arrays(arrays: dict[str, np.ndarray], chance: random.Random) -> dict[str, np.ndarray]:
    """Arrays of which one is wrong: dtype, shape, values, length, or objects."""
    name = chance.choice(sorted(arrays))
    array = np.atleast_1d(arrays[name])
    flat = array.astype(np.float64).ravel()
    if flat.size:
        flat[chance.randrange(flat.size)] = chance.choice((np.nan, np.inf, -np.inf, 1e300, -5, 1e19))
    ways: tuple[Callable[[], np.ndarray], ...] = (
        lambda: flat.reshape(array.shape),
        lambda: np.array([Pickled()] * len(array), dtype=object),
        lambda: array.astype(str),
        lambda: array.astype(complex),
        lambda: array[: chance.randrange(len(array))],
        lambda: array[:, None] if chance.random() < 0.5 else array.ravel()[:1].reshape(()),
        lambda: array.astype(chance.choice(("<M8[s]", "S3", "f2", ">i8", "u1", "?", "longdouble"))),
        lambda: np.zeros((0, *array.shape[1:])),
        lambda: array.astype(np.int64) + chance.choice((10**6, 2**62, -100)),
        lambda: np.asfortranarray(array),
        lambda: np.zeros((len(array), 0)),
    )
    result = dict(arrays)
    if chance.random() < 0.15:
        del result[name]
    else:
        with np.errstate(all="ignore"):
            result[name] = chance.choice(ways)()
    return result


def npz(arrays: dict[str, np.ndarray], chance: random.Random) -> bytes:
    """An archive of arrays."""
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED if chance.random() < 0.5 else zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            archive.writestr(f"{name}.npy", npy(array, chance))
    return result.getvalue()


def spoil_h5(content: bytes, chance: random.Random) -> bytes:
    """Weights that point elsewhere, claim too much, are packed, hold no numbers, or have other shapes."""
    if chance.random() < 0.4:
        return spoil_bytes(content, chance)
    file = io.BytesIO(content)
    with h5py.File(file, "r+") as weights:
        names: list[str] = []
        weights.visititems(lambda name, entry: names.append(name) if isinstance(entry, h5py.Dataset) else None)
        name = chance.choice(names)
        array = weights[name][()]
        parent, last = weights[name].parent, name.rpartition("/")[2]
        del parent[last]
        way = chance.randrange(10)
        if way == 0:
            parent[last] = h5py.ExternalLink("/etc/passwd", "/")
        elif way == 1:
            parent[last] = h5py.SoftLink("/nowhere")
        elif way == 2:
            parent.create_dataset(last, (10,), "u1", external=[("/etc/passwd", 0, 10)])
        elif way == 3:
            layout = h5py.VirtualLayout(array.shape or (1,), "f4")
            parent.create_virtual_dataset(last, layout)
        elif way == 4:
            parent.create_dataset(last, (10**6, 10**6), "f4", chunks=(100, 100))
        elif way == 5:
            parent.create_dataset(last, data=np.zeros((64, 64), "f4"), compression="gzip")
        elif way == 6:
            parent.create_dataset(last, data=chance.choice(("text", b"bytes", np.array(["a", "b"], dtype="S1"))))
        elif way == 7:
            parent.create_dataset(last, data=np.zeros((*array.shape, 2), "f4"))
        elif way == 8:
            parent.create_group(last)
    return file.getvalue()
