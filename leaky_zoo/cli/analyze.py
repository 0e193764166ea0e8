"""`leaky-zoo analyze`: the bottleneck of a network on data."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leaky_zoo.cli.console import (
    AsJson,
    DataDir,
    Devices,
    Model,
    Plot,
    Report,
    StrategyName,
    Stream,
    Task,
    err,
    out,
    print_json,
    say_about,
    table,
)
from leaky_zoo.cli.startup import start_tensorflow
from leaky_zoo.cli.tables import Rows
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.processes.progress import track
from leaky_zoo.processes.shards import parse_shard

if TYPE_CHECKING:
    from leaky_zoo.analysis import Audit

COLUMNS = {
    "layer": "layer",
    "step_size": "rho",
    "cost_of_identity": "COI",
    "rank_from_hamiltonian": "-2H/L~",
    "criticality_residual": "residual",
    "clarke_residual": "Clarke",
    "stable_rank": "stable rank",
    "relu_effect": "ReLU effect",
    "written_directions": "directions",
    "written_gap": "gap",
}
WIDE_COLUMNS = {
    "kinetic_energy": "kinetic",
    "potential_energy": "potential",
    "hamiltonian": "H",
    "out_of_image_fraction": "out of image",
    "participation_ratio": "part. ratio",
    "negative_share": "negative",
}
ANY_MODEL_COLUMNS = {
    "layer": "layer",
    "name": "name",
    "cost_of_identity": "COI",
    "stable_rank": "stable rank",
    "two_nn_dimension": "TwoNN",
    "reason": "why not",
}
WIDE_ANY_MODEL_COLUMNS = {
    "kind": "kind",
    "features": "features",
    "participation_ratio": "part. ratio",
    "cka_with_previous": "CKA",
}
WIDE = 150


def audit_table(audit: "Audit", title: str) -> Rows:
    """The audit by layer, with the energies where the terminal is wide enough; `--json` has all of it."""
    narrow, wide = (COLUMNS, WIDE_COLUMNS) if audit.kind == "path" else (ANY_MODEL_COLUMNS, WIDE_ANY_MODEL_COLUMNS)
    columns = narrow | wide if out.width >= WIDE else narrow
    if all(layer.clarke_residual is None for layer in audit.layers):
        columns = {name: words for name, words in columns.items() if name != "clarke_residual"}
    return table(title, columns.values(), ([getattr(layer, name) for name in columns] for layer in audit.layers))


def analyze_command(
    model: Model,
    data: Annotated[
        str | None,
        typer.Option(
            "--data", help="Name, tfds:NAME, .npz, FILE.csv:TARGET, folder. [default: what it was trained on]"
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split. [default: the training split; momenta belong to it]")
    ] = None,
    gamma_0: Annotated[float, typer.Option(help="Relative regulariser of the energies.")] = 1e-5,
    layers: Annotated[
        str | None, typer.Option(help="Layers of a model that is not ours, separated by commas. [default: all]")
    ] = None,
    momenta: Annotated[bool, typer.Option("--momenta/--no-momenta", help="Run the backward pass too.")] = True,
    products: Annotated[
        str, typer.Option(help="float64, or float32: faster, but small singular values are then only rounding.")
    ] = "float64",
    clarke: Annotated[
        bool, typer.Option("--clarke", help="Choose the slopes of ReLUs on a kink: the residual in Clarke's sense.")
    ] = False,
    batch_size: Annotated[int | None, typer.Option(help="Samples at a time. [default: 1024; 32 for others]")] = None,
    shard: Annotated[
        str | None, typer.Option(help="I/N: only the I-th of N shards; --save writes its sums for merge-audits.")
    ] = None,
    strategy: StrategyName = None,
    devices: Devices = None,
    report: Report = None,
    plot: Plot = None,
    relu_samples: Annotated[
        int, typer.Option(help="Evenly spaced samples on which ReLUs are left out; 0: none. Not in shards or replicas.")
    ] = 2000,
    save: Annotated[Path | None, typer.Option(help="Write the audit, .json (a shard's sums: .npz).")] = None,
    task: Task = None,
    stream: Stream = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Measure dimension, energies and criticality along a network's path; spectra and dimensions of any Keras model.

    [dim]Examples:[/]  leaky-zoo analyze leaky_mlp_teacher_k3_l7_equidistant --report audit.html   |
    leaky-zoo analyze my.keras --data my.npz --json   |   leaky-zoo analyze digits --shard 1/4 --save part1.npz
    """
    if shard is not None:
        ignored = {"--layers": layers, "--strategy": strategy, "--devices": devices, "--json": as_json or None}
        _check_shard(shard, plot, report, save, [name for name, value in ignored.items() if value is not None])
    elif save is not None and save.suffix.lower() != ".json":
        raise InvalidInputError(f"--save writes .json. Received: {save}")
    start_tensorflow()
    from leaky_zoo.analysis import AnalysisSettings, analyze, analyze_part
    from leaky_zoo.networks import LeakyNetwork
    from leaky_zoo.networks.ours import require_ours
    from leaky_zoo.zoo import load_model
    from leaky_zoo.zoo.training_data import training_data

    settings = AnalysisSettings(gamma_0, batch_size, with_momenta=momenta, products=products, clarke=clarke)
    replicas = None
    if strategy is not None or devices is not None:
        from leaky_zoo.training.strategy import make_strategy

        replicas = make_strategy(strategy or "auto", devices)  # before TensorFlow runs anything
    network = load_model(model)
    if shard is not None or replicas is not None:
        require_ours(network, "--shard" if shard is not None else "--strategy")
    samples = training_data(network, data, split, data_dir, task=task, stream=stream, need_targets=False)
    say_about(samples.dataset)
    x, y = samples.arrays
    progress = None if as_json else track("analyzing")
    if shard is not None and save is not None:
        analyze_part(network, x, y, parse_shard(shard), settings, data=samples.about, track=progress).save(save)
        err.print(f"written: {save}", soft_wrap=True)
        return
    if replicas is not None:
        from leaky_zoo.training.distributed_audit import analyze_distributed

        audit = analyze_distributed(network, x, y, replicas, settings, data=samples.about, track=progress)
        if not replicas.is_chief:
            return  # every worker has the audit; one writes it
    else:
        chosen = [name.strip() for name in layers.split(",")] if layers else None
        if isinstance(network, LeakyNetwork) and relu_samples:
            settings = replace(settings, relu_samples=relu_samples)
        audit = analyze(network, x, y, settings, data=samples.about, layers=chosen, track=progress)
    show_audit(audit, report=report, plot=plot, save=save, as_json=as_json)


def show_audit(audit: "Audit", *, report: Path | None, plot: Path | None, save: Path | None, as_json: bool) -> None:
    """Write what was asked for, then print the audit."""
    from leaky_zoo.analysis.linearity import linearity_sentence
    from leaky_zoo.figures import plot_audit
    from leaky_zoo.io.files import replacing

    if save:
        audit.save(save)
    if plot:
        with replacing(plot) as aside:
            plot_audit(audit).savefig(aside, dpi=130)
    if report:
        from leaky_zoo.figures.report import write_report

        write_report(audit, report)
    if as_json:
        print_json(audit.to_dict())
        return
    if audit.data.get("recognised_by") == "name":
        err.print("The training split is recognised by its name: this net stores no hash of its content.", style="dim")
    title = f"{audit.model['name']} on {audit.data['name']} {audit.data['split']}, N = {audit.n}, "
    title += f"gamma_0 = {audit.gamma_0:g}"
    if audit.weight_decay is not None:
        title += f", mu = {audit.weight_decay:g}, mu_io = {audit.io_weight_decay:g}"
    out.print(audit_table(audit, title))
    if audit.bottleneck_rank:
        rank = audit.bottleneck_rank
        interval = f" (between {rank.low} and {rank.high})" if rank.estimate and rank.low != rank.high else ""
        out.print(f"[bold]{rank.verdict}[/]{interval}", highlight=False)
    if audit.summary.get("effective_nonlinear_depth"):
        out.print(linearity_sentence(audit), highlight=False)
    for name, reason in audit.undefined.items():
        out.print(f"{name}: {reason}", style="dim")
    for warning in audit.warnings:
        err.print(f"[yellow]warning:[/] {warning}", highlight=False)
    for path in filter(None, (report, plot, save)):
        err.print(f"written: {path}", soft_wrap=True)


def _check_shard(shard: str, plot: Path | None, report: Path | None, save: Path | None, ignored: Sequence[str]) -> None:
    """Refuse what could not be written of a shard, before any work is done."""
    parse_shard(shard)
    if save is None or save.suffix.lower() != ".npz":
        raise InvalidInputError(f"--shard writes the sums of its part: give --save PART.npz. Received: {save}")
    if plot or report:
        raise InvalidInputError("A shard has no picture of its own: --plot and --report go with merge-audits.")
    if ignored:
        raise InvalidInputError(f"--shard only writes its sums, in this process: leave {', '.join(ignored)} out.")
