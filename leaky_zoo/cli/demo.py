"""`leaky-zoo demo`: a net with a bottleneck and a classifier, the whole job once, on real data."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leaky_zoo.cli.console import command, err, out, table
from leaky_zoo.cli.startup import start_tensorflow
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.io.files import replacing
from leaky_zoo.processes.progress import track
from leaky_zoo.zoo import list_presets

if TYPE_CHECKING:
    from leaky_zoo.analysis import Audit
    from leaky_zoo.data import Dataset
    from leaky_zoo.zoo import Preset

TEACHER, DIGITS = "teacher_k3_l12", "optical_digits"


def demo(
    folder: Annotated[Path, typer.Option("--out", help="Folder for the plot, the audit and the ONNX file.")] = Path(
        "demo"
    ),
) -> None:
    """Look at a net's bottleneck; evaluate a classifier of digits, export it to ONNX and verify the file.

    [dim]Example:[/]  leaky-zoo demo --out demo
    """
    start_tensorflow()
    from leaky_zoo.zoo import Preset
    from leaky_zoo.zoo.training_data import training_data

    with_bottleneck, classifier = _best(TEACHER, "regression"), _best(DIGITS, "classification")
    plot, saved, onnx = folder / "bottleneck.png", folder / "audit.json", folder / f"{classifier}.onnx"
    err.rule(f"1. A net with a bottleneck: {with_bottleneck}")
    _analyze(Preset.open(with_bottleneck), plot, saved)

    err.rule(f"2. A classifier: {classifier}")
    preset = Preset.open(classifier)
    digits = training_data(preset.network).dataset
    accuracy = _evaluate(preset, digits)

    err.rule("3. Export it to ONNX, its analysis inside the file")
    _export(preset, digits, onnx, accuracy)

    err.rule("Done")
    for label, path in (("plot", plot), ("audit", saved), ("ONNX", onnx)):
        out.print(f"{label:6} {path}", soft_wrap=True, highlight=False)
    _say_what_next(with_bottleneck, onnx, folder)


def _best(filter: str, task: str) -> str:
    """Of the presets for a task with this text in their name the one that is best on its test split."""
    presets = [each for each in list_presets(filter) if each["task"] == task and each["metrics"].get("test")]
    if not presets:
        raise InvalidInputError(f"No preset with {filter} in its name is in the folder of presets: the demo needs one.")
    return min(presets, key=lambda preset: preset["metrics"]["test"]["loss"])["name"]


def _analyze(preset: "Preset", plot: Path, saved: Path) -> None:
    """The audit as a table, a sentence, a picture and a file."""
    from leaky_zoo.analysis import analyze
    from leaky_zoo.cli.analyze import audit_table
    from leaky_zoo.figures import plot_audit
    from leaky_zoo.zoo.training_data import training_data

    samples = training_data(preset.network)
    audit = analyze(preset.network, *samples.arrays, data=samples.about, track=track("analyzing"))
    out.print(audit_table(audit, f"N = {audit.n}, gamma_0 = {audit.gamma_0:g}, mu = {audit.weight_decay:g}"))
    if audit.bottleneck_rank:
        out.print(audit.bottleneck_rank.verdict, style="bold", highlight=False)
        _explain(audit, preset.network.config.input_shape)
    for warning in audit.warnings:
        out.print(f"warning: {warning}", style="yellow", highlight=False)
    with replacing(plot) as aside:
        plot_audit(audit).savefig(aside, dpi=130)
    audit.save(saved)


def _explain(audit: "Audit", shape: tuple[int, ...]) -> None:
    """The verdict in plain words, where a rank was found."""
    rank = audit.bottleneck_rank
    if rank is not None and rank.estimate is not None:
        out.print(
            f"That is: samples of {' x '.join(map(str, shape))} numbers pass layers {rank.layers[0]} to "
            f"{rank.layers[-1]} in {rank.estimate} directions (column directions).",
            style="dim",
        )


def _evaluate(preset: "Preset", digits: "Dataset") -> float:
    """Its accuracy on the test split, beside the one on record."""
    from leaky_zoo.flow import evaluate_network

    metrics = evaluate_network(preset.network, *digits.select("test"))
    count = len(digits.select("test")[0])
    out.print(
        f"{digits.identifier}: accuracy {100 * metrics['accuracy']:.2f}% on {count} test images, "
        f"cross-entropy {metrics['loss']:.4f}",
        highlight=False,
    )
    out.print(
        "Like most classifiers it is not at a critical point of its objective: its energies are not dimensions, and "
        "its accuracy stands by itself.",
        style="dim",
    )
    return metrics["accuracy"]


def _export(preset: "Preset", digits: "Dataset", onnx: Path, expected: float) -> None:
    """The ONNX file, verified and run on the test images; its accuracy must be the network's."""
    from leaky_zoo.deploy import export_model
    from leaky_zoo.runtime import OnnxModel, verify_onnx

    report = export_model(preset, onnx, data=digits.identifier)
    verified = verify_onnx(onnx)
    rows = [*report["checks"].items(), *((c.name, "passed" if c.passed else "FAILED") for c in verified.checks)]
    out.print(table(f"{report['bytes']:,} bytes", ("check", "result"), rows))
    x, y = digits.select("test")
    accuracy = float((OnnxModel(onnx).predict(x).argmax(-1) == y).mean())
    out.print(f"In ONNX Runtime: accuracy {100 * accuracy:.2f}% on the same images", highlight=False)
    if not verified.passed or accuracy != expected:
        raise CheckFailedError("The ONNX file does not do what the network does.")


def _say_what_next(with_bottleneck: str, onnx: Path, folder: Path) -> None:
    """Commands that run when they are pasted, wherever the program is."""
    program = [sys.argv[0]] if Path(sys.argv[0]).name == "leaky-zoo" else [sys.executable, "-m", "leaky_zoo"]
    if shutil.which("leaky-zoo"):
        program = ["leaky-zoo"]
    out.print("\nTry next:", style="bold")
    for arguments in (
        ["list"],
        ["inspect", str(onnx)],
        ["analyze", with_bottleneck, "--report", str(folder / "audit.html")],
    ):
        out.print(f"  {command(*program, *arguments)}", soft_wrap=True, highlight=False)
