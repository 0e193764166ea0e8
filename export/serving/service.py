"""An exported file as a web service: predict, health, metrics.

pip install "leaky-zoo[serving]"
LEAKY_ZOO_MODEL=model.onnx uvicorn --app-dir export/serving service:app
"""

import os
from typing import Any

from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.runtime import DriftMonitor, load, softmax

MODEL = load(os.environ["LEAKY_ZOO_MODEL"], threads=1)
WATCHED = "leaky_zoo.reference" in MODEL.metadata
MONITOR = DriftMonitor(MODEL, batch=int(os.environ.get("LEAKY_ZOO_BATCH", "100"))) if WATCHED else None
MOST_SAMPLES = 1024
app = FastAPI(title="leaky-zoo", description=f"{MODEL.task} of samples of shape {MODEL.input_shape}")


class Samples(BaseModel):
    """Raw samples, nested lists of shape `(n, *input_shape)`."""

    inputs: list[Any]


@app.post("/predict")
def predict(samples: Samples) -> dict[str, Any]:
    """Outputs; for a classifier also labels and probabilities; the last drift verdict where the file is watched."""
    if len(samples.inputs) > MOST_SAMPLES:
        raise HTTPException(413, f"At most {MOST_SAMPLES} samples at once. Received: {len(samples.inputs)}")
    try:
        outputs = (MONITOR or MODEL).predict(samples.inputs)
    except (InvalidInputError, ValueError) as error:  # ValueError: lists of unequal length
        raise HTTPException(422, str(error)) from error
    answer: dict[str, Any] = {"outputs": outputs.tolist()}
    if MODEL.task == "classification":
        answer |= {"labels": MODEL.labels_of(outputs), "probabilities": softmax(outputs, MODEL.temperature).tolist()}
    return answer | ({"drift": MONITOR.last.p_value} if MONITOR and MONITOR.last else {})


@app.get("/health")
def health() -> dict[str, Any]:
    """What is served, once it is."""
    return {"status": "ok", "model": MODEL.metadata.get("leaky_zoo.preset", {}).get("name"), "watched": WATCHED}


@app.get("/metrics")
def metrics() -> Response:
    """The drift monitor's state, for Prometheus."""
    return Response(MONITOR.prometheus_text() if MONITOR else "", media_type="text/plain; version=0.0.4")
