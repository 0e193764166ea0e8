"""Model and data in, an `Audit` out."""

from leaky_zoo.errors import naming_extras

with naming_extras():
    from leaky_zoo.analysis.analyze import analyze
    from leaky_zoo.analysis.audit import SCHEMA_VERSION, Audit
    from leaky_zoo.analysis.callback import AuditCallback
    from leaky_zoo.analysis.difference import AuditDifference
    from leaky_zoo.analysis.records import BottleneckRank, LayerAudit, PathAudit
    from leaky_zoo.analysis.settings import AnalysisSettings
    from leaky_zoo.analysis.shards import AuditPart, analyze_part, merge_parts

__all__ = [
    "SCHEMA_VERSION",
    "AnalysisSettings",
    "Audit",
    "AuditCallback",
    "AuditDifference",
    "AuditPart",
    "BottleneckRank",
    "LayerAudit",
    "PathAudit",
    "analyze",
    "analyze_part",
    "merge_parts",
]
