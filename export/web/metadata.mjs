// What an exported file says about itself, in JavaScript: onnxruntime-web and -node do not expose ONNX metadata, so the
// protobuf is walked here. Field numbers are those of onnx.proto: ModelProto.graph 7, ModelProto.metadata_props 14,
// GraphProto.node 1, GraphProto.output 12, NodeProto.output 2, ValueInfoProto.name 1. Works in browsers and in Node.

const PREFIX = "leaky_zoo.";
const TEXT_KEYS = ["citation", "golden_sha256", "schema_version", "task", "weights_sha256"];
const GRAPH = 7, METADATA = 14, NODE = 1, OUTPUT = 12, NODE_OUTPUT = 2;
const LENGTH_DELIMITED = 2;
const text = new TextDecoder("utf-8", { fatal: true });

/** One protobuf message's fields, in order: `{ number, type, start, end, at }`; `at` is where the field itself begins. */
function* fields(bytes, start, end) {
  let place = start;
  const varint = () => {
    let value = 0, scale = 1;
    for (let count = 0; count < 10; count += 1) {
      if (place >= end) throw new Error("not a whole ONNX model: it is cut off");
      const byte = bytes[place];
      place += 1;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    throw new Error("not an ONNX model: a number has no end");
  };
  while (place < end) {
    const at = place;
    const key = varint();
    const number = Math.floor(key / 8), type = key % 8;
    let from = place, to;
    if (type === 0) { varint(); to = place; }
    else if (type === 1) to = place + 8;
    else if (type === 5) to = place + 4;
    else if (type === LENGTH_DELIMITED) { const size = varint(); from = place; to = place + size; }
    else throw new Error(`not an ONNX model: wire type ${type}`);
    if (!(to <= end)) throw new Error("not a whole ONNX model: it is cut off");
    place = to;
    yield { number, type, start: from, end: to, at };
  }
}

function first(bytes, part, number) {
  for (const field of fields(bytes, part.start, part.end)) {
    if (field.number === number && field.type === LENGTH_DELIMITED) return text.decode(bytes.subarray(field.start, field.end));
  }
  return "";
}

function graphOf(bytes) {
  for (const field of fields(bytes, 0, bytes.length)) {
    if (field.number === GRAPH && field.type === LENGTH_DELIMITED) return field;
  }
  throw new Error("not a whole ONNX model: it has no graph");
}

/**
 * The file's metadata: `{ "leaky_zoo.audit": {...}, ... }`, JSON parsed; properties of others stay text.
 * @param {Uint8Array} bytes the whole file
 */
export function readMetadata(bytes) {
  const found = {};
  for (const field of fields(bytes, 0, bytes.length)) {
    if (field.number !== METADATA || field.type !== LENGTH_DELIMITED) continue;
    const key = first(bytes, field, 1), value = first(bytes, field, 2);
    const json = key.startsWith(PREFIX) && !TEXT_KEYS.includes(key.slice(PREFIX.length));
    found[key] = json ? JSON.parse(value) : value;
  }
  const ours = Object.keys(found).some((key) => key.startsWith(PREFIX));
  if (ours && !(`${PREFIX}schema_version` in found)) throw new Error("the file's metadata is cut off");
  return found;
}

/** Names of all tensors that nodes of the graph compute, in order. */
export function tensorNames(bytes) {
  const graph = graphOf(bytes), names = [];
  for (const node of fields(bytes, graph.start, graph.end)) {
    if (node.number !== NODE || node.type !== LENGTH_DELIMITED) continue;
    for (const field of fields(bytes, node.start, node.end)) {
      if (field.number === NODE_OUTPUT && field.type === LENGTH_DELIMITED) {
        names.push(text.decode(bytes.subarray(field.start, field.end)));
      }
    }
  }
  return names;
}

/**
 * The same model with more outputs: tensors it computes anyway. Weights are copied, never changed.
 * @param {Uint8Array} bytes the whole file
 * @param {string[]} names tensors, as `tensorNames` gives them
 */
export function withOutputs(bytes, names) {
  const graph = graphOf(bytes);
  const added = concat(names.map((name) => message(OUTPUT, message(1, new TextEncoder().encode(name)))));
  const inside = concat([bytes.subarray(graph.start, graph.end), added]);
  return concat([bytes.subarray(0, graph.at), message(GRAPH, inside), bytes.subarray(graph.end)]);
}

/** Golden pairs: `{ inputs: { shape, data }, outputs: { shape, data } }` with `Float32Array`s. */
export function unpackGolden(golden) {
  const unpack = ({ shape, data, dtype = "float32" }) => {
    const raw = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    return { shape, data: dtype === "uint8" ? Float32Array.from(raw) : new Float32Array(raw.buffer) };
  };
  return { inputs: unpack(golden.inputs), outputs: unpack(golden.outputs) };
}

/** `max |found - wanted| / max |wanted|`. */
export function relativeError(found, wanted) {
  if (found.length !== wanted.length) return Infinity;
  let difference = 0, scale = 0;
  for (let place = 0; place < wanted.length; place += 1) {
    const gap = Math.abs(found[place] - wanted[place]);
    if (!(gap <= difference)) difference = gap;
    scale = Math.max(scale, Math.abs(wanted[place]));
  }
  return difference === 0 ? 0 : difference / scale;
}

function message(number, content) {
  return concat([varintBytes(number * 8 + LENGTH_DELIMITED), varintBytes(content.length), content]);
}

function varintBytes(value) {
  const found = [];
  while (value > 127) { found.push((value % 128) + 128); value = Math.floor(value / 128); }
  return Uint8Array.from([...found, value]);
}

function concat(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let place = 0;
  for (const part of parts) { whole.set(part, place); place += part.length; }
  return whole;
}
