"""Model and data in, an `Audit` out; pictures and pages of it."""

from leaky_zoo.analysis.analyze import analyze
from leaky_zoo.analysis.audit import SCHEMA_VERSION, Audit, BottleneckRank, LayerAudit
from leaky_zoo.analysis.callback import AuditCallback
from leaky_zoo.analysis.comparison import COMPARISONS, plot_comparison
from leaky_zoo.analysis.difference import AuditDifference
from leaky_zoo.analysis.parts import AuditPart, analyze_part, merge_parts
from leaky_zoo.analysis.path_model import weights_sha256
from leaky_zoo.analysis.path_stream import PathStream, PathSums
from leaky_zoo.analysis.plots import PANELS, plot_audit, plot_panel
from leaky_zoo.analysis.report import write_comparison, write_report
from leaky_zoo.analysis.streaming import collect
from leaky_zoo.analysis.theme import DARK, LIGHT, Theme

__all__ = [
    "COMPARISONS",
    "DARK",
    "LIGHT",
    "PANELS",
    "SCHEMA_VERSION",
    "Audit",
    "AuditCallback",
    "AuditDifference",
    "AuditPart",
    "BottleneckRank",
    "LayerAudit",
    "PathStream",
    "PathSums",
    "Theme",
    "analyze",
    "analyze_part",
    "collect",
    "merge_parts",
    "plot_audit",
    "plot_comparison",
    "plot_panel",
    "weights_sha256",
    "write_comparison",
    "write_report",
]
