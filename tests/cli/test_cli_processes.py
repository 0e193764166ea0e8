"""Real processes: what starts without TensorFlow, and what a shell sees."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from leaky_zoo.cli import main, startup


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    "code",
    [
        "import leaky_zoo; leaky_zoo.list_presets()",
        "import leaky_zoo.cli",
        "import leaky_zoo.runtime; leaky_zoo.runtime.inspect_onnx; leaky_zoo.runtime.OnnxModel",
        "from leaky_zoo.zoo import preset_folder, list_presets",
        "from leaky_zoo.training import Recipe",
    ],
)
def test_starts_without_keras_and_tensorflow(code):
    done = python(
        f"{code}\nimport sys; print([name for name in ('tensorflow', 'keras', 'jax') if name in sys.modules])"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "no.yaml", "--out", "run"], "No such recipe: no.yaml"),
        (["train", "no", "--out", "run"], "No preset is called 'no'."),
        (["evaluate", "no.keras"], "No such model file: no.keras"),
        (["evaluate", "wine.h5"], "an HDF5 file of Keras 2's kind"),
        (["analyze", "./no"], "No such file or folder: ./no"),
        (["analyze", "./empty.onnx"], "leaky-zoo inspect, verify and predict read it."),
        (["export", "no.keras", "--out", "no.onnx"], "No such model file: no.keras"),
        (["compress", "no.keras", "--out", "no.onnx"], "No such model file: no.keras"),
        (["predict", "no.keras", "--data", "no.npz"], "No such model file: no.keras"),
        (["attach", "empty.onnx", "--from", "no"], "No preset is called 'no'."),
    ],
    ids=str,
)
def test_what_is_not_there_is_refused_before_tensorflow_starts(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("empty.onnx").touch()
    Path("wine.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    monkeypatch.setattr(startup, "quiet_start", lambda: pytest.fail("TensorFlow was about to start"))
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)  # else there is nothing to start
    monkeypatch.setattr(sys, "argv", ["leaky-zoo", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("code", "own", "found"),
    [
        ("import leaky_zoo", None, "1"),
        ("import leaky_zoo", "0", "0"),  # what the user says stays
        ("import keras, leaky_zoo", None, "None"),  # TensorFlow has read it already: nothing is claimed
    ],
)
def test_onednn_is_asked_for_before_tensorflow_starts(code, own, found, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    if own:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", own)
    done = python(f"{code}; import os; print(os.environ.get('TF_ENABLE_ONEDNN_OPTS'))")
    assert done.stdout.strip() == found, done.stderr


def test_unknown_attribute_is_an_attribute_error():
    done = python("import leaky_zoo; leaky_zoo.nothing")
    assert done.returncode == 1 and "no attribute 'nothing'" in done.stderr


def test_a_command_starts_without_what_keras_has_no_use_for_here():
    done = python(
        "import sys\nfrom leaky_zoo.cli.startup import start_tensorflow\nstart_tensorflow()\n"
        "names = ('sklearn', 'pandas', 'matplotlib', 'jax')\n"
        "print([name for name in names if name in sys.modules])\n"
        "import sklearn.cluster, pandas, matplotlib, numpy, keras\n"
        "model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])\n"
        "model.compile('sgd', 'mse')\n"
        "print(model.predict(numpy.ones((3, 2)), verbose=0).shape, pandas.DataFrame({'a': [1]}).shape)"
    )
    assert done.stdout.splitlines() == ["[]", "(3, 1) (1, 1)"], done.stderr


def test_import_after_keras_registers_the_classes():
    done = python("import keras, leaky_zoo; print(keras.saving.get_registered_object('leaky_zoo>LeakyMLP').__name__)")
    assert done.stdout.strip() == "LeakyMLP", done.stderr


def test_console_script_lists_json():
    done = subprocess.run(
        [sys.executable, "-m", "leaky_zoo", "list", "--json"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0 and isinstance(json.loads(done.stdout), list)


def test_usage_error_is_2():
    done = subprocess.run([sys.executable, "-m", "leaky_zoo", "fly"], capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
