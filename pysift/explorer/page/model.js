// What the page knows and what is picked: the recorded arrays, the thresholds of the sliders, the verdicts at them.

class Model {
  constructor(about, data) {
    Object.assign(this, about, {data, picked: null, pinned: false, showDropped: false});
    data.pathStart = starts(data.visited);
    data.windowStart = starts(Array.from(data.full, (_, f) => data.frame[4 * f] * data.frame[4 * f + 1]));
    this.fullOf = new Map(Array.from(data.full, (p, f) => [p, f]));
    this.recorded = {contrast: about.params.contrast_threshold, edge: about.params.edge_threshold,
                     peak: about.params.ori_peak};
    this.judge(this.recorded);
    this.usual = this.verdict;
  }

  judge(at) {
    this.at = {...at};
    this.verdict = judge(this.data, this.params, this.at);
    this.order = Array.from(this.data.x.keys()).filter((p) => this.verdict.shown[p])
      .sort((p, q) => this.data.x[p] - this.data.x[q] || p - q);
  }

  isDropped(c) {
    return this.verdict.step[c] !== KEPT && this.verdict.step[c] !== NO_CANDIDATE;
  }

  // Where a candidate was found, in pixels of the image.
  placeOf(c) {
    const pixel = 2 ** this.data.octave[c];
    return [this.data.col[c] * pixel, this.data.row[c] * pixel];
  }

  // How many candidates ended in each step, by index.
  counts() {
    const counts = new Array(this.steps.length).fill(0);
    for (const step of this.verdict.step) if (step !== NO_CANDIDATE) counts[step]++;
    return counts;
  }

  // The nearest descriptors of keypoint p, nearest first; null where it is not recorded in full.
  nearest(p) {
    const f = this.fullOf.get(p), width = this.data.near.length / this.data.full.length;
    if (f === undefined) return null;
    return Array.from(row(this.data.near, f, width), (i, k) => ({i, distance: this.data.distance[f * width + k]}));
  }

  // The keypoint `by` places further in the order of x, or of strength.
  neighbour(by, byStrength) {
    const order = byStrength ? this.order.toSorted((p, q) => this.data.response[q] - this.data.response[p] || p - q)
                             : this.order;
    if (!order.length) return null;
    const at = this.picked?.kind === "kp" ? order.indexOf(this.picked.i) : -1;
    const last = order.length - 1, next = at < 0 ? (by > 0 ? 0 : last) : (at + by + order.length) % order.length;
    return {kind: "kp", i: order[next]};
  }
}
