"""A disk that fills, a folder that cannot be written, a SIGTERM: what was there stays, and the reason is told."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import onnx
import pytest
import yaml
from processes import run_python

from leaky_zoo import cli
from leaky_zoo.io.files import sha256
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.zoo import save_to_preset

pytestmark = pytest.mark.tensorflow_only


def mount(*arguments):
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", disk)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "leaky_mlp_wide"
    return save_to_preset(LeakyMLP((8,), 3, width=64, depth=10, effective_depth=2.0), folder)


def fill(disk):
    """Take what is left."""
    with contextlib.suppress(OSError), (disk / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["leaky-zoo", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0, capsys.readouterr().err


def contents(folder):
    return {path.name: sha256(path) for path in folder.iterdir() if path.is_file() and path.name != "ballast"}


def test_export_to_a_full_or_read_only_disk_keeps_the_old_file(small_disk, preset, monkeypatch, capsys):
    target = small_disk / "net.onnx"
    assert run(monkeypatch, capsys, "export", preset, "--out", target)[0] == 0
    before = contents(small_disk)
    fill(small_disk)
    for file in (target, small_disk / "new.onnx"):
        code, words = run(monkeypatch, capsys, "export", preset, "--out", file)
        assert code == 1 and re.search("no space|full", words, re.IGNORECASE) and "Traceback" not in words
        assert contents(small_disk) == before
    assert mount("-o", "remount,ro", small_disk).returncode == 0
    code, words = run(monkeypatch, capsys, "export", preset, "--out", target)
    assert code == 1 and re.search("read-only", words, re.IGNORECASE)
    assert contents(small_disk) == before
    assert run(monkeypatch, capsys, "verify", target)[0] == 0


def test_a_sweep_on_a_full_or_read_only_disk_says_so_and_goes_on_later(small_disk, tmp_path):
    recipe = {
        "name": "base",
        "data": {"name": "optical_digits/fold_0", "batch_size": 256},
        "network": {"width": 4, "depth": 4, "effective_depth": 1},
        "optimizer": {"steps": 2},
    }
    file, out = tmp_path / "sweep.yaml", small_disk / "out"
    file.write_text(yaml.safe_dump({"name": "toy", "recipe": recipe, "grid": {"seed": [0]}}))
    command = ["-m", "leaky_zoo", "sweep", file, "--out", out, "--no-build"]

    def call():
        done = run_python(*command, timeout=200)
        assert "Traceback" not in done.stderr
        return done

    fill(small_disk)
    done = call()
    assert done.returncode == 1 and re.search("no space|full", done.stderr, re.IGNORECASE)
    (small_disk / "ballast").unlink()
    assert call().returncode == 0
    kept = sha256(out / "runs" / "seed-0" / "result.json")
    # More runs than the disk has room for: the new one fails and says why, the old one is what it was.
    file.write_text(yaml.safe_dump({"name": "toy", "recipe": recipe, "grid": {"seed": [0, 1]}}))
    (small_disk / "spare").write_bytes(bytes(24 * 1024))
    fill(small_disk)
    (small_disk / "spare").unlink()
    done = call()
    assert done.returncode == 1 and re.search("no space|full", done.stderr, re.IGNORECASE)
    assert sha256(out / "runs" / "seed-0" / "result.json") == kept
    (small_disk / "ballast").unlink()
    assert mount("-o", "remount,ro", small_disk).returncode == 0
    done = call()
    assert done.returncode == 1 and re.search("read-only", done.stderr, re.IGNORECASE)
    assert sha256(out / "runs" / "seed-0" / "result.json") == kept
    assert mount("-o", "remount,rw", small_disk).returncode == 0
    command.append("--retry-failed")
    assert call().returncode == 0


def test_sigterm_during_an_export_keeps_the_old_file_and_leaves_nothing_beside(preset, tmp_path):
    target = tmp_path / "net.onnx"
    target.write_bytes(b"the old file")
    # The aside file is there from the moment that writing begins: then the signal comes.
    code = (
        "import os, signal, sys, leaky_zoo.deploy.export as export\n"
        "from leaky_zoo import cli\n"
        "def late(path): os.kill(os.getpid(), signal.SIGTERM)\n"
        "export.verify_written = late\n"
        "sys.argv = ['leaky-zoo', 'export', *sys.argv[1:]]\n"
        "cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(preset), "--out", str(target)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 143 and "Terminated" in done.stderr, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"] and target.read_bytes() == b"the old file"


def test_sigterm_in_a_finaliser_where_python_drops_exceptions_still_ends_the_command():
    code = (
        "import os, signal, time\n"
        "from leaky_zoo import cli\n"
        "class Dropping:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(0.1)\n"
        "def app():\n"
        "    Dropping()\n"
        "    time.sleep(30)\n"
        "cli.app = app\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=25)
    assert done.returncode == 143 and "Terminated" in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_sigterm_at_any_moment_of_an_export_keeps_the_old_file(preset, tmp_path):
    target = tmp_path / "net.onnx"
    target.write_bytes(b"the old file")
    command = [sys.executable, "-m", "leaky_zoo", "export", str(preset), "--out", str(target)]
    for moment in (0.5, 3.0):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        time.sleep(moment)
        process.send_signal(signal.SIGTERM)
        _, words = process.communicate(timeout=60)
        assert process.returncode in (143, -signal.SIGTERM, 0) and "Traceback" not in words, words
        names = [path.name for path in tmp_path.iterdir()]
        assert names == ["net.onnx"]
        if target.read_bytes() != b"the old file":  # the signal came when the new one had taken its place
            onnx.checker.check_model(onnx.load(target))
            target.write_bytes(b"the old file")


def test_the_mount_is_what_it_claims(small_disk):
    assert os.statvfs(small_disk).f_blocks * os.statvfs(small_disk).f_frsize == 2**20


def test_sigterm_during_an_import_waits_for_its_end(tmp_path):
    """Half-imported libraries catch exceptions, or abort: the signal acts once the import is done."""
    (tmp_path / "slow_library.py").write_text(
        "import os, signal, time\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(0.3)\n"
        "except BaseException:\n"
        "    os._exit(1)\n"
    )
    code = (
        "import time\n"
        "from leaky_zoo import cli\n"
        "def app():\n"
        "    import slow_library\n"
        "    time.sleep(30)\n"
        "cli.app = app\n"
        "cli.main()\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=25, env=environment
    )
    assert done.returncode == 143 and "Terminated" in done.stderr, done.stderr
