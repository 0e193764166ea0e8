// An exported file in the browser: outputs, the path that a sample takes, and how long a run takes.

import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";
import { readMetadata, tensorNames, unpackGolden, withOutputs } from "./metadata.mjs";

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL("./node_modules/onnxruntime-web/dist/", import.meta.url).href;
ort.env.logLevel = "error";
const SESSION = { executionProviders: ["wasm"], logSeverityLevel: 4 };
const REPRESENTATION = /^(stem|block_\d+\/step)$/;
// Of ||min(A, 0)||^2 in ||A||^2; at or below it ReLU does nothing that matters, and the layer can be folded away.
export const FOLDS_BELOW = 0.03;

/** Fetch a file and open it. */
export async function openNetwork(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${answer.statusText}`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  return new Network(bytes, readMetadata(bytes), await ort.InferenceSession.create(bytes, SESSION));
}

export class Network {
  constructor(bytes, metadata, session) {
    this.bytes = bytes;
    this.metadata = metadata;
    this.session = session;
    this.shape = metadata["leaky_zoo.input"].shape.slice(1);
    this.outputShape = metadata["leaky_zoo.output"].shape.slice(1);
    this.size = this.shape.reduce((product, side) => product * side, 1);
    this.classes = metadata["leaky_zoo.class_names"] ?? null;
    this.golden = unpackGolden(metadata["leaky_zoo.golden"]);
    // A compressed file's layers are no longer those of the path: some are several in one.
    this.representations = metadata["leaky_zoo.compression"] ? [] : tensorNames(bytes).filter((name) => REPRESENTATION.test(name));
    this.tapped = null;
  }

  /** Outputs for `count` raw samples: a Float32Array. */
  async predict(data, count) {
    const name = this.session.outputNames[0];
    return (await this.session.run(this.feeds(data, count), [name]))[name].data;
  }

  /**
   * The path of one sample: `{ outputs, layers, bottleneck }`. `layers[l]` is A_l, as a Float32Array; empty where the
   * file's layers are folded. `bottleneck` holds coordinates and the energy outside; null in a file without reference.
   */
  async path(data) {
    const reference = this.metadata["leaky_zoo.reference"];
    if (!this.tapped) {
      this.tapped = this.representations.length
        ? await ort.InferenceSession.create(withOutputs(this.bytes, this.representations), SESSION)
        : this.session;
    }
    const found = await this.tapped.run(this.feeds(data, 1));
    return {
      outputs: found[this.session.outputNames[0]].data,
      layers: this.representations.map((name) => found[name].data),
      bottleneck: reference ? standardised(found[reference.output].data, reference) : null,
    };
  }

  /** Median milliseconds of a run of `batch` samples, after warming up; bounded in runs and in time. */
  async latency(batch, runs = 60, milliseconds = 1500) {
    const data = new Float32Array(batch * this.size);
    for (let row = 0; row < batch; row += 1) {
      const from = (row % this.golden.inputs.shape[0]) * this.size;
      data.set(this.golden.inputs.data.subarray(from, from + this.size), row * this.size);
    }
    const time = async (calls) => {
      const start = performance.now();
      for (let call = 0; call < calls; call += 1) await this.predict(data, batch);
      return (performance.now() - start) / calls;
    };
    let calls = 1; // a browser's clock has steps of a tenth of a millisecond and more: several runs are timed at once
    for (let warm = 0; warm < 3; warm += 1) await time(1);
    while (calls < 64 && (await time(calls)) * calls < 5) calls *= 2;
    const times = [], begin = performance.now();
    while (times.length < runs && (times.length < 5 || performance.now() - begin < milliseconds)) times.push(await time(calls));
    return times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
  }

  feeds(data, count) {
    return { [this.session.inputNames[0]]: new ort.Tensor("float32", data, [count, ...this.shape]) };
  }

  async release() {
    if (this.tapped && this.tapped !== this.session) await this.tapped.release();
    await this.session.release();
  }
}

/** Softmax of logits over a temperature. */
export function softmax(logits, temperature = 1) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (value) => Math.exp((value - largest) / temperature));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

/** For each layer l = 1..L of one sample's path: relative speed, and the share of what its ReLU cuts. */
export function walk(layers, stepSizes) {
  const found = [];
  for (let layer = 1; layer < layers.length; layer += 1) {
    const before = layers[layer - 1], after = layers[layer];
    let moved = 0, whole = 0, negative = 0;
    for (let place = 0; place < before.length; place += 1) {
      moved += (after[place] - before[place]) ** 2;
      whole += before[place] ** 2;
      if (before[place] < 0) negative += before[place] ** 2;
    }
    found.push({
      layer,
      speed: whole > 0 ? Math.sqrt(moved / whole) / (stepSizes?.[layer - 1] ?? 1 / (layers.length - 1)) : 0,
      negative: whole > 0 ? negative / whole : 0,
    });
  }
  return found;
}

/** Columns of the audit that a file carries, whole or in summary: `{ kinetic_energy: [...], ... }`; {} without one. */
export function auditColumns(metadata) {
  const audit = metadata["leaky_zoo.audit"], summary = metadata["leaky_zoo.audit_summary"];
  if (!audit) return summary?.layers ?? {};
  const names = audit.layers.length ? Object.keys(audit.layers[0]) : [];
  return Object.fromEntries(names.map((name) => [name, audit.layers.map((layer) => layer[name])]));
}

function standardised(row, reference) {
  const count = reference.directions;
  return {
    coordinates: Array.from({ length: count }, (_, place) =>
      (row[place] - reference.mean[place]) / Math.sqrt(reference.covariance[place][place])),
    energy: row[count] / Math.max(reference.energy.mean ?? 0, reference.energy.floor, 1e-30),
    layer: reference.layer,
  };
}
