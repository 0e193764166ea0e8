"""Real processes: what starts without TensorFlow, and what a shell sees."""

import json
import subprocess
import sys

import pytest


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
