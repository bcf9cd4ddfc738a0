// Fill the panels with the story of the picked keypoint or candidate.

const panel = (id) => document.querySelector(`#${id} .body`);
const CANDIDATE_PANELS = ["extremum", "refinement"];
const KEYPOINT_PANELS = ["window", "orientation", "patch", "descriptor", "matches", "numbers"];

function show(ids, on) {
  for (const id of ids) document.getElementById(id).hidden = !on;
}

// c is a row of the candidates, p of the keypoints, f of the keypoints that are recorded in full.
function tell(model, image, other) {
  const {picked, data} = model;
  const p = picked?.kind === "kp" ? picked.i : undefined, f = model.fullOf.get(p);
  show(CANDIDATE_PANELS, picked !== null);
  show(KEYPOINT_PANELS, f !== undefined);
  show(["missing"], picked !== null && f === undefined);
  if (picked === null) return tellNothing(model);
  const c = p === undefined ? picked.i : data.source[p];
  if (p === undefined) tellCandidate(model, c);
  else tellKeypoint(model, p);
  panel("extremum").innerHTML = cubePanel(row(data.cube, c, 27), data.end[3 * c]);
  panel("refinement").innerHTML = refinement(model, c);
  if (f === undefined) return leaveOut(model, p);
  tellGradients(model, p, f, c);
  tellDescriptor(model, f);
  tellMatches(model, p, image, other);
  panel("numbers").innerHTML = numbers(model, f, c);
}

function summary(title, verdict, failed, pairs) {
  const card = document.getElementById("summary");
  card.querySelector("h2").textContent = title;
  card.querySelector(".verdict").textContent = verdict;
  card.classList.toggle("fail", failed);
  card.querySelector("dl").innerHTML = Object.entries(pairs).map(([name, [value, unit]]) =>
    `<div><dt>${name}</dt><dd data-name="${escaped(name)}">${value}<small> ${unit}</small></dd></div>`).join("");
}

function tellNothing(model) {
  const dropped = model.counts().reduce((sum, n) => sum + n);
  summary("No keypoint", dropped
    ? "Every candidate was dropped. The switch shows them with the reasons; lower thresholds let some of them through."
    : "No pixel is larger or smaller than its 26 neighbours by enough to be a candidate.", true, {});
}

function tellKeypoint(model, p) {
  const {data} = model, added = p >= model.keypoints, gone = !model.verdict.shown[p];
  const verdict = gone ? "Not a keypoint at these thresholds." : added ? "A keypoint only at these thresholds." : "";
  summary(added ? "Keypoint added by other thresholds" : `Keypoint ${p}`, verdict, gone, {
    x: [fixed(data.x[p], 2), "px"], y: [fixed(data.y[p], 2), "px"], σ: [fixed(data.sigma[p], 3), "px"],
    θ: [fixed(degrees(data.theta[p]), 2), "°"], response: [fixed(data.response[p], 4), ""],
    octave: [fixed(data.octave[data.source[p]], 0), ""], layer: [data.at[p], ""],
    offset: [fixed(data.offset[p], 3), ""]});
}

function tellCandidate(model, c) {
  const {data} = model, [x, y] = model.placeOf(c), step = model.verdict.step[c];
  const why = reason(data, model.params, model.at, step, c);
  const name = step === NO_CANDIDATE ? "below the first threshold" : model.steps[step];
  summary(step === KEPT ? `Candidate ${c}, kept` : `Candidate ${c}: ${name}`, why.text, step !== KEPT,
          {x: [short(x), "px"], y: [short(y), "px"], octave: [fixed(data.octave[c], 0), ""], layer: [data.layer[c], ""],
           row: [data.row[c], ""], column: [data.col[c], ""]});
}

// What is not there, and why.
function leaveOut(model, p) {
  let why = `that is done for the ${model.data.full.length} strongest keypoints`;
  if (p === undefined) why = "a dropped candidate never gets that far";
  else if (p >= model.keypoints) why = "that is done for keypoints at the thresholds of the trace";
  document.querySelector("#missing p").textContent = `Its orientation and descriptor are not recorded: ${why}.`;
}

function refinement(model, c) {
  const {data, params, at} = model, steps = [];
  const offset = (v, digits) => `<td class="${Math.abs(v) < params.accept_offset ? "" : "far"}">${digits(v)}</td>`;
  for (let k = data.pathStart[c]; k < data.pathStart[c + 1]; k++) {
    const delta = [...row(data.delta, k, 3)], pixel = [...row(data.path, k, 3)];
    const digits = Math.max(...delta.map(Math.abs)) < 10 ? (v) => fixed(v, 3) : short;
    steps.push(`<tr><td>${steps.length + 1}</td>${pixel.map((v) => `<td>${v}</td>`).join("")}` +
               `${delta.map((v) => offset(v, digits)).join("")}</tr>`);
  }
  const table = `<div class="scroll"><table><thead><tr><th>#</th><th>layer</th><th>row</th><th>col</th><th>δx</th>
    <th>δy</th><th>δs</th></tr></thead><tbody>${steps.join("")}</tbody></table></div>`;
  if (Number.isNaN(data.contrast[c]))
    return `${table}<p class="note">It settled nowhere: every |δ| must be below ${short(params.accept_offset)}.</p>`;
  const contrast = data.contrast[c], least = f32(at.contrast), ratio = data.ratio[c], limit = edgeLimit(at.edge);
  return table + gauge("contrast", contrast, least, contrast >= least, "≥") +
    gauge("edge, tr²/det", ratio, limit, ratio > 0 && ratio < limit, "<");
}

function tellGradients(model, p, f, c) {
  const {data, params} = model, octave = data.octave[c], spacing = params.cell_width * data.sigma[p] / 4;
  const [w, h, left, top] = row(data.frame, f, 4), [low, high] = row(data.span, f, 2);
  const levels = Float32Array.from(row(data.window.subarray(data.windowStart[f]), 0, w * h),
                                   (v) => low + v * (high - low) / 255);
  const centre = {x: data.end[3 * c + 2] - left, y: data.end[3 * c + 1] - top};
  const spread = params.ori_sigma * data.sigma[p] / 2 ** octave;
  panel("window").innerHTML = `<canvas role="img" aria-label="gradients of ${w} by ${h} pixels, weighted"></canvas>
    <p class="note">${w} × ${h} px, octave ${fixed(octave, 0)}; ring: ${short(params.ori_sigma)}σ</p>`;
  windowPanel(panel("window").querySelector("canvas"), levels, w, h, centre, spread);
  const histogram = row(data.histogram, f, params.n_ori_bins);
  panel("orientation").innerHTML = histogramPanel(histogram, data.theta[p], model.at.peak);
  const n = 4 * params.n_cells;
  panel("patch").innerHTML = `
    <canvas role="img" aria-label="${n} by ${n} samples, turned so that θ points right"></canvas>
    <p class="note">${n} × ${n}, ${fixed(spacing, 2)} px apart; θ →</p>`;
  patchPanel(panel("patch").querySelector("canvas"), row(data.patch, f, n * n), params.n_cells);
}

// Entries before clipping and after, both of unit norm.
function descriptorOf(model, f) {
  const {data, params} = model, d = params.n_cells ** 2 * params.n_desc_bins;
  const scale = params.descriptor === "uint8" ? params.desc_scale : 1;
  return {before: Array.from(row(data.before, f, d), (v) => v / 4095),
          after: Array.from(row(data.descriptor, f, d), (v) => v / scale), scale};
}

function tellDescriptor(model, f) {
  const {params} = model, {before, after} = descriptorOf(model, f), clip = params.desc_clip;
  const most = Math.max(...before, ...after, clip * 1.2), cut = model.data.clipped[f];
  const largest = [...before.keys()].sort((i, j) => before[j] - before[i]).slice(0, cut);
  const stars = (values, ring, over, label) => `<figure>` +
    starsPanel(values, params.n_cells, params.n_desc_bins, most, ring, new Set(over), label) +
    `<figcaption>${label}</figcaption></figure>`;
  panel("descriptor").innerHTML = `<div class="pair" data-clipped="${cut}">` +
    stars(before, clip, largest, `before: ${cut} above ${short(clip)}`) +
    stars(after, null, [], "clipped, norm 1 again") + "</div>";
}

function tellMatches(model, p, image, other) {
  const near = model.nearest(p), body = panel("matches"), {data} = model;
  const where = other ? escaped(model.other) : "this image";
  if (!near.length) {
    body.innerHTML = `<p class="note empty">There is no other descriptor in ${where}.</p>`;
    return;
  }
  const k = other ? {x: data.otherX, y: data.otherY, sigma: data.otherSigma, theta: data.otherTheta} : data;
  const name = (i) => other ? `keypoint ${i} there` : `<a href="#kp=${i}">keypoint ${i}</a>`;
  const figure = (caption) => `<figure><canvas></canvas><figcaption>${caption}</figcaption></figure>`;
  body.innerHTML = `<div class="near">${figure("this one")}` +
    near.map(({i, distance}) => figure(`${name(i)}<br><strong>${short(distance)}</strong>`)).join("") +
    `</div><p class="note">Distance of the descriptors in ${where}; ${secondBest(near)}</p>`;
  const canvases = body.querySelectorAll("canvas");
  crop(canvases[0], image, data, p, model.params);
  near.forEach(({i}, at) => crop(canvases[at + 1], other ?? image, k, i, model.params));
}

// What the ratio of the nearest to the second says.
function secondBest([first, second]) {
  if (!second) return "there is no second to compare it with.";
  const ratio = second.distance > 0 ? first.distance / second.distance : 1;
  const says = ratio < 0.8 ? "below 0.8, so it stands out" : "not below 0.8, so ambiguous";
  return `first over second = <strong>${ratio.toFixed(3)}</strong>: ${says} [Lowe §7.1].`;
}

// The neighbourhood of keypoint i cut out of a picture, turned to θ.
function crop(canvas, picture, k, i, params) {
  const side = 1.25 * params.n_cells * params.cell_width * k.sigma[i], pen = context(canvas, 100, 100);
  pen.translate(50, 50); pen.scale(100 / side, 100 / side); pen.rotate(-k.theta[i]);
  pen.translate(-k.x[i] - 0.5, -k.y[i] - 0.5);
  pen.drawImage(picture, 0, 0);
}

// Everything as tables, for those who read rather than look.
function numbers(model, f, c) {
  const {data, params} = model, {scale} = descriptorOf(model, f), bins = params.n_desc_bins, n = params.n_cells;
  const planes = Array.from({length: 9}, (_, k) => [data.end[3 * c] + Math.floor(k / 3) - 1, k % 3 - 1,
    ...Array.from(row(data.cube, 9 * c + k, 3), (v) => fixed(v, 4))]);
  const angles = Array.from(row(data.histogram, f, params.n_ori_bins), (v, k) =>
    [`${short((360 - 360 * k / params.n_ori_bins) % 360)}°`, short(v)]);
  const cells = (values, digits) => Array.from({length: n * n}, (_, k) =>
    [Math.floor(k / n), k % n, ...Array.from(row(values, k, bins), digits)]);
  const rays = ["row", "column", ...Array.from({length: bins}, (_, k) => `${short(360 / bins * k)}°`)];
  const before = row(data.before, f, bins * n * n), after = row(data.descriptor, f, bins * n * n);
  return table("D [grey levels]", ["layer", "dy", "dx −1", "0", "+1"], planes) +
    table("histogram of angles", ["clockwise", "weight"], angles) +
    table("descriptor before clipping, of unit norm", rays, cells(before, (v) => (v / 4095).toFixed(4))) +
    table(`descriptor${scale === 1 ? "" : `, times ${scale}`}`, rays, cells(after, short));
}

function table(caption, head, lines) {
  const line = (cells, name) => `<tr>${cells.map((cell) => `<${name}>${cell}</${name}>`).join("")}</tr>`;
  return `<table><caption>${caption}</caption><thead>${line(head, "th")}</thead>
    <tbody>${lines.map((cells) => line(cells, "td")).join("")}</tbody></table>`;
}
