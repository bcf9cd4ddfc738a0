// What becomes of every candidate at given thresholds: the tests of pysift/refine.py, orientation.py and selection.py,
// in their order, on the numbers that Python recorded.  float32 as there.

const f32 = Math.fround;
const KEPT = 0, LOW_CONTRAST = 4, EDGE = 5, NO_ORIENTATION = 6, DUPLICATE = 7, NOT_STRONGEST = 8, NO_CANDIDATE = 255;

// tr²/det that an edge reaches: (r + 1)² / r
function edgeLimit(r) {
  const next = f32(f32(r) + 1);
  return f32(f32(next * next) / f32(r));
}

// Least |D| of a candidate, in grey levels: SIFTParams.candidate_threshold
function candidateThreshold(params, contrast) {
  const levels = params.prefilter * contrast / params.n_octave_layers * 255;
  return f32(params.prefilter_floor ? Math.floor(levels) : levels);
}

// Returns {step, shown}: for each candidate an index into STEPS or NO_CANDIDATE, for each keypoint whether it stands.
function judge(data, params, at) {
  const n = data.start.length, step = new Uint8Array(n), shown = new Uint8Array(data.x.length);
  const least = candidateThreshold(params, at.contrast), contrast = f32(at.contrast), limit = edgeLimit(at.edge);
  const keeper = new Map();                                         // group → the first candidate of it that passes
  for (let i = 0; i < n; i++) {
    if (!(Math.abs(data.start[i]) > least)) step[i] = NO_CANDIDATE;
    else if (data.fate[i]) step[i] = data.fate[i];
    else if (data.contrast[i] < contrast) step[i] = LOW_CONTRAST;
    else if (!(data.ratio[i] > 0 && data.ratio[i] < limit)) step[i] = EDGE;
    else if (keeper.has(data.group[i])) step[i] = DUPLICATE;
    else keeper.set(data.group[i], i);
  }
  const oriented = pick(data, shown, keeper, (p) => data.height[p] >= f32(data.highest[p] * f32(at.peak)));
  for (let i = 0; i < n; i++)
    if ((step[i] === KEPT || step[i] === DUPLICATE) && !oriented.has(data.group[i])) step[i] = NO_ORIENTATION;
  keepStrongest(data, params.nfeatures, shown, step, keeper);
  return {step, shown};
}

// Show the keypoints of kept groups that pass a test; return the groups that have one.
function pick(data, shown, keeper, passes) {
  const groups = new Set();
  for (let p = 0; p < shown.length; p++) {
    const group = data.group[data.source[p]];
    shown[p] = keeper.has(group) && passes(p) ? 1 : 0;
    if (shown[p]) groups.add(group);
  }
  return groups;
}

function keepStrongest(data, count, shown, step, keeper) {
  const strengths = data.response.filter((_, p) => shown[p]).sort();
  if (!count || strengths.length <= count) return;
  const cut = strengths[strengths.length - count];
  const before = new Set(data.source.filter((_, p) => shown[p]));
  const groups = pick(data, shown, keeper, (p) => shown[p] && data.response[p] >= cut);
  for (const c of before) {
    const group = data.group[c];
    if (!groups.has(group)) step[keeper.get(group)] = NOT_STRONGEST;
  }
}

// The value that the verdict on a candidate rests on, what it is compared with, and a sentence that says so.
function reason(data, params, at, step, c) {
  const offsets = row(data.delta, data.pathStart[c + 1] - 1, 3);
  const largest = Math.max(...offsets.map(Math.abs)), accept = f32(params.accept_offset);
  const far = {value: largest, threshold: accept};
  const said = `largest |δ| = ${short(largest)}, asked < ${short(accept)}`;
  switch (step) {
    case 1: return {...far, text: `${said}; the pixel it named is outside`};
    case 2: return {...far, text: `${said}; no quadratic fits here`};
    case 3: return {...far, text: `${said}; still so after ${params.max_steps} steps`};
    case LOW_CONTRAST: return {value: data.contrast[c], threshold: f32(at.contrast),
      text: `S·|D(p + δ)| = ${short(data.contrast[c])}, asked ≥ ${short(at.contrast)}`};
    case EDGE: return {value: data.ratio[c], threshold: edgeLimit(at.edge),
      text: `tr²/det of the Hessian = ${short(data.ratio[c])}, asked > 0 and < ${short(edgeLimit(at.edge))}`};
    case NO_CANDIDATE: {
      const least = candidateThreshold(params, at.contrast);
      return {value: Math.abs(data.start[c]), threshold: least,
        text: `|D| = ${short(Math.abs(data.start[c]))} grey levels, asked > ${short(least)}: not even a candidate`};
    }
    case NO_ORIENTATION: return {text: "no peak of its histogram stands above both neighbours and is high enough"};
    case DUPLICATE: return {text: "another candidate moved to the same pixel and stands for both"};
    case NOT_STRONGEST: return {text: `${params.nfeatures} keypoints are asked for, and as many are stronger`};
    default: return {text: "passed every test"};
  }
}

// A number to four digits, as short as it goes.
function short(v) {
  if (!Number.isFinite(v)) return Number.isNaN(v) ? "—" : v > 0 ? "∞" : "−∞";
  return String(+v.toPrecision(4)).replace("-", "−");
}
