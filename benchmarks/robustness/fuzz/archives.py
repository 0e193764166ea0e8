"""Ways to spoil archives, arrays and HDF5; every function takes its own `random.Random`."""

import functools
import io
import random
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.robustness.fuzz.text import spoil_bytes


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
        kinds = ("'|O'", "'<f99'", "'V'", "[('a', '<f8')]", "'<M8[s]'", "'|S0'", "('<f8', (1000,))", "'zz'", "3")
        return header(f"{{'descr': {chance.choice(kinds)}, 'fortran_order': False, 'shape': (4,), }}") + content[128:]
    if way == 2:
        texts = ("__import__('os').system('touch owned.txt')", "-" * 5000 + "1", "[" * 3000, "{}", "x" * 70_000)
        return header(chance.choice(texts)) + content[128:]
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


def arrays_of(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of an archive."""
    with np.load(io.BytesIO(content)) as loaded:
        return {name: loaded[name] for name in loaded.files}


def spoil_npz(arrays: dict[str, np.ndarray], content: bytes, chance: random.Random) -> bytes:
    """Arrays, headers, archive or bytes: one of them wrong."""
    content = content or npz(arrays, random.Random(0))
    way = chance.random()
    if way < 0.45:
        return npz(spoil_arrays(arrays, chance), chance)
    if way < 0.47:
        return zip_bomb("x.npy", 300)
    if way < 0.7:
        return spoil_zip(content, chance, lambda name, inside: spoil_bytes(inside, chance))
    if way < 0.73:
        return npy(next(iter(arrays.values())), chance)
    return spoil_bytes(content, chance)


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
