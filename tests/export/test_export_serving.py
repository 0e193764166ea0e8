"""The service under real HTTP requests, and the model repository."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import yaml

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.runtime import load, verify_onnx

httpx = pytest.importorskip("httpx", reason="httpx is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install leaky-zoo[serving]")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install leaky-zoo[serving]")
REQUESTS, CLIENTS = 400, 8


@pytest.fixture(scope="module")
def service(digits_file, export_folder):
    """The service on a free port of the loopback interface; ends with the tests."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "--app-dir", export_folder / "serving", "service:app", "--host", "127.0.0.1",
         "--port", str(port), "--log-level", "warning"],
        env={**os.environ, "LEAKY_ZOO_MODEL": str(digits_file), "LEAKY_ZOO_BATCH": "50"},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                httpx.get(f"{address}/health", timeout=2)
                break
            except httpx.TransportError:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert "Traceback" not in errors, errors


def test_health(service):
    answer = httpx.get(f"{service}/health").json()
    assert answer["status"] == "ok" and answer["watched"]


def test_it_answers_what_the_runtime_answers(service, digits_file, digits):
    x = digits[1][0][:5].astype(np.float32)
    answer = httpx.post(f"{service}/predict", json={"inputs": x.tolist()})
    assert answer.status_code == 200
    model, found = load(digits_file), answer.json()
    np.testing.assert_allclose(found["outputs"], model.predict(x), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["probabilities"], model.predict_probabilities(x), rtol=1e-4, atol=1e-6)
    assert found["labels"] == model.predict_labels(x)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"inputs": []}, 422),
        ({"inputs": [[1, 2], [3]]}, 422),
        ({"inputs": [["a"]]}, 422),
        ({"inputs": np.zeros((1, 8, 8)).tolist()}, 422),
        ({"inputs": None}, 422),
        ({}, 422),
        ({"inputs": [0] * 1025}, 413),
    ],
)
def test_bad_requests_get_a_sentence(service, body, status):
    answer = httpx.post(f"{service}/predict", json=body)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_under_load_every_answer_is_right_and_counted(service, digits_file, digits):
    x = digits[1][0].astype(np.float32)
    expected = load(digits_file).predict(x)

    def count():
        return int(re.search(r"samples_total (\d+)", httpx.get(f"{service}/metrics").text)[1])

    def ask(number):
        rows = np.random.default_rng(number).integers(0, len(x), 1 + number % 7)
        answer = client.post(f"{service}/predict", json={"inputs": x[rows].tolist()})
        assert answer.status_code == 200
        np.testing.assert_allclose(answer.json()["outputs"], expected[rows], rtol=1e-4, atol=1e-4)
        return len(rows)

    before = count()
    with httpx.Client(timeout=30) as client, ThreadPoolExecutor(CLIENTS) as pool:
        sent = sum(pool.map(ask, range(REQUESTS)))
    assert count() - before == sent
    answer = httpx.get(f"{service}/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert int(re.search(r"leaky_zoo_monitor_batches_total (\d+)", answer.text)[1]) >= sent // 50
    p_value = httpx.post(f"{service}/predict", json={"inputs": x[:1].tolist()}).json()["drift"]
    assert 0 < p_value <= 1


def test_the_service_refuses_to_start_without_a_model(export_folder):
    done = subprocess.run(
        [sys.executable, "-c", "import service"], cwd=export_folder / "serving", capture_output=True, text=True,
        env={**os.environ, "LEAKY_ZOO_MODEL": "none.onnx"}, check=False,
    )  # fmt: skip
    assert done.returncode and "No such ONNX file" in done.stderr


def test_a_model_repository(digits_file, export_folder, tmp_path):
    command = [sys.executable, export_folder / "serving" / "repository.py", digits_file, tmp_path / "models"]
    done = subprocess.run([*command, "--name", "digits", "--version", "3"], capture_output=True, text=True, check=True)
    folder = tmp_path / "models" / "digits"
    assert done.stdout.strip() == str(folder)
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "3/model.onnx", "config.pbtxt", "kserve.yaml", "labels.txt",
    ]  # fmt: skip
    assert verify_onnx(folder / "3" / "model.onnx").passed
    assert (folder / "labels.txt").read_text().split() == [str(digit) for digit in range(10)]
    config = (folder / "config.pbtxt").read_text()
    assert '{ name: "inputs", data_type: TYPE_FP32, dims: [ 8, 8, 1 ] }' in config
    assert 'name: "logits", data_type: TYPE_FP32, dims: [ 10 ], label_filename: "labels.txt" }' in config
    assert 'name: "bottleneck"' in config and config.count("{") == config.count("}")
    assert yaml.safe_load((folder / "kserve.yaml").read_text())["metadata"]["name"] == "digits"
    again = subprocess.run([*command, "--name", "digits"], capture_output=True, text=True, check=False)
    assert again.returncode == 2 and "already" in again.stderr


def test_a_repository_needs_a_plain_name(serving_modules, digits_file, tmp_path):
    from repository import write_repository

    shutil.copy(digits_file, tmp_path / "net.onnx")
    for name, version in (("a/b", 1), ("", 0), ("..", 1)):
        with pytest.raises(InvalidInputError, match="plain name"):
            write_repository(tmp_path / "net.onnx", tmp_path / "models", name, version)
    assert not (tmp_path / "models").exists()
