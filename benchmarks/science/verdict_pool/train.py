"""Train what is not there yet, one net after the other on one thread; an interrupted one goes on.

    python -m benchmarks.science.verdict_pool.train [--part calibration] [--shard I/N]

About half a minute of one core for each net. Weights and audits stay in `build/verdict_pool`.
"""

from benchmarks.common import options
from benchmarks.science.verdict_pool.pool import Case, cases


def train_one(case: Case) -> str:
    """What became of it, in a line."""
    from leaky_zoo.training import train

    _, result = train(case.recipe, case.folder, resume=True)
    report = result.lbfgs or {}
    worst = max(report.get("clarke_residuals") or report["criticality_residuals"])
    return f"{case.name}: {report['iterations']} iterations, Clarke residual {worst:.3f}, {result.seconds:.0f} s"


def main(part: str, shard: str) -> None:
    """Calibration first, then confirmation."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    place, count = map(int, shard.split("/"))
    for row, case in enumerate(cases(part or None)):
        if row % count == place - 1 and not (case.folder / "result.json").exists():
            print(train_one(case), flush=True)


if __name__ == "__main__":
    chosen = options(__doc__, part="", shard="1/1")
    main(chosen.part, chosen.shard)
