"""Model and data in, an `Audit` out; plots of it."""

from leaky_zoo.analysis.analyze import analyze, weights_sha256
from leaky_zoo.analysis.audit import SCHEMA_VERSION, Audit, LayerAudit
from leaky_zoo.analysis.plots import plot_audit
from leaky_zoo.analysis.streaming import PathMoments, PathStream, collect

__all__ = [
    "SCHEMA_VERSION",
    "Audit",
    "LayerAudit",
    "PathMoments",
    "PathStream",
    "analyze",
    "collect",
    "plot_audit",
    "weights_sha256",
]
