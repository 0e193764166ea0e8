// The page: chooses a network, feeds it a drawing or a golden sample, and shows what happens on the way.

import { relativeError } from "./metadata.mjs";
import { auditColumns, FOLDS_BELOW, openNetwork, softmax, walk } from "./network.mjs";
import { Drawing, picture } from "./drawing.mjs";
import { digits, drawBars, drawLayers } from "./charts.mjs";

const at = (id) => document.getElementById(id);
const LARGEST = { 8: 16, 28: 255 }; // value of full ink, by side of the image
const MOST_BARS = 100; // of outputs drawn one by one, each with its name
const state = { presets: [], preset: null, network: null, sample: null, opening: 0, running: false, again: false, last: null };
const drawing = new Drawing(at("canvas"), () => choose(null));

function say(words, bad = false) {
  at("status").textContent = words;
  at("status").classList.toggle("bad", bad);
}

/** Options of a select; keeps the value if it is among them. */
function fill(select, values, names = values) {
  const before = select.value;
  select.replaceChildren(...values.map((value, row) => new Option(names[row], value)));
  if (values.map(String).includes(before)) select.value = before;
}

function matching(...keys) {
  return state.presets.filter((preset) => keys.every((key) => String(preset[key]) === at(key === "effective_depth" ? "depth" : key).value));
}

function unique(values) { return [...new Set(values)]; }

/** Narrow the later selects to what there is, then open the network that is named. */
async function narrow() {
  fill(at("depth"), unique(matching("dataset").map((preset) => preset.effective_depth)).sort((a, b) => a - b));
  fill(at("schedule"), unique(matching("dataset", "effective_depth").map((preset) => preset.schedule)));
  fill(at("name"), matching("dataset", "effective_depth", "schedule").map((preset) => preset.name));
  const preset = matching("name")[0];
  fill(at("file"), preset.files.map((file) => file.path), preset.files.map((file) => file.name));
  state.preset = preset;
  await open(at("file").value);
}

function select(preset) {
  at("dataset").value = preset.dataset;
  fill(at("depth"), [preset.effective_depth]);
  fill(at("schedule"), [preset.schedule]);
  fill(at("name"), [preset.name]);
}

async function open(path) {
  const turn = (state.opening += 1);
  say(`Loading ${path}.`);
  const begin = performance.now();
  try {
    const network = await openNetwork(`../${path}`);
    if (turn !== state.opening) { await network.release(); return; }
    const before = state.network;
    state.network = network;
    await before?.release();
    setUp(network);
    await choose(state.sample ?? 0);
    say(`${network.metadata["leaky_zoo.preset"].name}: loaded and run for the first time in ${Math.round(performance.now() - begin)} ms.`);
    location.replace(`#${path}`);
  } catch (error) {
    if (turn === state.opening) say(String(error.message ?? error).split("\n")[0], true);
  }
}

function setUp(network) {
  document.querySelector("main").hidden = false;
  at("board").hidden = !drawn(network);
  at("clear").hidden = !drawn(network);
  const count = network.golden.inputs.shape[0];
  at("samples").replaceChildren(...Array.from({ length: count }, (_, row) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: row + 1, ariaLabel: `Sample ${row + 1}`, onclick: () => choose(row) });
    return button;
  }));
  at("class-title").textContent = network.metadata["leaky_zoo.task"] === "classification" ? "Class" : "Output";
  const audit = network.metadata["leaky_zoo.audit"] ?? network.metadata["leaky_zoo.audit_summary"];
  at("verdict").textContent = audit?.bottleneck_rank ? `Audit on the training data: ${audit.bottleneck_rank.verdict}.` : "";
  listFiles();
}

/** Whether the network looks at images that the board can make. */
function drawn(network) { return ["8,8,1", "28,28,1"].includes(String(network.shape)); }

/** Show a golden sample by its number, or (null) what is drawn. */
async function choose(sample) {
  const { network } = state;
  if (!network) return;
  if (sample === null && !drawn(network)) sample = 0;
  state.sample = sample;
  [...at("samples").children].forEach((button, row) => button.setAttribute("aria-pressed", String(row === sample)));
  if (sample !== null && drawn(network)) {
    drawing.showImage(golden(network, sample), network.shape, LARGEST[network.shape[0]]);
  }
  at("values").hidden = drawn(network);
  if (!drawn(network)) showSample(network, golden(network, sample));
  await run();
}

/** A sample that nobody can draw: another image, or values in their order. */
function showSample(network, data) { showValues(at("values"), network, Array.from(data), network.shape, "this sample", "input"); }

/** An array as an image where it is one, else as a line. */
function showValues(place, network, values, shape, title, name) {
  if (isImage(shape)) {
    const image = picture(values, shape, fullInk(network));
    image.setAttribute("role", "img");
    image.ariaLabel = `An image: ${title}`;
    place.replaceChildren(image);
    return;
  }
  drawLayers(place, {
    label: `Values of ${title}, in their order`, layers: values.map((_, row) => row + 1), what: "value",
    series: [{ name, kind: "line", values }],
  });
}

function isImage(shape) { return shape.length === 3 && [1, 3].includes(shape[2]); }

/** The value of a pixel that is full: of the data, not of one sample. */
function fullInk(network) {
  const known = drawn(network) && LARGEST[network.shape[0]];
  return known || (network.golden.inputs.data.some((value) => value > 1) ? 255 : 1);
}

function golden(network, row) {
  const { data, shape } = network.golden.inputs;
  return data.slice((row % shape[0]) * network.size, ((row % shape[0]) + 1) * network.size);
}

/** One run at a time; of those asked for meanwhile only the last. */
async function run() {
  if (state.running) { state.again = true; return; }
  state.running = true;
  try {
    do {
      state.again = false;
      const { network } = state;
      const data = state.sample === null ? drawing.sample(network.shape[0]) : golden(network, state.sample);
      const path = await network.path(data);
      if (network === state.network) show(network, path);
    } while (state.again);
  } finally {
    state.running = false;
  }
}

function show(network, path) {
  state.last = { network, path };
  showOutputs(network, path.outputs);
  showBottleneck(path.bottleneck);
  const columns = auditColumns(network.metadata), steps = walk(path.layers, network.metadata["leaky_zoo.step_sizes"]);
  const layers = columns.layer ?? steps.map((step) => step.layer);
  drawLayers(at("energies"), {
    label: "Kinetic energy, minus the potential energy and the size of their sum, by layer", layers, log: true,
    series: [
      { name: "kinetic energy", kind: "line", values: columns.kinetic_energy ?? [] },
      { name: "minus the potential", kind: "line", values: (columns.potential_energy ?? []).map((value) => (value === null ? null : -value)) },
      { name: "size of their sum", kind: "line", values: (columns.kinetic_plus_potential ?? []).map((value) => (value === null ? null : Math.abs(value))) },
    ],
  });
  const numbers = steps.map((step) => step.layer);
  drawLayers(at("speed"), {
    label: "Speed of this sample, by layer", layers: numbers,
    series: [{ name: "speed", kind: "bars", values: steps.map((step) => step.speed) }],
  });
  const folds = steps.map((step) => step.negative <= FOLDS_BELOW);
  drawLayers(at("negative"), {
    label: "Share of the squared norm that ReLU cuts off, by layer", layers: numbers, mark: FOLDS_BELOW, top: 0.1,
    series: [{ name: "share cut off", kind: "bars", values: steps.map((step) => step.negative), good: folds }],
  });
  at("folds").textContent = foldWords(folds, network);
}

function foldWords(folds, network) {
  if (!folds.length) return "This file's layers are folded already: there is no path left to follow, the audit is of the net it was made from.";
  let from = folds.length;
  while (from > 0 && folds[from - 1]) from -= 1;
  const audited = auditColumns(network.metadata).negative_share ? " The audit's shares over the data decide what the compressed files fold." : "";
  if (from === folds.length) return `For this sample ReLU matters up to the last layer.${audited}`;
  return `For this sample ReLU does next to nothing in layers ${from + 1} to ${folds.length}: one affine map.${audited}`;
}

function showOutputs(network, outputs) {
  const label = network.metadata["leaky_zoo.task"] === "classification";
  const values = label ? softmax(outputs, network.metadata["leaky_zoo.temperature"] ?? 1) : Array.from(outputs);
  if (!label && (isImage(network.outputShape) || values.length > MOST_BARS)) {
    at("answer").textContent = "";
    showValues(at("outputs"), network, values, network.outputShape, "the output", "output");
    return;
  }
  const best = values.indexOf(Math.max(...values));
  const name = (row) => String(label ? network.classes?.[row] ?? row : row + 1);
  at("answer").textContent = label ? name(best) : "";
  if (label) {
    const small = document.createElement("small");
    small.textContent = `${(100 * values[best]).toFixed(1)}%`;
    at("answer").append(small);
  }
  drawBars(at("outputs"), values.map((value, row) => ({
    name: name(row), value, text: label ? `${(100 * value).toFixed(1)}%` : digits(value), good: label && row === best,
  })), { label: label ? "Probability of each class" : "Outputs", signed: !label });
}

function showBottleneck(found) {
  at("coordinates").replaceChildren();
  if (!found) {
    at("coordinates-words").textContent = "This file carries no reference, so no coordinates: leaky-zoo export --monitor-data writes one that does.";
    return;
  }
  at("coordinates-words").textContent = `${found.layer ? `After layer ${found.layer}` : "In the bottleneck"}, in standard deviations of the reference. Energy outside: ${digits(found.energy)} times the usual.`;
  drawBars(at("coordinates"), found.coordinates.map((value, row) => ({ name: String(row + 1), value, text: value.toFixed(2) })),
    { label: "Bottleneck coordinates", signed: true, most: 3 });
}

function listFiles(results = {}) {
  at("files").replaceChildren(...state.preset.files.map((file) => {
    const row = document.createElement("tr");
    row.className = file.path === at("file").value ? "chosen" : "";
    const found = results[file.path] ?? {};
    const cells = [file.name, Math.round(file.bytes / 1000).toLocaleString("en"),
      file.accuracy === null ? "-" : `${(100 * file.accuracy).toFixed(2)}%`,
      ...[found.one, found.many].map((value) => (value === undefined ? "-" : value.toFixed(value < 1 ? 3 : 2))), found.golden ?? "-"];
    row.append(...cells.map((text, place) => {
      const cell = document.createElement("td");
      cell.textContent = text;
      if (!place) cell.className = "left";
      return cell;
    }));
    return row;
  }));
}

async function measure() {
  at("measure").disabled = true;
  const results = {};
  try {
    for (const file of state.preset.files) {
      say(`Measuring ${file.name}.`);
      const network = await openNetwork(`../${file.path}`);
      const { inputs, outputs } = network.golden;
      const error = relativeError(await network.predict(inputs.data, inputs.shape[0]), outputs.data);
      results[file.path] = { one: await network.latency(1), many: await network.latency(64), golden: `within ${digits(error)}` };
      await network.release();
      listFiles(results);
    }
    say("Measured.");
  } catch (error) {
    say(String(error.message ?? error).split("\n")[0], true);
  } finally {
    at("measure").disabled = false;
  }
}

async function start() {
  const answer = await fetch("models.json");
  if (!answer.ok) throw new Error("models.json is missing: make web writes it");
  state.presets = (await answer.json()).presets;
  if (!state.presets.length) throw new Error("export/ holds no exported file");
  fill(at("dataset"), unique(state.presets.map((preset) => preset.dataset)));
  const path = decodeURIComponent(location.hash.slice(1));
  const asked = state.presets.find((preset) => preset.files.some((file) => file.path === path));
  if (asked) {
    select(asked);
    fill(at("file"), [path]);
  }
  for (const id of ["dataset", "depth", "schedule", "name"]) at(id).addEventListener("change", () => narrow());
  at("file").addEventListener("change", () => open(at("file").value));
  at("clear").addEventListener("click", () => { drawing.clear(); at("answer").textContent = ""; at("canvas").focus(); });
  at("measure").addEventListener("click", measure);
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    if (state.last) show(state.last.network, state.last.path);
  });
  await narrow();
}

start().catch((error) => say(String(error.message ?? error).split("\n")[0], true));
