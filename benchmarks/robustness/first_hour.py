"""The first hour of a practitioner and of a deployer, from a wheel, each in a clean environment.

    python -m benchmarks.robustness.first_hour [--keep DIR] [--table FILE.csv]

A wheel is built and installed. The practitioner (`leaky-zoo[tensorflow]`) lists, loads, predicts, fine-tunes on a
folder of images and on a CSV, saves; in another process loads again and exports; then verifies. The deployer (the base
install, no TensorFlow to be found) inspects, verifies and predicts with the file. Writes first_hour.csv: what each step
took, of wall and of processor time, and how large what it made is.
"""

import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.clean_environment import build_wheel, bytes_of, closure, install, make_environment, requirements
from benchmarks.common import ROOT, options, write_table

TABLE = Path(__file__).with_suffix(".csv")
PRESET, DIGITS = "leaky_mlp_mnist_l7_irregular", "leaky_mlp_optical_digits_l3_learnable"
TUNE = f"""
import json
import keras, leaky_zoo

keras.utils.set_random_seed(0)
said = {{}}
digits = leaky_zoo.from_preset("{DIGITS}")
x, y = leaky_zoo.load_data("examples/my.npz").select("test")
said["predicted"] = float((digits.predict(x, verbose=0).argmax(-1) == y).mean())

pictures = leaky_zoo.load_data("examples/images")
net = leaky_zoo.from_preset("{PRESET}").with_new_head(2, class_names=list(pictures.class_names), freeze_path=True)
net.compile()
net.fit(*pictures.select("train"), batch_size=16, epochs=20, verbose=0)
said["images"] = leaky_zoo.evaluate_network(net, *pictures.select("test"))["accuracy"]
net.save("loops.keras")

table = leaky_zoo.load_data("examples/digits.csv:parity")
(x, y), (x_test, y_test) = table.select("train"), table.select("test")
x, x_test = (each.reshape(-1, *digits.config.input_shape) for each in (x, x_test))
odd = digits.with_new_head(2, class_names=list(table.class_names), freeze_path=True)
odd.compile(keras.optimizers.Adam(3e-3))
odd.fit(x, y, batch_size=16, epochs=20, verbose=0)
said["csv"] = leaky_zoo.evaluate_network(odd, x_test, y_test)["accuracy"]
odd.save("parity.keras")
print(json.dumps(said))
"""
AGAIN = """
import json
import leaky_zoo

net = leaky_zoo.load_model("loops.keras")
pictures = leaky_zoo.load_data("examples/images", classes=net.config.class_names)
x, y = pictures.select("test")
report = leaky_zoo.export_onnx(net, "loops.onnx", check_inputs=x)
print(json.dumps({"images": leaky_zoo.evaluate_network(net, x, y)["accuracy"], "labels_agree": report.labels_agree}))
"""
NO_TENSORFLOW = """
import importlib.util, json
import leaky_zoo

found = [name for name in ("tensorflow", "keras", "scipy", "matplotlib") if importlib.util.find_spec(name)]
model = leaky_zoo.OnnxModel("loops.onnx")
print(json.dumps({"found": found, "classes": model.class_names}))
"""


class Person:
    """Someone with an environment of their own and a folder to work in; every step is timed.

    Args:
        name: of the person.
        folder: empty; gets the environment `env` and the folder `work`, with the examples.
        wheel: of the project.
        extras: that are installed with it.
    """

    def __init__(self, name: str, folder: Path, wheel: Path, *extras: str) -> None:
        self.name, self.work, self.rows = name, folder / "work", []
        packages = closure(requirements(*extras))
        self.python = make_environment(folder / "env", packages)
        with self._step("install the wheel, its requirements being there") as row:
            install(wheel, self.python)
        row["bytes"], row["found"] = bytes_of(packages) + wheel.stat().st_size, f"{len(packages) + 1} packages"
        shutil.copytree(ROOT / "examples", self.work / "examples")

    def call(self, step: str, *words: object, makes: str | None = None) -> str:
        """What a command prints; it must end well.

        Args:
            step: what it is for.
            words: `leaky-zoo` and its arguments, or `-c` and Python.
            makes: a file, whose size is noted. Default None.
        """
        program = [str(self.python)] if words[0] == "-c" else [str(self.python.parent / words[0])]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "LEAKY_ZOO", "KERAS"))}
        arguments = map(str, words if words[0] == "-c" else words[1:])
        with self._step(step) as row:
            done = subprocess.run(
                [*program, *arguments], cwd=self.work, env=kept | {"COLUMNS": "100", "PYTHONNOUSERSITE": "1"},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        if done.returncode or "Traceback" in done.stderr:
            raise SystemExit(f"{self.name}, {step}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        if makes:
            row["bytes"] = (self.work / makes).stat().st_size
        return done.stdout

    def found(self, step: str, result: str) -> None:
        """Note what a step found out."""
        next(row for row in self.rows if row["step"] == step)["found"] = result

    def _step(self, step: str) -> "_Timed":
        row: dict[str, Any] = {"who": self.name, "step": step}
        row |= {"seconds": None, "processor_seconds": None, "bytes": None, "found": ""}
        self.rows.append(row)
        return _Timed(row)


class _Timed:
    """Wall and processor time of what is started within, into a row."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row

    def __enter__(self) -> dict[str, Any]:
        self.begin, self.used = time.perf_counter(), _processor_seconds()
        return self.row

    def __exit__(self, *_: object) -> None:
        self.row["seconds"] = round(time.perf_counter() - self.begin, 1)
        self.row["processor_seconds"] = round(_processor_seconds() - self.used, 1)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def practitioner(folder: Path, wheel: Path) -> Person:
    """From the list of presets to a verified ONNX file of a net of one's own."""
    person = Person("practitioner", folder, wheel, "tensorflow")
    listed = json.loads(person.call("list", "leaky-zoo", "list", "--json"))
    person.found("list", f"{len(listed)} presets")
    tuning = "load, predict, fine-tune on images and on a CSV, save"
    said = json.loads(person.call(tuning, "-c", TUNE, makes="loops.keras").splitlines()[-1])
    words = f"accuracy {said['predicted']:.4f} as loaded, {said['images']:.4f} on images, {said['csv']:.4f} on the CSV"
    person.found(tuning, words)
    again = json.loads(person.call("load in another process, export", "-c", AGAIN, makes="loops.onnx").splitlines()[-1])
    if again["images"] != said["images"] or not again["labels_agree"]:
        raise SystemExit(f"What was loaded is not what was saved: {said}, {again}")
    person.found("load in another process, export", f"accuracy {again['images']:.4f}")
    verified = json.loads(person.call("verify", "leaky-zoo", "verify", "loops.onnx", "--json"))
    person.found("verify", "passed" if verified["passed"] else "FAILED")
    return person


def deployer(folder: Path, wheel: Path, onnx: Path) -> Person:
    """An ONNX file, and the base install alone."""
    person = Person("deployer", folder, wheel)
    shutil.copy(onnx, person.work)
    said = json.loads(person.call("open the file in Python", "-c", NO_TENSORFLOW, makes="loops.onnx"))
    if said["found"]:
        raise SystemExit(f"The base install has {said['found']}")
    person.found("open the file in Python", f"no TensorFlow, no Keras; classes {', '.join(said['classes'])}")
    person.call("inspect", "leaky-zoo", "inspect", "loops.onnx", "--json")
    verified = json.loads(person.call("verify", "leaky-zoo", "verify", "loops.onnx", "--json"))
    person.found("verify", "passed" if verified["passed"] else "FAILED")
    step, pictures = "predict a folder of images", "examples/images/test"
    person.call(
        step, "leaky-zoo", "predict", "loops.onnx", "--data", pictures, "--out", "labels.csv", makes="labels.csv"
    )
    rows = [line.split(",") for line in (person.work / "labels.csv").read_text().splitlines()[1:]]
    right = sum(sample.split("/")[0] == label for sample, label, *_ in rows)
    person.found(step, f"accuracy {right / len(rows):.4f}")
    return person


def first_hour(folder: Path) -> list[dict[str, Any]]:
    """Rows of both, in a folder that is empty."""
    begin, used = time.perf_counter(), _processor_seconds()
    wheel = build_wheel(folder)
    row = {"who": "-", "step": "build the wheel", "seconds": round(time.perf_counter() - begin, 1)}
    row |= {"processor_seconds": round(_processor_seconds() - used, 1), "bytes": wheel.stat().st_size}
    first = practitioner(folder / "practitioner", wheel)
    second = deployer(folder / "deployer", wheel, first.work / "loops.onnx")
    return [row | {"found": wheel.name}, *first.rows, *second.rows]


def main() -> None:
    """Both, with a table of what each step took."""
    given = options(__doc__, keep="", table=str(TABLE))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(given.keep or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = first_hour(folder)
    load = os.getloadavg()[0]
    write_table(Path(given.table), rows, load_average=round(load, 1), note="wall times are of a machine of that load")
    for row in rows:
        size = "" if row["bytes"] is None else f"{row['bytes']:,} bytes"
        print(f"{row['who']:13} {row['step']:55} {row['seconds']:6} s  {size:>18}  {row['found']}")


if __name__ == "__main__":
    main()
