"""Watch the bottleneck form while a network trains."""

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.live import Live
from rich.table import Table

from leaky_zoo.analysis.analyze import analyze
from leaky_zoo.analysis.audit import Audit
from leaky_zoo.analysis.settings import AnalysisSettings, checked_data
from leaky_zoo.errors import InvalidInputError, MissingExtraError
from leaky_zoo.networks.ours import require_ours

FIELDS = (
    "step_size",
    "cost_of_identity",
    "kinetic_energy",
    "potential_energy",
    "hamiltonian",
    "rank_from_hamiltonian",
    "criticality_residual",
    "stable_rank",
    "participation_ratio",
    "weight_norm",
    "weight_directions",
    "weight_gap",
    "within_class_fraction",
)
SHOWN = ("cost_of_identity", "rank_from_hamiltonian", "criticality_residual", "stable_rank", "weight_directions")


class AuditCallback(keras.callbacks.Callback):
    """Audit the network every few epochs on a sample, and write the energies where they can be watched.

    Momenta belong to the training data and the full `mu`: on a held-out sample, or while `mu` is ramped up, read them
    as a trend. The first audit is made before training.

    Args:
        x: raw inputs of the sample, a few hundred to a few thousand.
        y: their labels or targets; None leaves the momenta out. Default None.
        every: epochs between two audits, at least 1. Default 1.
        csv: file that gets one row for each layer of each audit; rows that are there stay, and then there is no audit
            before training. Default None.
        tensorboard: folder of TensorBoard's event files, one scalar for each layer and quantity. Default None.
        live: show a table in the terminal while training. Default False.
        data: what the sample is, as `{"name", "split"}`. Default None.
        settings: of the audits. Default None: the defaults of `AnalysisSettings`.

    Attributes:
        audits: one `(epoch, Audit)` for each audit.

    Raises:
        InvalidInputError: `every` below 1; not one of our networks; `tensorboard` without that package.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> net = LeakyMLP((4,), 2, width=6, depth=5, effective_depth=2.0, weight_decay=1e-3)
    >>> net.compile("adam", net.loss_function())
    >>> x, y = np.random.default_rng(0).normal(size=(64, 4)).astype("float32"), np.arange(64) % 2
    >>> watch = AuditCallback(x, y, every=2)
    >>> history = net.fit(x, y, epochs=4, verbose=0, callbacks=[watch])
    >>> [epoch for epoch, _ in watch.audits]
    [0, 2, 4]
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray | None = None,
        *,
        every: int = 1,
        csv: str | Path | None = None,
        tensorboard: str | Path | None = None,
        live: bool = False,
        data: dict[str, Any] | None = None,
        settings: AnalysisSettings | None = None,
    ) -> None:
        super().__init__()
        if every < 1:
            raise InvalidInputError(f"`every` must be at least 1 epoch. Received: every={every}")
        self.x, self.y, self.every = np.asarray(x), None if y is None else np.asarray(y), int(every)
        self.data, self.settings = checked_data(data), settings
        self.csv = None if csv is None else Path(csv)
        self.audits: list[tuple[int, Audit]] = []
        self.tensorboard = None if tensorboard is None else Path(tensorboard)
        self._writer: Any = None
        if tensorboard is not None and find_spec("tensorboard") is None:
            raise MissingExtraError("tensorboard is not installed: pip install 'leaky-zoo[tensorboard]'")
        self._live = Live(auto_refresh=False) if live else None

    def on_train_begin(self, logs: Any = None) -> None:
        require_ours(self.model, "AuditCallback")
        if self._live:
            self._live.start()
        if self.tensorboard and self._writer is None:
            self._writer = _event_writer(self.tensorboard)
        begun = self.csv is not None and self.csv.exists() and self.csv.stat().st_size > 0
        if not self.audits and not begun:
            self.audit(0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if (epoch + 1) % self.every == 0:
            self.audit(epoch + 1)

    def on_train_end(self, logs: Any = None) -> None:
        if self._live:
            self._live.stop()
        if self._writer:
            self._writer.close()
            self._writer = None

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint of `leaky_zoo.train` keeps: how long the file of rows is."""
        return {"bytes": self.csv.stat().st_size if self.csv is not None and self.csv.exists() else 0}

    def set_state(self, state: dict[str, Any]) -> None:
        """Cut off the rows that were written after the checkpoint: the resumed run writes them again."""
        if self.csv is not None and self.csv.exists() and self.csv.stat().st_size > state["bytes"]:
            with self.csv.open("r+b") as file:
                file.truncate(state["bytes"])

    def audit(self, epoch: int) -> Audit:
        """Audit now, and write the result as of `epoch`."""
        audit = analyze(self.model, self.x, self.y, self.settings, data=self.data)
        self.audits.append((epoch, audit))
        if self.csv:
            self._write_rows(epoch, audit)
        if self._writer:
            _write_scalars(self._writer, epoch, audit)
        if self._live:
            self._live.update(live_table(epoch, audit), refresh=True)
        return audit

    def _write_rows(self, epoch: int, audit: Audit) -> None:
        assert self.csv is not None
        self.csv.parent.mkdir(parents=True, exist_ok=True)
        with self.csv.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if file.tell() == 0:
                writer.writerow(["epoch", "layer", *FIELDS])
            for layer in audit.layers:
                writer.writerow([epoch, layer.layer, *(getattr(layer, name) for name in FIELDS)])


def _write_scalars(writer: Any, epoch: int, audit: Audit) -> None:
    for layer in audit.layers:
        for name in FIELDS:
            value = getattr(layer, name)
            if value is not None:
                writer.add_scalar(f"{name}/layer_{layer.layer:02d}", float(value), epoch)
    writer.add_scalar("min_cost_of_identity", audit.summary["min_cost_of_identity"], epoch)
    writer.flush()


def live_table(epoch: int, audit: Audit) -> Table:
    """One row for each layer, as the terminal shows it while training."""
    verdict = audit.bottleneck_rank.verdict if audit.bottleneck_rank else ""
    result = Table(title=f"epoch {epoch}: {verdict}", title_justify="left")
    result.add_column("layer", justify="right")
    for name in SHOWN:
        result.add_column(name.replace("_", " "), justify="right")
    for layer in audit.layers:
        values = (getattr(layer, name) for name in SHOWN)
        result.add_row(str(layer.layer), *("-" if value is None else f"{value:.4g}" for value in values))
    return result


def _event_writer(folder: Path) -> Any:
    from tensorboard.summary import Writer

    folder.mkdir(parents=True, exist_ok=True)
    return Writer(str(folder))
