// Sliders, the switch of dropped candidates, mouse, keyboard and the address.

const SLIDERS = [["contrast", "contrast_threshold", "Contrast", "S·|D| ≥ C"],
                 ["edge", "edge_threshold", "Edge", "ratio of curvatures < r"],
                 ["peak", "ori_peak", "Peak", "share of the highest bin"]];

// One step of a slider: a power of ten, at least a hundred of them from end to end.
function stepOf(low, high) {
  return 10 ** Math.floor(Math.log10((high - low) / 100));
}

function addSliders(model, changed) {
  const place = document.getElementById("sliders");
  for (const [key, field, name, meaning] of SLIDERS) {
    const [low, high] = model.ranges[field], label = document.createElement("label");
    label.innerHTML = `<span>${name} <small>${meaning}</small></span><output></output>
      <input type="range" id="slider-${key}" aria-label="${name} threshold: ${meaning}">`;
    const input = label.querySelector("input");
    Object.assign(input, {min: low, max: high, step: stepOf(low, high)});
    input.addEventListener("input", () => changed(key, Number(input.value)));
    place.append(label);
  }
}

// Show the thresholds and how many keypoints stand at them.
function showThresholds(model) {
  for (const [key] of SLIDERS) {
    const input = document.getElementById(`slider-${key}`);
    if (Math.abs(Number(input.value) - model.at[key]) > input.step / 2) input.value = model.at[key];
    input.setAttribute("aria-valuetext", short(model.at[key]));
    input.closest("label").querySelector("output").textContent = short(model.at[key]);
  }
  const now = model.order.length, lost = model.keypoints - model.order.filter((p) => p < model.keypoints).length;
  const added = now - model.keypoints + lost;
  document.getElementById("effect").textContent = keypoints(now) +
    (added || lost ? `: ${added} added, ${lost} lost` : ", as recorded");
  document.body.dataset.shown = now;
  showCounts(model.counts(), model.steps);
}

// The mark of each step with how many candidates it dropped; the rare steps only where they dropped some.
function showCounts(counts, steps) {
  const listed = [...MARKS.keys()].filter((step) => MARKS[step] && (counts[step] || step < NO_ORIENTATION));
  const drawn = ({path, colour}) => tag("path", {d: path, stroke: colour});
  document.getElementById("legend").innerHTML = listed.map((step) =>
    `<li><svg viewBox="-6 -6 12 12" aria-hidden="true">${drawn(MARKS[step])}</svg>
     ${steps[step]} <b data-step="${step}">${counts[step]}</b></li>`).join("");
}

// #kp=37 is keypoint 37, #c=12 candidate 12; null for anything else.
function fromHash(model) {
  const found = /^#(kp|c)=(\d+)$/.exec(location.hash), i = Number(found?.[2]);
  const fits = found && i < (found[1] === "kp" ? model.data.x.length : model.data.start.length);
  return fits ? {kind: found[1], i} : null;
}

let waiting = 0;                          // the address follows once the pointer rests: browsers count its changes
function toHash(picked) {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    const hash = picked ? `#${picked.kind}=${picked.i}` : "#";
    if (location.hash !== hash) try { history.replaceState(null, "", hash); } catch { /* a page without an address */ }
  }, 250);
}

// Call act(by, byStrength) for arrow keys, press(letter) for the others, unless a slider has them.
function listenToKeys(act, press) {
  const moves = {ArrowLeft: [-1, false], ArrowRight: [1, false], ArrowUp: [-1, true], ArrowDown: [1, true]};
  document.addEventListener("keydown", (event) => {
    const taken = event.target.matches("input[type=range], summary") || event.ctrlKey || event.metaKey || event.altKey;
    if (taken) return;
    if (event.key in moves) {
      if (event.target.closest("#story") && moves[event.key][1]) return;               // there they scroll
      act(...moves[event.key]);
    } else if (!press(event.key)) return;
    event.preventDefault();
  });
}
