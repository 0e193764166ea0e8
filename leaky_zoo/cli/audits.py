"""`leaky-zoo merge-audits` and `leaky-zoo compare`: from several analyses to one page."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leaky_zoo.cli.analyze import show_audit
from leaky_zoo.cli.console import AsJson, DataDir, Plot, Report, err, out, print_json, table
from leaky_zoo.cli.startup import start_tensorflow
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.processes.progress import track

if TYPE_CHECKING:
    from leaky_zoo.analysis import Audit


def merge_audits(
    parts: Annotated[list[Path], typer.Argument(help="The .npz files that analyze --shard wrote, each shard once.")],
    report: Report = None,
    plot: Plot = None,
    save: Annotated[Path | None, typer.Option(help="Write the audit, JSON.")] = None,
    as_json: AsJson = False,
) -> None:
    """Merge the parts of an analysis into the audit of the whole data; the network is not needed.

    [dim]Example:[/]  leaky-zoo merge-audits part1.npz part2.npz --report audit.html
    """
    if save is not None and save.suffix.lower() != ".json":
        raise InvalidInputError(f"--save writes .json. Received: {save}")
    start_tensorflow()
    from leaky_zoo.analysis import AuditPart, merge_parts

    audit = merge_parts([AuditPart.load(path) for path in parts])
    show_audit(audit, report=report, plot=plot, save=save, as_json=as_json)


def compare(
    models: Annotated[
        list[str], typer.Argument(help="Two or more: audits (.json), presets, preset folders or .keras files.")
    ],
    report: Report = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Set several models side by side, as one task across effective depths.

    A model is analysed on its training data; an audit, `analyze --save`'s JSON file, is taken as it is.

    [dim]Example:[/]  leaky-zoo compare leaky_mlp_teacher_k3_l3_irregular leaky_mlp_teacher_k3_l12_irregular
    --report compared.html
    """
    if len(models) < 2:
        raise InvalidInputError(f"compare takes two models or more. Received: {', '.join(models)}")
    start_tensorflow()
    from leaky_zoo.figures.report import write_comparison

    # Everything is read before anything is analysed.
    jobs = [_prepare(model, data_dir) for model in models]
    audits = [
        job(None if as_json else track(f"analyzing {Path(model).stem}"))
        for model, job in zip(models, jobs, strict=True)
    ]
    if report:
        write_comparison(audits, report)
    if as_json:
        print_json([_row(audit) for audit in audits])
        return
    columns = ("model", "L~", "N", "gamma_0", "min COI", "rank", "low", "high")
    rows = [list(_row(audit).values())[:-1] for audit in audits]
    out.print(table("audits", columns, rows))
    for audit in audits:
        if audit.bottleneck_rank:
            out.print(f"{audit.model['name']}: {audit.bottleneck_rank.verdict}", highlight=False, soft_wrap=True)
    if report:
        err.print(f"written: {report}", soft_wrap=True)


def _prepare(model: str, data_dir: Path | None) -> Callable[[Any], "Audit"]:
    """A function that gives the audit of a model, or the audit that the file holds; takes a progress bar or None."""
    from leaky_zoo.analysis import Audit, analyze
    from leaky_zoo.zoo import load_network
    from leaky_zoo.zoo.training_data import training_data

    if model.endswith(".json"):
        audit = Audit.load(model)
        return lambda bar: audit
    network = load_network(model)
    samples = training_data(network, data_dir=data_dir)
    return lambda bar: analyze(network, *samples.arrays, data=samples.about, track=bar)


def _row(audit: "Audit") -> dict:
    rank = audit.bottleneck_rank
    return {
        "model": audit.model["name"],
        "effective_depth": audit.model["effective_depth"],
        "n": audit.n,
        "gamma_0": audit.gamma_0,
        "min_cost_of_identity": audit.summary.get("min_cost_of_identity"),
        "estimate": rank.estimate if rank else None,
        "low": rank.low if rank else None,
        "high": rank.high if rank else None,
        "verdict": rank.verdict if rank else None,
    }
