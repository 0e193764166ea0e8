"""`predict`, `monitor` and `attach` as a user types them."""

import json
import re

import numpy as np
import onnx
import pytest
from processes import run_python

from leaky_zoo.runtime import load, verify_onnx


def leaky_zoo(*words, code=0):
    done = run_python("-m", "leaky_zoo", *words)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code != 2 else done.stderr


@pytest.fixture
def data(samples, tmp_path):
    np.savez(tmp_path / "today.npz", x=samples(260, seed=31))
    np.savez(tmp_path / "moved.npz", inputs=samples(260, seed=32, moved=1.5))
    np.savez(tmp_path / "other.npz", y=np.zeros(3))
    return tmp_path


def test_predict(watching_file, data, samples):
    rows = json.loads(leaky_zoo("predict", watching_file, "--data", data / "today.npz", "--first", 3, "--json"))
    model, x = load(watching_file), samples(260, seed=31)[:3]
    assert [row["label"] for row in rows] == model.predict_labels(x)
    np.testing.assert_allclose([row["outputs"] for row in rows], model.predict(x), rtol=1e-5, atol=1e-6)
    assert "cat" in leaky_zoo("predict", watching_file, "--data", data / "today.npz", "--first", 260)
    assert "do not say which" in leaky_zoo("predict", watching_file, "--data", data / "other.npz", code=2)


def test_monitor(watching_file, plain_file, data):
    lines = leaky_zoo("monitor", watching_file, "--data", data / "today.npz").splitlines()
    assert [line.split()[1] for line in lines[:2]] == ["batch=1", "batch=2"]
    assert re.match(r"no drift: \d of 2 batches below 0.05", lines[2])
    told = json.loads(
        leaky_zoo("monitor", watching_file, "--data", data / "moved.npz", "--batch", 32, "--json", code=1)
    )
    assert told["summary"]["batches"] == told["summary"]["alarms"] == 8
    text = leaky_zoo("monitor", watching_file, "--data", data / "moved.npz", "--prometheus", code=1)
    assert "leaky_zoo_monitor_drift_batches_total 2\n" in text
    assert "fill a batch" in leaky_zoo("monitor", watching_file, "--data", data / "today.npz", "--batch", 261, code=2)
    assert "monitor_data" in leaky_zoo("monitor", plain_file, "--data", data / "today.npz", code=2)
    assert "level" in leaky_zoo("monitor", watching_file, "--data", data / "today.npz", "--level", 2, code=2)


def test_attach(watching_file, tmp_path):
    model = onnx.load(watching_file)
    model.ClearField("metadata_props")
    bare, whole = tmp_path / "bare.onnx", tmp_path / "whole.onnx"
    bare.write_bytes(model.SerializeToString())
    assert "leaky-zoo attach" in " ".join(leaky_zoo("inspect", bare).split())
    report = json.loads(leaky_zoo("attach", bare, "--from", watching_file, "--out", whole, "--json"))
    assert report["relative_error"] < 1e-6
    assert verify_onnx(whole).passed
    assert "already" in leaky_zoo("attach", whole, "--from", watching_file, code=2)


@pytest.mark.tensorflow_only
def test_attach_from_a_preset_and_export_with_a_reference(tmp_path):
    from leaky_zoo.data import load_data

    name = "leaky_mlp_optical_digits_l7_equidistant"
    np.savez(tmp_path / "held_out.npz", x=load_data("optical_digits").select("test")[0])
    whole = tmp_path / "net.onnx"
    leaky_zoo("export", name, "--out", whole, "--monitor-data", tmp_path / "held_out.npz")
    assert verify_onnx(whole).passed
    leaky_zoo("monitor", whole, "--data", tmp_path / "held_out.npz", "--batch", 50)
    model = onnx.load(whole)
    model.ClearField("metadata_props")
    whole.write_bytes(model.SerializeToString())
    leaky_zoo("attach", whole, "--from", name)
    assert verify_onnx(whole).passed
