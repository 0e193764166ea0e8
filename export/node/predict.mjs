// Runs an exported file in Node, and reads what the file says about itself.
//
//   npm ci && node predict.mjs ../leaky_mlp_optical_digits_l7_equidistant/model.onnx [inputs.json]
//
// Without inputs the golden inputs that the file carries are predicted and compared with its golden outputs; with
// inputs (a JSON array of raw samples, flattened: one array of numbers for each) those. Prints JSON. Exits with 1 where
// the golden outputs are not reproduced, with 2 on wrong usage or a file that is none.

import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import * as ort from "onnxruntime-node";
import { readMetadata, relativeError, unpackGolden } from "../web/metadata.mjs";

/** An exported file: `{ metadata, predict(data, count) }`. */
export async function load(path) {
  const bytes = new Uint8Array(await readFile(path));
  const metadata = readMetadata(bytes);
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 4 });
  const shape = metadata["leaky_zoo.input"].shape.slice(1);
  const size = shape.reduce((product, side) => product * side, 1);
  const predict = async (data, count) => {
    if (data.length !== count * size) throw new Error(`${count} samples of shape ${shape} have ${count * size} numbers`);
    const inputs = new ort.Tensor("float32", data, [count, ...shape]);
    const outputs = await session.run({ [session.inputNames[0]]: inputs }, [session.outputNames[0]]);
    return outputs[session.outputNames[0]].data;
  };
  return { metadata, predict };
}

async function main(path, inputs) {
  const { metadata, predict } = await load(path);
  const golden = unpackGolden(metadata["leaky_zoo.golden"]);
  const samples = inputs ? JSON.parse(await readFile(inputs, "utf-8")) : null;
  const count = samples ? samples.length : golden.inputs.shape[0];
  const outputs = await predict(samples ? Float32Array.from(samples.flat()) : golden.inputs.data, count);
  const width = outputs.length / count;
  const rows = Array.from({ length: count }, (_, row) => Array.from(outputs.subarray(row * width, (row + 1) * width)));
  const names = metadata["leaky_zoo.class_names"];
  const error = samples ? null : relativeError(outputs, golden.outputs.data);
  console.log(JSON.stringify({
    preset: metadata["leaky_zoo.preset"].name,
    effective_depth: metadata["leaky_zoo.effective_depth"] ?? null,
    verdict: metadata["leaky_zoo.audit"]?.bottleneck_rank?.verdict ?? null,
    relative_error: error,
    outputs: rows,
    labels: names ? rows.map((row) => names[row.indexOf(Math.max(...row))]) : null,
  }));
  return error === null || error <= (metadata["leaky_zoo.check"]?.tolerance ?? 1e-5) ? 0 : 1;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [path, inputs] = process.argv.slice(2);
  try {
    if (!path) throw new Error("node predict.mjs FILE.onnx [inputs.json]");
    process.exitCode = await main(path, inputs);
  } catch (error) {
    console.error(String(error.message ?? error).split("\n")[0]);
    process.exitCode = 2;
  }
}
