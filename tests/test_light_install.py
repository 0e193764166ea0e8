"""The base install: what works with it alone, and what is said of an extra that is missing."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from importlib.metadata import PackageNotFoundError, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from benchmarks.clean_environment import closure, make_environment, requirements, site_of
from leaky_zoo.errors import EXTRAS

pytestmark = pytest.mark.tensorflow_only
ROOT = Path(__file__).parent.parent
ONNX = ROOT / "export" / "leaky_mlp_optical_digits_l7_equidistant" / "model.onnx"
PRESET = "leaky_mlp_optical_digits_l7_equidistant"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Python of an environment that holds the base dependencies and theirs, and nothing else."""
    folder = tmp_path_factory.mktemp("base")
    try:
        python = make_environment(folder, closure(requirements()))
    except PackageNotFoundError as error:
        pytest.skip(f"{error.name} is not installed here")
    (site_of(folder) / "leaky_zoo").symlink_to(ROOT / "leaky_zoo")
    return python


def call(python, *arguments, **environment):
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "KERAS_BACKEND")}
    return subprocess.run(
        [str(python), *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False,
        env=kept | {"LEAKY_ZOO_MODELS": str(ROOT / "models"), "COLUMNS": "200"} | environment,
    )  # fmt: skip


def test_the_base_install_has_no_keras(base):
    done = call(base, "-c", "import importlib.util as u; print([u.find_spec(n) for n in ('keras', 'scipy', 'jinja2')])")
    assert done.stdout.strip() == "[None, None, None]", done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("list", "--json"), ("info", PRESET, "--json"), ("inspect", ONNX, "--json"), ("verify", ONNX, "--json")],
)
def test_works_with_the_base_install_alone(base, arguments):
    done = call(base, "-m", "leaky_zoo", *arguments)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def test_predicts_with_the_base_install_alone(base):
    code = (
        "import sys, numpy as np, leaky_zoo\n"
        "model = leaky_zoo.OnnxModel(sys.argv[1])\n"
        "print(model.predict(np.zeros((3, 8, 8, 1), np.float32)).shape)"
    )
    done = call(base, "-c", code, ONNX)
    assert done.stdout.strip() == "(3, 10)", done.stderr


def test_every_library_of_an_extra_is_known_by_its_import_name():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = defaultdict(set)
    for module, packages in packages_distributions().items():
        for package in packages:
            names[package.lower().replace("_", "-")].add(module)
    for extra, libraries in EXTRAS.items():
        required = {Requirement(text).name for text in project["optional-dependencies"][extra]} - {"leaky-zoo"}
        for package in required:
            assert names[package] & set(libraries), f"{package} of the extra {extra} is not in EXTRAS"


COMMANDS = {
    "analyze": (PRESET,),
    "compare": (PRESET, PRESET),
    "demo": (),
    "evaluate": (PRESET,),
    "export": (PRESET, "--out", "net.onnx"),
    "merge-audits": ("part.npz",),
    "publish": (PRESET,),
    "suggest": ("--data", "optical_digits"),
    "train": (ROOT / "models" / PRESET / "recipe.yaml", "--out", "run"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_names_the_extra_that_it_misses(base, command):
    done = call(base, "-m", "leaky_zoo", command, *COMMANDS[command])
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert re.search(r"^leaky-zoo: \w+ is not installed: pip install 'leaky-zoo\[\w+\]'$", done.stderr.strip())


def test_a_sweep_names_the_extra_that_it_misses(base, tmp_path):
    recipe = {"name": "base", "data": {"name": "optical_digits"}, "optimizer": {"steps": 2}}
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(json.dumps({"name": "toy", "recipe": recipe, "grid": {"seed": [0]}}))
    done = call(base, "-m", "leaky_zoo", "sweep", sweep, "--out", tmp_path / "runs")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "pip install 'leaky-zoo[" in done.stderr and not (tmp_path / "runs").exists()


def test_every_public_name_is_there_or_names_its_extra(base):
    code = (
        "import leaky_zoo\n"
        "from leaky_zoo.errors import MissingExtraError\n"
        "for name in leaky_zoo.__all__:\n"
        "    try:\n"
        "        getattr(leaky_zoo, name)\n"
        "    except MissingExtraError as error:\n"
        "        assert \"pip install 'leaky-zoo[tensorflow]'\" in str(error), error\n"
        "    else:\n"
        "        print(name)\n"
    )
    done = call(base, "-c", code)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) >= {"OnnxModel", "Recipe", "inspect_onnx", "list_presets", "verify_onnx"}


@pytest.mark.parametrize(
    "room", ["geometry", "layers", "networks", "flow", "analysis", "figures", "deploy", "publishing"]
)
def test_a_room_names_its_extra(base, room):
    done = call(base, "-c", f"from leaky_zoo.{room} import *")
    assert "MissingExtraError" in done.stderr and "pip install 'leaky-zoo[tensorflow]'" in done.stderr


@pytest.mark.parametrize(
    ("backend", "command", "words"),
    [
        ("jax", "train", "Training needs the TensorFlow backend: unset KERAS_BACKEND. Received: jax"),
        ("abacus", "evaluate", "KERAS_BACKEND must be one of tensorflow, jax. Received: abacus"),
    ],
)
def test_a_backend_that_does_not_fit_is_said_in_a_sentence(tmp_path, backend, command, words):
    arguments = [tmp_path / "run" if part == "run" else part for part in COMMANDS[command]]
    done = call(sys.executable, "-m", "leaky_zoo", command, *arguments, KERAS_BACKEND=backend, PYTHONPATH=str(ROOT))
    assert done.returncode == 2 and "Traceback" not in done.stderr and words in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_backend_that_is_not_installed_is_said_in_a_sentence(tmp_path):
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('jax', 'jaxlib'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        f"sys.argv = ['leaky-zoo', 'evaluate', {PRESET!r}]\n"
        "from leaky_zoo.cli import main\n"
        "main()\n"
    )
    done = call(sys.executable, "-c", code, KERAS_BACKEND="jax", PYTHONPATH=str(ROOT))
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "KERAS_BACKEND is jax, and jax is not installed: pip install 'leaky-zoo[jax]'" in done.stderr
