// The image with its keypoints: a circle of radius 3σ with a line towards θ, and the marks of what was dropped.

const REACH = 16;                                                        // how far from a point still picks it, CSS px

class Picture {
  constructor(canvas, image, model) {
    Object.assign(this, {canvas, image, model});
    canvas.style.setProperty("--ratio", model.width / model.height);
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  draw() {
    const {canvas, model} = this, {data, verdict, picked} = model;
    const pen = this.pen = context(canvas, model.width, model.height);
    this.unit = model.width / (canvas.clientWidth || model.width);       // image pixels in a CSS pixel
    pen.translate(0.5, 0.5);                                             // the centre of the first pixel is (0, 0)
    pen.drawImage(this.image, -0.5, -0.5, model.width, model.height);
    pen.fillStyle = "rgb(0 0 0 / .12)";
    pen.fillRect(-0.5, -0.5, model.width, model.height);
    for (let p = 0; p < data.x.length; p++)
      if (verdict.shown[p]) this.circle(p, p < model.keypoints ? "rgb(255 228 92 / .85)" : "#6fd0ff", 1.1);
    if (model.showDropped)
      for (let c = 0; c < data.start.length; c++) if (model.isDropped(c)) this.mark(c, 1);
    if (picked?.kind === "kp") this.pickedPoint(picked.i);
    if (picked?.kind === "c") this.pickedCandidate(picked.i);
  }

  // Stroke what is drawn, on a dark halo so that it shows on light and dark.
  stroke(path, colour, width) {
    const {pen, unit} = this;
    pen.lineJoin = "round";
    pen.strokeStyle = "rgb(0 0 0 / .55)"; pen.lineWidth = (width + 1.4) * unit; pen.stroke(path);
    pen.strokeStyle = colour; pen.lineWidth = width * unit; pen.stroke(path);
  }

  circle(p, colour, width) {
    const {x, y, sigma, theta} = this.model.data, path = new Path2D(), r = 3 * sigma[p];
    path.arc(x[p], y[p], r, theta[p], theta[p] + 2 * Math.PI);
    path.moveTo(x[p], y[p]);
    path.lineTo(x[p] + r * Math.cos(theta[p]), y[p] + r * Math.sin(theta[p]));
    this.stroke(path, colour, width);
  }

  mark(c, size) {
    const {path, colour} = MARKS[this.model.verdict.step[c]] ?? MARKS[LOW_CONTRAST];
    const [x, y] = this.model.placeOf(c), turned = new Path2D();
    turned.addPath(new Path2D(path), new DOMMatrix([size * this.unit, 0, 0, size * this.unit, x, y]));
    this.stroke(turned, colour, 1.2);
  }

  pickedPoint(p) {
    const {model, pen} = this, {x, y, sigma, theta} = model.data, half = 2 * model.params.cell_width * sigma[p];
    const near = model.other ? null : model.nearest(p)?.[0];
    if (near) {
      const line = new Path2D();
      line.moveTo(x[p], y[p]); line.lineTo(x[near.i], y[near.i]);
      pen.setLineDash([5 * this.unit, 4 * this.unit]); this.stroke(line, "#fff", 1.2); pen.setLineDash([]);
      this.circle(near.i, "#fff", 1.6);
    }
    const grid = new Path2D(), square = new Path2D();                    // the 4 × 4 cells of the descriptor
    for (let k = -2; k <= 2; k++) {
      square.moveTo(k * half / 2, -half); square.lineTo(k * half / 2, half);
      square.moveTo(-half, k * half / 2); square.lineTo(half, k * half / 2);
    }
    grid.addPath(square, new DOMMatrix().translate(x[p], y[p]).rotate(degrees(theta[p])));
    this.stroke(grid, "rgb(255 255 255 / .75)", 0.8);
    this.circle(p, "#ff6a2b", 2.6);
  }

  pickedCandidate(c) {
    const [x, y] = this.model.placeOf(c), path = new Path2D();
    path.arc(x, y, 11 * this.unit, 0, 2 * Math.PI);
    this.stroke(path, "#ff6a2b", 2.6);
    this.mark(c, 1.3);
  }

  // What lies at a place of the viewport: the nearest keypoint or dropped candidate; null where nothing is near.
  at(clientX, clientY) {
    const box = this.canvas.getBoundingClientRect(), {model} = this, {data} = model;
    const px = (clientX - box.left) * this.unit - 0.5, py = (clientY - box.top) * this.unit - 0.5;
    let best = null, least = REACH * this.unit;
    const consider = (kind, i, x, y, turn) => {
      const away = Math.hypot(px - x, py - y) + 1e-3 * turn * this.unit; // of two at one place, that which points here
      if (away < least) { least = away; best = {kind, i}; }
    };
    const {x, y, theta} = data;
    for (let p = 0; p < x.length; p++)
      if (model.verdict.shown[p])
        consider("kp", p, x[p], y[p], 1 - Math.cos(theta[p] - Math.atan2(py - y[p], px - x[p])));
    if (model.showDropped)
      for (let c = 0; c < data.start.length; c++) if (model.isDropped(c)) consider("c", c, ...model.placeOf(c), 0);
    return best;
  }
}
