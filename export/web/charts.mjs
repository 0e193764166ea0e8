// Small charts as SVG. Colours come from the style sheet, so light and dark need nothing here.

const SPACE = "http://www.w3.org/2000/svg";

function shape(name, attributes, content) {
  const element = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (content !== undefined) element.textContent = content;
  return element;
}

/** Digits as people write them: 0.031, 12, 1,400, 2e-5, 1e6. */
export function digits(value) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-3 || size >= 1e5) return value.toExponential(0).replace("e+", "e");
  return Number(value.toPrecision(3)).toLocaleString("en");
}

/** The least of 1, 2, 2.5, 5 times a power of ten that is not below a value. */
function rounded(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((times) => times * power).find((candidate) => candidate >= value * (1 - 1e-9));
}

/**
 * Lines or bars over layers.
 * @param {Element} place is emptied first
 * @param {object} chart
 * @param {string} chart.label what it shows, for who cannot see it
 * @param {number[]} chart.layers numbers along the axis
 * @param {{name: string, kind: "line" | "bars", values: (number|null)[], good?: boolean[]}[]} chart.series
 * @param {boolean} [chart.log] logarithmic axis; what is not above zero is left out
 * @param {number} [chart.mark] a dashed line at this value
 * @param {number} [chart.top] least upper end of the axis
 * @param {string} [chart.what] what a place on the axis is
 */
export function drawLayers(place, { label, layers, series, log = false, mark, top = 0, what = "layer" }) {
  const width = Math.max(place.clientWidth, 240), height = 150, left = 46, right = 8, bottom = 20, above = 8;
  const values = series.flatMap((one) => one.values).filter((value) => Number.isFinite(value) && (!log || value > 0));
  place.replaceChildren();
  if (!values.length) return;
  const below = Math.max(0, -Math.min(...values));
  const low = log ? Math.floor(Math.log10(Math.min(...values))) : below && -rounded(below);
  const high = log ? Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values)))) : rounded(Math.max(...values, mark ?? 0, top) || 1);
  const slot = (width - left - right) / layers.length;
  const x = (row) => left + slot * (row + 0.5);
  const y = (value) => above + (height - above - bottom) * (1 - ((log ? Math.log10(value) : value) - low) / (high - low));
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });
  const ticks = log
    ? Array.from({ length: high - low + 1 }, (_, row) => 10 ** (low + row)).filter((_, row) => row % Math.ceil((high - low) / 4) === 0)
    : low < 0 ? [low, 0, high] : [0, high / 2, high];
  for (const tick of ticks) {
    svg.append(shape("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }));
    svg.append(shape("text", { class: "tick", x: left - 5, y: y(tick) + 4, "text-anchor": "end" }, digits(tick)));
  }
  const every = Math.ceil(22 / slot);
  layers.forEach((layer, row) => {
    if (row % every === 0) svg.append(shape("text", { class: "tick", x: x(row), y: height - 5, "text-anchor": "middle" }, layer));
  });
  series.forEach((one, which) => svg.append(...marksOf(one, which, { log, x, y, slot, floor: height - bottom, layers, what })));
  if (mark !== undefined) svg.append(shape("line", { class: "mark", x1: left, x2: width - right, y1: y(mark), y2: y(mark) }));
  place.append(svg);
}

function marksOf(one, which, { log, x, y, slot, floor, layers, what }) {
  const drawn = one.values.map((value, row) => ({ value, row })).filter(({ value }) => Number.isFinite(value) && (!log || value > 0));
  const words = ({ value, row }) => shape("title", {}, `${what} ${layers[row]}: ${one.name} ${digits(value)}`);
  if (one.kind === "bars") {
    return drawn.map((point) => {
      const size = Math.max(2, floor - y(point.value));
      const bar = shape("rect", {
        class: one.good?.[point.row] ? "bar good" : "bar", rx: 2,
        x: x(point.row) - slot * 0.35, y: floor - size, width: slot * 0.7, height: size,
      });
      bar.append(words(point));
      return bar;
    });
  }
  const line = shape("polyline", { class: `line s${which}`, points: drawn.map(({ value, row }) => `${x(row)},${y(value)}`).join(" ") });
  return [line, ...drawn.map((point) => {
    const dot = shape("circle", { class: `dot s${which}`, cx: x(point.row), cy: y(point.value), r: 3 });
    dot.append(words(point));
    return dot;
  })];
}

/**
 * Horizontal bars with a name at the left and a number at the right.
 * @param {Element} place is emptied first
 * @param {{name: string, value: number, text: string, good?: boolean}[]} rows
 * @param {{label: string, signed?: boolean, most?: number}} options signed bars start in the middle
 */
export function drawBars(place, rows, { label, signed = false, most = 1 }) {
  const longest = Math.max(...rows.map((row) => row.name.length));
  const width = Math.max(place.clientWidth, 220), line = 27, left = Math.min(14 + 8 * longest, width / 3), right = 52;
  const span = width - left - right;
  const svg = shape("svg", { viewBox: `0 0 ${width} ${line * rows.length}`, width, height: line * rows.length, role: "img", "aria-label": label });
  const scale = Math.max(most, ...rows.map((row) => Math.abs(row.value)));
  const zero = signed ? left + span / 2 : left;
  if (signed) svg.append(shape("line", { class: "grid", x1: zero, x2: zero, y1: 0, y2: line * rows.length }));
  rows.forEach((row, place_) => {
    const size = (Math.abs(row.value) / scale) * (signed ? span / 2 : span), y = place_ * line;
    svg.append(shape("text", { class: "name", x: left - 8, y: y + 18, "text-anchor": "end" }, row.name));
    svg.append(shape("rect", {
      class: row.good ? "bar good" : "bar", rx: 2, x: row.value < 0 ? zero - size : zero, y: y + 5,
      width: Math.max(size, 1), height: line - 10,
    }));
    svg.append(shape("text", { class: "tick", x: width - right + 8, y: y + 18 }, row.text));
  });
  place.replaceChildren(svg);
}
