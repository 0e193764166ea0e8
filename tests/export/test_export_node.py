"""An exported file in Node, with its metadata, against Python's outputs."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest

from leaky_zoo.runtime import inspect_onnx, load

ROOT = Path(__file__).parents[2]
NODE = ROOT / "export" / "node"


@pytest.fixture(scope="module")
def node():
    """Node, with onnxruntime-node from the lock file."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        pytest.skip("no node and npm are on this machine")
    if not (NODE / "node_modules" / "onnxruntime-node").is_dir():
        done = subprocess.run([npm, "ci"], cwd=NODE, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            pytest.skip(f"onnxruntime-node cannot be installed: {(done.stderr.strip() or 'npm ci failed')[-200:]}")

    def run(*words, code=0, script="predict.mjs"):
        done = subprocess.run(
            [program, script, *map(str, words)], cwd=NODE, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def test_lock_files_name_no_registry():
    for folder in ("node", "web"):
        packages = json.loads((ROOT / "export" / folder / "package-lock.json").read_text())["packages"]
        assert packages and not any("resolved" in package for package in packages.values())
        assert all("integrity" in package for name, package in packages.items() if name)


def test_golden_inputs_give_what_python_gives(node, digits_file, expected, relative_difference):
    found = json.loads(node(digits_file).stdout)
    assert relative_difference(found["outputs"], expected[1]) <= 1e-5
    assert found["relative_error"] <= 1e-5
    assert found["labels"] == [str(place) for place in expected[1].argmax(-1)]


@pytest.mark.parametrize("path", sorted((ROOT / "export").glob("*/*.onnx")), ids=lambda path: path.parent.name)
def test_shipped_files(node, path):
    found, carried = json.loads(node(path).stdout), inspect_onnx(path)
    assert found["relative_error"] <= 1e-5
    assert found["preset"] == carried["leaky_zoo.preset"]["name"]
    assert found["effective_depth"] == carried["leaky_zoo.effective_depth"]


def test_samples_of_a_user(node, digits, digits_file, tmp_path, relative_difference):
    x = digits[1][0][:20].astype(np.float32)
    (tmp_path / "inputs.json").write_text(json.dumps(x.reshape(20, -1).tolist()))
    found = json.loads(node(digits_file, tmp_path / "inputs.json").stdout)
    assert relative_difference(found["outputs"], load(digits_file).predict(x)) <= 1e-5
    (tmp_path / "inputs.json").write_text("[[1, 2]]")
    assert "64 numbers" in node(digits_file, tmp_path / "inputs.json", code=2).stderr


def test_the_walker_reads_all_that_onnx_reads(node, digits_file, tmp_path):
    (tmp_path / "walk.mjs").write_text(
        f"import {{ readFileSync, writeFileSync }} from 'node:fs';\n"
        f"import {{ readMetadata, tensorNames, withOutputs }} from '{(ROOT / 'export/web/metadata.mjs').as_uri()}';\n"
        "const bytes = new Uint8Array(readFileSync(process.argv[2]));\n"
        "writeFileSync(process.argv[3], withOutputs(bytes, ['block_2/step', 'stem']));\n"
        "console.log(JSON.stringify([readMetadata(bytes), tensorNames(bytes)]));\n"
    )
    done = node(digits_file, tmp_path / "more.onnx", script=tmp_path / "walk.mjs")
    metadata, tensors = json.loads(done.stdout)
    assert metadata == inspect_onnx(digits_file)
    model, more = onnx.load(digits_file), onnx.load(tmp_path / "more.onnx")
    assert tensors == [name for entry in model.graph.node for name in entry.output]
    assert [output.name for output in more.graph.output][-2:] == ["block_2/step", "stem"]
    del more.graph.output[-2:]
    assert more == model


@pytest.mark.parametrize("content", [b"", b"\x08", b"not a model", b"\x3a\xff\xff\xff\xff\x0f", b"\xff" * 30])
def test_what_is_no_model_gets_a_sentence(node, content, tmp_path):
    (tmp_path / "bad.onnx").write_bytes(content)
    done = node(tmp_path / "bad.onnx", code=2)
    assert done.stderr.strip() and "\n" not in done.stderr.strip()


def test_a_wrong_weight_is_noticed(node, digits_file, tmp_path):
    model = onnx.load(digits_file)
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "block_3/weight")
    weight.CopyFrom(onnx.numpy_helper.from_array(1.1 * onnx.numpy_helper.to_array(weight), weight.name))
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    node(tmp_path / "net.onnx", code=1)
