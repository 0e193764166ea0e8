"""`leaky-zoo demo`: the whole job once, on real data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leaky_zoo.cli.console import err, out, table
from leaky_zoo.cli.startup import start_tensorflow
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.io.files import replacing
from leaky_zoo.processes.progress import track
from leaky_zoo.zoo import list_presets

if TYPE_CHECKING:
    from leaky_zoo.data import Dataset
    from leaky_zoo.networks import LeakyNetwork
    from leaky_zoo.zoo import Preset
    from leaky_zoo.zoo.training_data import TrainingData


def demo(
    folder: Annotated[Path, typer.Option("--out", help="Folder for the plot, the audit and the ONNX file.")] = Path(
        "demo"
    ),
) -> None:
    """Load a pretrained net, evaluate it, analyse its bottleneck, export it to ONNX and verify the file.

    [dim]Example:[/]  leaky-zoo demo --out demo
    """
    start_tensorflow()
    from leaky_zoo.networks import evaluate_network
    from leaky_zoo.zoo import Preset
    from leaky_zoo.zoo.training_data import training_data

    best = _best_preset()
    err.rule(f"1. Load {best}")
    preset = Preset.open(best)
    network = preset.network
    trained = training_data(network)
    digits = trained.dataset
    sizes = {split: len(digits.select(split)[0]) for split in ("train", "test")}
    out.print(f"{digits.identifier}: {sizes['train']} training and {sizes['test']} test images")

    err.rule("2. Evaluate")
    metrics = evaluate_network(network, *digits.select("test"))
    out.print(f"test accuracy {100 * metrics['accuracy']:.2f}%, cross-entropy {metrics['loss']:.4f}")

    plot, saved, onnx = folder / "bottleneck.png", folder / "audit.json", folder / f"{best}.onnx"
    err.rule("3. Analyse the bottleneck")
    _analyze(network, trained, plot, saved)

    err.rule("4. Export to ONNX, the audit inside the file")
    _export(preset, digits, onnx, metrics["accuracy"])

    err.rule("Done")
    for label, path in (("plot", plot), ("audit", saved), ("ONNX", onnx)):
        out.print(f"{label:6} {path.resolve()}", soft_wrap=True)
    _say_what_next(best, onnx, folder / "teacher.png")


def _best_preset() -> str:
    """The best one at an effective depth where there is something to see of a bottleneck."""
    presets = [preset for preset in list_presets("optical_digits") if preset["metrics"].get("test")]
    if not presets:
        raise InvalidInputError("No optical_digits preset is in the folder of presets: the demo needs one.")
    best = max(presets, key=lambda preset: (preset["effective_depth"] == 7, preset["metrics"]["test"]["accuracy"]))
    return best["name"]


def _analyze(network: "LeakyNetwork", trained: "TrainingData", plot: Path, saved: Path) -> None:
    """The audit as a table, a picture and a file."""
    from leaky_zoo.analysis import analyze
    from leaky_zoo.cli.analyze import audit_table
    from leaky_zoo.figures import plot_audit

    audit = analyze(network, *trained.arrays, data=trained.about, track=track("analyzing"))
    out.print(audit_table(audit, f"N = {audit.n}, gamma_0 = {audit.gamma_0:g}, mu = {audit.weight_decay:g}"))
    for warning in audit.warnings:
        out.print(f"warning: {warning}", style="yellow", highlight=False)
    with replacing(plot) as aside:
        plot_audit(audit).savefig(aside, dpi=130)
    audit.save(saved)


def _export(preset: "Preset", digits: "Dataset", onnx: Path, expected: float) -> None:
    """The ONNX file, verified and run on the test images; its accuracy must be the network's."""
    from leaky_zoo.deploy import export_model
    from leaky_zoo.runtime import OnnxModel, verify_onnx

    report = export_model(preset, onnx, data=digits.identifier)
    out.print(table(f"{report['bytes']:,} bytes", ("check", "result"), report["checks"].items()))

    err.rule("5. Verify in ONNX Runtime")
    verified = verify_onnx(onnx)
    rows = ((check.name, "passed" if check.passed else "FAILED") for check in verified.checks)
    out.print(table("verify", ("check", "result"), rows))
    x, y = digits.select("test")
    accuracy = float((OnnxModel(onnx).predict(x).argmax(-1) == y).mean())
    out.print(f"accuracy of the ONNX file on the same {len(x)} images: {100 * accuracy:.2f}%")
    if not verified.passed or accuracy != expected:
        raise CheckFailedError("The ONNX file does not do what the network does.")


def _say_what_next(preset: str, onnx: Path, plot: Path) -> None:
    teacher = next(iter(list_presets("teacher_k3_l7")), {"name": preset})["name"]
    out.print("\nTry next:", style="bold")
    for command in (
        "leaky-zoo list",
        f"leaky-zoo inspect {onnx}",
        f"leaky-zoo analyze {teacher} --plot {plot}",
    ):
        out.print(f"  {command}", soft_wrap=True, highlight=False)
