"""Model and data in, an `Audit` out; plots of it."""

from leaky_zoo.analysis.analyze import analyze
from leaky_zoo.analysis.audit import SCHEMA_VERSION, Audit, BottleneckRank, LayerAudit
from leaky_zoo.analysis.path_model import weights_sha256
from leaky_zoo.analysis.plots import plot_audit
from leaky_zoo.analysis.streaming import PathStream, PathSums, collect

__all__ = [
    "SCHEMA_VERSION",
    "Audit",
    "BottleneckRank",
    "LayerAudit",
    "PathStream",
    "PathSums",
    "analyze",
    "collect",
    "plot_audit",
    "weights_sha256",
]
