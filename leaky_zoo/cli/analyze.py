"""`leaky-zoo analyze`: the bottleneck of a network on data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from leaky_zoo.cli.console import AsJson, DataDir, Model, err, out, print_json, table, track
from leaky_zoo.cli.startup import start_tensorflow
from leaky_zoo.errors import InvalidInputError

if TYPE_CHECKING:
    from leaky_zoo.analysis import Audit

COLUMNS = {
    "layer": "layer",
    "step_size": "rho",
    "cost_of_identity": "COI",
    "on_plateau": "plateau",
    "rank_from_hamiltonian": "-2H/L~",
    "criticality_residual": "residual",
    "stable_rank": "stable rank",
    "weight_directions": "directions",
    "weight_gap": "gap",
}
WIDE_COLUMNS = {
    "kinetic_energy": "kinetic",
    "potential_energy": "potential",
    "hamiltonian": "H",
    "out_of_image_fraction": "out of image",
    "participation_ratio": "part. ratio",
}
WIDE = 150


def audit_table(audit: "Audit", title: str) -> Table:
    """The audit by layer, with the energies where the terminal is wide enough; `--json` has all of it."""
    columns = COLUMNS | WIDE_COLUMNS if out.width >= WIDE else COLUMNS
    return table(title, columns.values(), ([getattr(layer, name) for name in columns] for layer in audit.layers))


def analyze_command(
    model: Model,
    data: Annotated[
        str | None, typer.Option("--data", help="Data set or .npz file. [default: what the net was trained on]")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split. [default: the training split; momenta belong to it]")
    ] = None,
    gamma_0: Annotated[float, typer.Option(help="Relative regulariser of the energies.")] = 1e-5,
    plot: Annotated[Path | None, typer.Option(help="Write a figure, PNG, SVG or PDF.")] = None,
    save: Annotated[Path | None, typer.Option(help="Write the audit, JSON.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Measure dimension, energies and criticality along a network's path.

    [dim]Examples:[/]  leaky-zoo analyze leaky_mlp_teacher_k3_l7_equidistant --plot audit.png   |
    leaky-zoo analyze my.keras --data my.npz --json
    """
    if plot and plot.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InvalidInputError(f"--plot writes .png, .svg or .pdf. Received: {plot}")
    start_tensorflow()
    from leaky_zoo.analysis import analyze, plot_audit
    from leaky_zoo.cli.subject import our_network, trained_on
    from leaky_zoo.data import load_data
    from leaky_zoo.files import replacing
    from leaky_zoo.zoo import load_model

    network = our_network(load_model(model), model)
    trained = network.settings["dataset"] or {}
    dataset = load_data(data or trained_on(network, model)["name"], data_dir)
    split = split or (trained.get("split", "train") if trained.get("name") == dataset.identifier else "train")
    x, y = dataset.select(split)
    about = {"name": dataset.identifier, "split": split}
    audit = analyze(network, x, y, gamma_0=gamma_0, data=about, track=None if as_json else track("analyzing"))
    if save:
        audit.save(save)
    if plot:
        with replacing(plot) as aside:
            plot_audit(audit).savefig(aside, dpi=130)
    if as_json:
        print_json(audit.to_dict())
        return
    title = f"{network.name} on {dataset.identifier} {split}, N = {audit.n}, gamma_0 = {audit.gamma_0:g}"
    if audit.weight_decay is not None:
        title += f", mu = {audit.weight_decay:g}, mu_io = {audit.io_weight_decay:g}"
    out.print(audit_table(audit, title))
    for name, reason in audit.undefined.items():
        out.print(f"{name}: {reason}", style="dim")
    for warning in audit.warnings:
        err.print(f"[yellow]warning:[/] {warning}", highlight=False)
    for path in filter(None, (plot, save)):
        err.print(f"written: {path}", soft_wrap=True)
