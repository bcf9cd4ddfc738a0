// The panels of the story, each made of recorded numbers: text for SVG ones, a function that draws for canvases.

// Three 3 × 3 planes of D about the pixel it settled in, one a layer; orange above zero, blue below.
function cubePanel(cube, layer) {
  const sizes = cube.map(Math.abs), least = Math.min(...sizes), span = Math.max(...sizes) - least || 1, cells = [];
  for (let i = 0; i < 27; i++) {
    const plane = Math.floor(i / 9), x = 104 * plane + 31 * (i % 3) + 4, y = 31 * Math.floor(i % 9 / 3) + 2;
    cells.push(tag("rect", {x, y, width: 30, height: 30, rx: 3, class: cube[i] < 0 ? "below" : "above",
                            "fill-opacity": (0.08 + 0.8 * (sizes[i] - least) / span).toFixed(2)}),
               tag("text", {x: x + 15, y: y + 19, class: "cell"}, fixed(cube[i], Math.abs(cube[i]) < 10 ? 2 : 1)));
    if (i === 13) cells.push(tag("rect", {x, y, width: 30, height: 30, rx: 3, class: "centre"}));
    if (i % 9 === 0) cells.push(tag("text", {x: x + 46, y: 112, class: "label"}, `layer ${layer + plane - 1}`));
  }
  const rows = Array.from({length: 3}, (_, k) => [...row(cube, k, 9)].map((v) => v.toFixed(2)).join(" "));
  return svg(310, 118, `27 differences of Gaussians in grey levels, by layer: ${rows.join("; ")}`, ...cells) +
    `<p class="note">D in grey levels at its 27 pixels, the middle one framed.</p>`;
}

// A value against its threshold on one line.
function gauge(name, value, threshold, passes, asked) {
  const end = 1.25 * Math.max(threshold, Math.min(Math.abs(value) || 0, 4 * threshold));
  const length = Math.min(Math.max(value, 0) / end, 1) || 0, at = 300 * threshold / end;
  return `<div class="gauge ${passes ? "pass" : "fail"}">
    <p><span>${name}</span> <strong>${short(value)}</strong>
    <span>asked ${asked} ${short(threshold)}</span> <em>${passes ? "✓" : "✗"}</em></p>` +
    svg(300, 12, `${name} ${short(value)}, asked ${asked} ${short(threshold)}: ${passes ? "passed" : "missed"}`,
        tag("rect", {x: 0, y: 3, width: 300, height: 6, rx: 3, class: "track"}),
        tag("rect", {x: 0, y: 3, width: 300 * length, height: 6, rx: 3, class: "level"}),
        tag("path", {d: `M${at} 0V12`, class: "limit"})) + "</div>";
}

// The 36 bins over clockwise angles, the share that a peak must reach, and the peaks.
function histogramPanel(histogram, theta, peak) {
  const n = histogram.length, top = Math.max(...histogram) || 1, width = 324 / n, marks = [];
  const height = (v) => 136 * v / top, angle = (k) => (360 - 360 * k / n) % 360;
  const peaks = [];
  histogram.forEach((v, k) => {
    const isPeak = v > histogram.at(k - 1) && v > histogram[(k + 1) % n] && v >= f32(f32(top) * f32(peak));
    const a = angle(k), x = 12 + a;
    if (isPeak) peaks.push(a);
    marks.push(tag("rect", {x: x - width / 2, y: 162 - height(v), width, height: height(v), rx: 1.5,
                            fill: hue(a, isPeak ? 1 : 0.55), class: isPeak ? "peak" : ""}));
    if (isPeak) marks.push(tag("path", {d: `M${x} ${154 - height(v)}l-4-7h8Z`, class: "pointer"}));
  });
  const highest = (from, to) => Math.max(...histogram.filter((_, k) => from <= angle(k) && angle(k) <= to));
  const free = highest(250, 360) > highest(0, 110) ? {x: 8, class: "label start"} : {x: 376, class: "label end"};
  const line = 162 - 136 * peak, turn = degrees(theta);
  const axis = [0, 90, 180, 270, 360].map((a) => tag("text", {x: 12 + a, y: 178, class: "label"}, `${a}°`));
  const near = peaks.map((a) => `${short(a)} degrees`).join(", ");
  return svg(384, 198, `histogram of gradient angles, ${n} bins; peaks near ${near}`,
             ...marks, tag("path", {d: `M4 ${line}H376`, class: "dashed"}),
             tag("text", {...free, y: line - 3}, `${short(peak)} of the highest`),
             tag("path", {d: `M${12 + turn} 162v6`, class: "theta"}), ...axis,
             tag("text", {x: 192, y: 194, class: "label"}, `clockwise from →; this keypoint: θ = ${turn.toFixed(2)}°`));
}

// Upright: the level, and at each pixel its gradient as it votes, weighted by the Gaussian.
function windowPanel(canvas, levels, width, height, centre, spread) {
  const pen = context(canvas, width, height);
  pen.imageSmoothingEnabled = false;
  pen.globalAlpha = 0.45; pen.drawImage(greys(levels, width, height), 0, 0); pen.globalAlpha = 1;
  const votes = [];
  for (let y = 1; y < height - 1; y++) for (let x = 1; x < width - 1; x++) {
    const at = y * width + x, gx = levels[at + 1] - levels[at - 1], gy = levels[at + width] - levels[at - width];
    const weight = Math.exp(-((x - centre.x) ** 2 + (y - centre.y) ** 2) / (2 * spread ** 2));
    votes.push({x: x + 0.5, y: y + 0.5, gx: gx * weight, gy: gy * weight});
  }
  const most = Math.max(...votes.map((v) => Math.hypot(v.gx, v.gy))) || 1;
  for (const {x, y, gx, gy} of votes) {
    const length = Math.hypot(gx, gy) / most, scale = 1.35 * Math.sqrt(length) / (Math.hypot(gx, gy) || 1);
    if (length < 0.004) continue;
    pen.strokeStyle = hue(degrees(Math.atan2(gy, gx)) + 360);
    pen.lineWidth = 0.1 + 0.16 * length;
    pen.beginPath(); pen.moveTo(x - gx * scale / 3, y - gy * scale / 3);
    pen.lineTo(x + gx * scale * 2 / 3, y + gy * scale * 2 / 3); pen.stroke();
    pen.fillStyle = pen.strokeStyle;
    pen.beginPath(); pen.arc(x + gx * scale * 2 / 3, y + gy * scale * 2 / 3, 0.09 + 0.1 * length, 0, 7); pen.fill();
  }
  pen.strokeStyle = "rgb(255 255 255 / .8)"; pen.lineWidth = 0.12; pen.setLineDash([0.5, 0.4]);
  pen.beginPath(); pen.arc(centre.x + 0.5, centre.y + 0.5, spread, 0, 7); pen.stroke(); pen.setLineDash([]);
}

// Turned to θ: the samples, and the cells of the descriptor.
function patchPanel(canvas, patch, cells) {
  const n = 4 * cells, pen = context(canvas, n, n);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(greys(patch, n, n), 0, 0);
  pen.strokeStyle = "rgb(255 255 255 / .6)"; pen.lineWidth = 0.06;
  for (let k = 4; k < n; k += 4) {
    pen.beginPath(); pen.moveTo(k, 0); pen.lineTo(k, n); pen.moveTo(0, k); pen.lineTo(n, k); pen.stroke();
  }
  pen.strokeStyle = "#ff6a2b"; pen.lineWidth = 0.22; pen.lineCap = "round";
  pen.beginPath(); pen.moveTo(n / 2, n / 2); pen.lineTo(n - 1, n / 2);
  pen.moveTo(n - 2, n / 2 - 0.8); pen.lineTo(n - 1, n / 2); pen.lineTo(n - 2, n / 2 + 0.8); pen.stroke();
}

// Stars of rays, one a cell, `most` reaching its edge; a ring marks the clip if there is one, `over` are beyond it.
function starsPanel(values, cells, bins, most, clip, over, label) {
  const rays = [], size = 40, scale = 0.5 * size / most;
  for (let cell = 0; cell < cells * cells; cell++) {
    const x = size * (cell % cells + 0.5), y = size * (Math.floor(cell / cells) + 0.5);
    const corner = {x: x - size / 2 + 0.5, y: y - size / 2 + 0.5};
    rays.push(tag("rect", {...corner, width: size - 1, height: size - 1, class: "box"}));
    if (clip) rays.push(tag("circle", {cx: x, cy: y, r: clip * scale, class: "ring"}));
    for (let k = 0; k < bins; k++) {
      const v = values[cell * bins + k], a = -2 * Math.PI * k / bins;
      if (v > 0) rays.push(tag("path", {class: over.has(cell * bins + k) ? "ray over" : "ray",
        d: `M${x} ${y}l${(v * scale * Math.cos(a)).toFixed(2)} ${(v * scale * Math.sin(a)).toFixed(2)}`}));
    }
  }
  return svg(size * cells, size * cells, label, ...rays);
}
