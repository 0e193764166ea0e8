"""Keras to ONNX: builders by family, the stock converter for other models, and the checks before a file is written."""

from leaky_zoo.errors import naming_extras

with naming_extras():
    from leaky_zoo.deploy.build import build_onnx
    from leaky_zoo.deploy.compressed import export_compressed
    from leaky_zoo.deploy.export import ExportReport, export_onnx
    from leaky_zoo.deploy.zoo_compression import compress_model
    from leaky_zoo.deploy.zoo_models import export_model

__all__ = ["ExportReport", "build_onnx", "compress_model", "export_compressed", "export_model", "export_onnx"]
