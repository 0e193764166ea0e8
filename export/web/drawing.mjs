// A canvas to draw a digit on, with mouse, touch, pen or keyboard, and what a network is given of it.

const SIDE = 280, BRUSH = 22, STEP = 10;

export class Drawing {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} changed called after each stroke
   */
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.ink = document.createElement("canvas");
    this.ink.width = this.ink.height = canvas.width = canvas.height = SIDE;
    this.pen = this.ink.getContext("2d", { willReadFrequently: true });
    this.borrowed = false; // whether a sample is shown, which the first stroke wipes away
    this.cursor = null; // of the keyboard: { x, y, down }
    this.last = null;
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) canvas.addEventListener(name, () => this.end());
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => { this.cursor = null; this.show(); });
    this.clear();
  }

  clear() {
    this.pen.fillStyle = "#000";
    this.pen.fillRect(0, 0, SIDE, SIDE);
    this.borrowed = false;
    this.show();
  }

  begin(event) {
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.cursor = null;
    this.last = this.place(event);
    this.stroke(this.last, this.last);
  }

  move(event) {
    if (!this.last) return;
    const points = event.getCoalescedEvents?.() ?? [];
    for (const point of points.length ? points : [event]) {
      const next = this.place(point);
      this.stroke(this.last, next);
      this.last = next;
    }
  }

  end() { this.last = null; }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: ((event.clientX - box.left) / box.width) * SIDE, y: ((event.clientY - box.top) / box.height) * SIDE };
  }

  /** Arrows move the pen, space puts it down and lifts it, delete clears. */
  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const cursor = this.cursor ?? { x: SIDE / 2, y: SIDE / 4, down: false };
    if (event.key in moves) {
      const step = event.shiftKey ? 2 * STEP : STEP;
      const next = { ...cursor, x: bounded(cursor.x + moves[event.key][0] * step), y: bounded(cursor.y + moves[event.key][1] * step) };
      this.cursor = next;
      if (cursor.down) this.stroke(cursor, next);
    } else if (event.key === " " || event.key === "Enter") {
      this.cursor = { ...cursor, down: !cursor.down };
      if (this.cursor.down) this.stroke(cursor, cursor);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.cursor = { ...cursor, down: false };
      this.clear();
    } else return;
    event.preventDefault();
    this.show();
  }

  stroke(from, to) {
    if (this.borrowed) this.clear();
    Object.assign(this.pen, { strokeStyle: "#fff", lineWidth: BRUSH, lineCap: "round", lineJoin: "round" });
    this.pen.beginPath();
    this.pen.moveTo(from.x, from.y);
    this.pen.lineTo(to.x + 0.01, to.y);
    this.pen.stroke();
    this.show();
    this.changed();
  }

  show() {
    const view = this.canvas.getContext("2d");
    view.drawImage(this.ink, 0, 0);
    if (!this.cursor) return;
    view.beginPath();
    view.arc(this.cursor.x, this.cursor.y, BRUSH / 2, 0, 2 * Math.PI);
    Object.assign(view, { lineWidth: 3, strokeStyle: this.cursor.down ? "#f0896f" : "#6cc5e3" });
    view.stroke();
  }

  /** Show an image, as `picture` takes it. */
  showImage(values, shape, largest) {
    this.pen.imageSmoothingEnabled = false;
    this.pen.drawImage(picture(values, shape, largest), 0, 0, SIDE, SIDE);
    this.borrowed = true;
    this.show();
  }

  /** What the network is given: as MNIST's images were made (28 x 28), or as the optical digits' (8 x 8). */
  sample(side) { return side === 8 ? this.counted() : this.centred(); }

  /** MNIST: the ink in a box of 20 x 20, its centre of mass in the middle of 28 x 28; values to 255. */
  centred() {
    const box = this.box();
    if (!box) return new Float32Array(784);
    const scale = 20 / Math.max(box.width, box.height);
    const small = scaled(this.ink, box, 28, 14 - (box.width * scale) / 2, 14 - (box.height * scale) / 2, scale);
    let mass = 0, x = 0, y = 0;
    small.forEach((value, place) => { mass += value; x += value * (place % 28); y += value * Math.floor(place / 28); });
    const [left, down] = mass ? [Math.round(13.5 - x / mass), Math.round(13.5 - y / mass)] : [0, 0];
    const moved = new Float32Array(784);
    small.forEach((value, place) => {
      const column = (place % 28) + left, row = Math.floor(place / 28) + down;
      if (column >= 0 && column < 28 && row >= 0 && row < 28) moved[28 * row + column] = value;
    });
    return moved;
  }

  /** Optical digits: the ink fills 32 x 32 bits, counted in blocks of 4 x 4; values to 16. */
  counted() {
    const box = this.box();
    const counts = new Float32Array(64);
    if (!box) return counts;
    const scale = 32 / Math.max(box.width, box.height);
    const bits = scaled(this.ink, box, 32, 16 - (box.width * scale) / 2, 16 - (box.height * scale) / 2, scale);
    bits.forEach((value, place) => { if (value >= 128) counts[8 * Math.floor(place / 128) + Math.floor((place % 32) / 4)] += 1; });
    return counts;
  }

  box() {
    const { data } = this.pen.getImageData(0, 0, SIDE, SIDE);
    let left = SIDE, right = -1, top = SIDE, bottom = -1;
    for (let place = 0; place < SIDE * SIDE; place += 1) {
      if (data[4 * place] < 64) continue;
      const x = place % SIDE, y = Math.floor(place / SIDE);
      left = Math.min(left, x); right = Math.max(right, x);
      top = Math.min(top, y); bottom = Math.max(bottom, y);
    }
    return right < 0 ? null : { left, top, width: right - left + 1, height: bottom - top + 1 };
  }
}

/** A canvas with an image of raw values in [0, largest]: rows of pixels of one or three channels. */
export function picture(values, [height, width, channels], largest) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height, className: "picture" });
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  for (let place = 0; place < width * height; place += 1) {
    const colours = [0, 1, 2].map((row) => values[channels * place + Math.min(row, channels - 1)]);
    image.data.set([...colours.map((value) => Math.round((255 * value) / largest)), 255], 4 * place);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function bounded(value) { return Math.min(SIDE - BRUSH / 2, Math.max(BRUSH / 2, value)); }

/** The boxed part of an image, scaled by averaging over areas, on a black square. */
function scaled(source, box, side, x, y, scale) {
  const times = 8; // drawn larger and averaged: canvases alone skip pixels when they shrink an image much
  const large = document.createElement("canvas");
  large.width = large.height = side * times;
  const context = large.getContext("2d", { willReadFrequently: true });
  context.fillRect(0, 0, side * times, side * times);
  context.drawImage(source, box.left, box.top, box.width, box.height,
    x * times, y * times, box.width * scale * times, box.height * scale * times);
  const { data } = context.getImageData(0, 0, side * times, side * times);
  const small = new Float32Array(side * side);
  for (let place = 0; place < side * times * side * times; place += 1) {
    const column = Math.floor((place % (side * times)) / times), row = Math.floor(place / (side * times * times));
    small[side * row + column] += data[4 * place] / (times * times);
  }
  return small.map((value) => Math.round(value));
}
