// Fill the panels with the story of the picked keypoint or candidate.

const panel = (id) => document.querySelector(`#${id} .body`);
const KEYPOINT_PANELS = ["window", "orientation", "patch", "descriptor", "matches", "numbers"];

function tell(model, image, other) {
  const {picked, data} = model;
  if (!picked) return;
  const c = picked.kind === "kp" ? data.source[picked.i] : picked.i;
  const step = model.verdict.step[c], why = reason(data, model.params, model.at, step, c);
  picked.kind === "kp" ? tellKeypoint(model, picked.i) : tellCandidate(model, c, step, why);
  panel("extremum").innerHTML = cubePanel(row(data.cube, c, 27), data.end[3 * c]);
  panel("refinement").innerHTML = refinement(model, c);
  const f = picked.kind === "kp" ? model.fullOf.get(picked.i) : undefined;
  for (const id of KEYPOINT_PANELS) document.getElementById(id).hidden = f === undefined;
  document.getElementById("missing").hidden = f !== undefined;
  if (f === undefined) return leaveOut(model, picked);
  tellGradients(model, picked.i, f, c);
  tellDescriptor(model, picked.i, f);
  tellMatches(model, picked.i, image, other);
  panel("numbers").innerHTML = numbers(model, picked.i, f, c);
}

function summary(title, verdict, failed, pairs) {
  const card = document.getElementById("summary");
  card.querySelector("h2").textContent = title;
  card.querySelector(".verdict").textContent = verdict;
  card.classList.toggle("fail", failed);
  card.querySelector("dl").innerHTML = Object.entries(pairs).map(([name, [value, unit]]) =>
    `<div><dt>${name}</dt><dd data-name="${escaped(name)}">${value}<small> ${unit}</small></dd></div>`).join("");
}

function tellKeypoint(model, p) {
  const {data} = model, added = p >= model.keypoints, gone = !model.verdict.shown[p];
  const verdict = gone ? "Not a keypoint at these thresholds." : added ? "A keypoint only at these thresholds." : "";
  summary(added ? `Keypoint added by lower thresholds` : `Keypoint ${p}`, verdict, gone, {
    x: [fixed(data.x[p], 2), "px"], y: [fixed(data.y[p], 2), "px"], σ: [fixed(data.sigma[p], 3), "px"],
    θ: [fixed(degrees(data.theta[p]), 2), "°"], response: [fixed(data.response[p], 4), ""],
    octave: [fixed(data.octave[data.source[p]], 0), ""], layer: [data.at[p], ""], offset: [fixed(data.offset[p], 3), ""]});
}

function tellCandidate(model, c, step, why) {
  const {data} = model, [x, y] = model.placeOf(c);
  const name = step === NO_CANDIDATE ? "below the first threshold" : model.steps[step];
  summary(step === KEPT ? `Candidate ${c}, kept` : `Candidate ${c}: ${name}`, why.text, step !== KEPT,
          {x: [short(x), "px"], y: [short(y), "px"], octave: [fixed(data.octave[c], 0), ""], layer: [data.layer[c], ""],
           row: [data.row[c], ""], column: [data.col[c], ""]});
}

// What is not there, and why.
function leaveOut(model, picked) {
  const text = picked.kind === "c" ? "Orientation and descriptor: a dropped candidate never gets that far."
    : picked.i >= model.keypoints ? "Its orientation and descriptor are not recorded: that is done for keypoints at the thresholds of the trace."
    : `Its orientation and descriptor are not recorded: that is done for the ${model.data.full.length} strongest keypoints.`;
  document.querySelector("#missing p").textContent = text;
}

function refinement(model, c) {
  const {data, params, at} = model, steps = [];
  for (let k = data.pathStart[c]; k < data.pathStart[c + 1]; k++) {
    const [layer, y, x] = row(data.path, k, 3), [dx, dy, ds] = row(data.delta, k, 3);
    const digits = Math.max(Math.abs(dx), Math.abs(dy), Math.abs(ds)) < 10 ? (v) => fixed(v, 3) : short;
    steps.push(`<tr><td>${steps.length + 1}</td><td>${layer}</td><td>${y}</td><td>${x}</td>` +
               [dx, dy, ds].map((v) => `<td class="${Math.abs(v) < params.accept_offset ? "" : "far"}">${digits(v)}</td>`)
                 .join("") + "</tr>");
  }
  const table = `<div class="scroll"><table><thead><tr><th>#</th><th>layer</th><th>row</th><th>col</th><th>δx</th>
    <th>δy</th><th>δs</th></tr></thead><tbody>${steps.join("")}</tbody></table></div>`;
  if (Number.isNaN(data.contrast[c])) return `${table}<p class="note">It settled nowhere: every |δ| must be below
    ${short(params.accept_offset)}.</p>`;
  const ratio = data.ratio[c], limit = edgeLimit(at.edge);
  return table + gauge("contrast", data.contrast[c], f32(at.contrast), data.contrast[c] >= f32(at.contrast), "≥") +
    gauge("edge, tr²/det", ratio, limit, ratio > 0 && ratio < limit, "<");
}

function tellGradients(model, p, f, c) {
  const {data, params} = model, [w, h, left, top] = row(data.frame, f, 4), [low, high] = row(data.span, f, 2);
  const levels = Float32Array.from(row(data.window.subarray(data.windowStart[f]), 0, w * h),
                                   (v) => low + v * (high - low) / 255);
  const centre = {x: data.end[3 * c + 2] - left, y: data.end[3 * c + 1] - top};
  const spread = params.ori_sigma * data.sigma[p] / 2 ** data.octave[c];
  panel("window").innerHTML = `<canvas role="img" aria-label="gradients of ${w} by ${h} pixels, weighted"></canvas>
    <p class="note">${w} × ${h} px, octave ${data.octave[c]}; ring: ${short(params.ori_sigma)}σ</p>`;
  windowPanel(panel("window").querySelector("canvas"), levels, w, h, centre, spread);
  panel("orientation").innerHTML = histogramPanel(row(data.histogram, f, params.n_ori_bins), data.theta[p], model.at.peak);
  const n = 4 * params.n_cells;
  panel("patch").innerHTML = `<canvas role="img" aria-label="${n} by ${n} samples, turned so that θ points right"></canvas>
    <p class="note">${n} × ${n}, ${fixed(params.cell_width * data.sigma[p] / 4, 2)} px apart; θ →</p>`;
  patchPanel(panel("patch").querySelector("canvas"), row(data.patch, f, n * n), params.n_cells);
}

// Entries before clipping and after, both of unit norm.
function descriptorOf(model, f) {
  const {data, params} = model, d = params.n_cells ** 2 * params.n_desc_bins;
  const scale = params.descriptor === "uint8" ? params.desc_scale : 1;
  return {before: Array.from(row(data.before, f, d), (v) => v / 4095),
          after: Array.from(row(data.descriptor, f, d), (v) => v / scale), scale};
}

function tellDescriptor(model, p, f) {
  const {params} = model, {before, after} = descriptorOf(model, f), clip = params.desc_clip;
  const most = Math.max(...before, ...after, clip * 1.2), cut = model.data.clipped[f];
  const largest = [...before.keys()].sort((i, j) => before[j] - before[i]).slice(0, cut);
  const stars = (values, limit, over, label) =>
    `<figure>${starsPanel(values, params.n_cells, params.n_desc_bins, most, limit, new Set(over), label)}<figcaption>${label}</figcaption></figure>`;
  panel("descriptor").innerHTML = `<div class="pair" data-clipped="${cut}">${stars(before, clip, largest, `before: ${cut} above ${short(clip)}`)}` +
    `${stars(after, Infinity, [], "clipped, norm 1 again")}</div>`;
}

function tellMatches(model, p, image, other) {
  const near = model.nearest(p), body = panel("matches"), {data} = model;
  if (!near.length) { body.innerHTML = `<p class="note empty">There is no other descriptor.</p>`; return; }
  const k = other ? {x: data.otherX, y: data.otherY, sigma: data.otherSigma, theta: data.otherTheta} : data;
  const ratio = near.length > 1 && near[1].distance > 0 ? near[0].distance / near[1].distance : near.length > 1 ? 1 : 0;
  body.innerHTML = `<div class="near"><figure><canvas></canvas><figcaption>this one</figcaption></figure>` +
    near.map(({i, distance}) => `<figure><canvas></canvas><figcaption>${other ? `keypoint ${i} there`
      : `<a href="#kp=${i}">keypoint ${i}</a>`}<br><strong>${short(distance)}</strong></figcaption></figure>`).join("") +
    `</div><p class="note">Distance of the descriptors in ${other ? escaped(model.other) : "this image"}; first over second =
     <strong>${ratio.toFixed(3)}</strong>: ${ratio < 0.8 ? "below 0.8, so it stands out" : "not below 0.8, so ambiguous"}
     [Lowe §7.1].</p>`;
  const canvases = body.querySelectorAll("canvas");
  crop(canvases[0], image, data, p, model.params);
  near.forEach(({i}, at) => crop(canvases[at + 1], other ?? image, k, i, model.params));
}

// The neighbourhood of keypoint i cut out of a picture, turned to θ.
function crop(canvas, picture, k, i, params) {
  const side = 1.25 * params.n_cells * params.cell_width * k.sigma[i], pen = context(canvas, 100, 100);
  pen.translate(50, 50); pen.scale(100 / side, 100 / side); pen.rotate(-k.theta[i]);
  pen.translate(-k.x[i] - 0.5, -k.y[i] - 0.5);
  pen.drawImage(picture, 0, 0);
}

// Everything as tables, for those who read rather than look.
function numbers(model, p, f, c) {
  const {data, params} = model, {scale} = descriptorOf(model, f), bins = params.n_desc_bins;
  const table = (caption, head, rows) => `<table><caption>${caption}</caption><thead><tr>${head.map((t) => `<th>${t}</th>`)
    .join("")}</tr></thead><tbody>${rows.map((r) => `<tr>${r.map((v) => `<td>${v}</td>`).join("")}</tr>`).join("")}</tbody></table>`;
  const cube = Array.from({length: 9}, (_, k) => [data.end[3 * c] + Math.floor(k / 3) - 1, k % 3 - 1,
                                                  ...Array.from(row(data.cube, 9 * c + k, 3), (v) => fixed(v, 4))]);
  const width = bins * params.n_cells ** 2, cells = (values, show) => Array.from({length: params.n_cells ** 2}, (_, k) =>
    [Math.floor(k / params.n_cells), k % params.n_cells, ...Array.from(row(values, k, bins), show)]);
  const head = ["row", "column", ...Array.from({length: bins}, (_, k) => `${short(360 / bins * k)}°`)];
  return table("D [grey levels]", ["layer", "dy", "dx −1", "0", "+1"], cube) +
    table("histogram of angles", ["clockwise", "weight"], Array.from(row(data.histogram, f, params.n_ori_bins),
      (v, k) => [`${short((360 - 360 * k / params.n_ori_bins) % 360)}°`, short(v)])) +
    table("descriptor before clipping, of unit norm", head, cells(row(data.before, f, width), (v) => (v / 4095).toFixed(4))) +
    table(`descriptor${scale === 1 ? "" : `, times ${scale}`}`, head, cells(row(data.descriptor, f, width), short));
}
