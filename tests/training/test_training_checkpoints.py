"""Checkpoint folders: verified when read, the newest sound one used, pruned, never half-written."""

import json

import numpy as np
import pytest

from leaky_zoo.errors import CheckFailedError
from leaky_zoo.training.checkpoint import Checkpoint, Checkpoints

pytestmark = pytest.mark.tensorflow_only


def filled(folder, steps=(10, 20, 30), keep=3):
    checkpoints = Checkpoints(folder, keep)
    for step in steps:
        checkpoints.write(Checkpoint(step, None, {"network/0000": np.full(3, step, np.float32)}, {"half": 0.1 * step}))
    return checkpoints


def test_what_is_written_is_read_back_bit_for_bit(tmp_path):
    arrays = {"a/0": np.array([0.1, -0.0, 1e-45], np.float32), "b": np.float32(3.5)[()], "c": np.arange(3)}
    checkpoints = Checkpoints(tmp_path / "c")
    checkpoints.write(Checkpoint(7, 200, arrays, {"sum": 0.1 + 0.2, "trace": [1, None]}))
    read = checkpoints.latest()
    assert (read.step, read.iteration, read.state) == (7, 200, {"sum": 0.1 + 0.2, "trace": [1, None]})
    assert {name: array.tobytes() for name, array in read.arrays.items()} == {
        name: np.asarray(array).tobytes() for name, array in arrays.items()
    }


def test_names_sort_by_progress_and_the_oldest_go(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step, iteration in ((900, None), (1000, None), (1000, 0), (1000, 200), (1000, 1200)):
        checkpoints.write(Checkpoint(step, iteration, {}, {}))
    assert checkpoints.names() == ["step-000001000-trained-lbfgs-000200", "step-000001000-trained-lbfgs-001200"]
    assert checkpoints.latest().iteration == 1200
    assert sorted(path.name for path in tmp_path.iterdir()) == checkpoints.names()


@pytest.mark.parametrize("file", ["arrays.npz", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "empty"])
def test_a_torn_newest_one_is_passed_over(tmp_path, file, damage):
    checkpoints = filled(tmp_path)
    path = tmp_path / "step-000000030" / file
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes({"cut": content[:middle], "flip": flipped, "empty": b""}[damage])
    assert checkpoints.latest().step == 20
    # The run reaches step 30 again and writes what it should have been.
    filled(tmp_path, steps=(30,))
    assert checkpoints.latest().step == 30
    assert (tmp_path / "step-000000030" / "arrays.npz").read_bytes() == content or file != "arrays.npz"


def test_no_sound_checkpoint_is_an_error_that_names_the_files(tmp_path):
    checkpoints = filled(tmp_path, steps=(10,))
    (tmp_path / "step-000000010" / "state.json").write_text("{}")
    with pytest.raises(CheckFailedError, match=r"state\.json is not what its manifest says"):
        checkpoints.latest()


def test_another_format_is_refused(tmp_path):
    checkpoints = filled(tmp_path, steps=(10,))
    path = tmp_path / "step-000000010" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(CheckFailedError, match="format 99"):
        checkpoints.latest()


def test_an_error_while_writing_leaves_the_others(tmp_path):
    checkpoints = filled(tmp_path)
    with pytest.raises(ValueError):
        checkpoints.write(Checkpoint(40, None, {}, {"bad": float("nan")}))
    assert checkpoints.latest().step == 30 and len(list(tmp_path.iterdir())) == 3


def test_leftovers_of_a_killed_writer_are_removed(tmp_path):
    checkpoints = filled(tmp_path)
    (tmp_path / ".aside-x-step-000000040").mkdir()
    (tmp_path / ".aside-x-step-000000040" / "arrays.npz").write_bytes(b"half")
    assert checkpoints.latest().step == 30
    assert checkpoints.clean() == 1 and len(list(tmp_path.iterdir())) == 3
