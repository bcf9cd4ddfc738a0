// Start: unpack, judge, draw, listen.

const byId = (id) => document.getElementById(id);

async function load(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

const about = JSON.parse(byId("about").textContent);
const model = new Model(about, await unpack(about.arrays, byId("packed").textContent));
const image = await load(about.pictures.image), other = about.pictures.other ? await load(about.pictures.other) : null;
const picture = new Picture(byId("picture"), image, model);

function choose(picked, pinned = model.pinned) {
  model.picked = picked;
  model.pinned = pinned && picked !== null;
  Object.assign(document.body.dataset, {picked: picked ? `${picked.kind}=${picked.i}` : "", pinned: model.pinned});
  byId("pin").setAttribute("aria-pressed", model.pinned);
  byId("pin").textContent = model.pinned ? "pinned" : "pin";
  requestAnimationFrame(refresh);
  toHash(picked);
}

function refresh() {
  picture.draw();
  tell(model, image, other);
  const {picked, order} = model, at = picked?.kind === "kp" ? order.indexOf(picked.i) + 1 : 0;
  byId("count").textContent = at ? `${at} of ${order.length}` : `${order.length} keypoints`;
  announce();
  document.body.dataset.told = document.body.dataset.picked ?? "";
}

let speaking = 0;
function announce() {
  clearTimeout(speaking);
  speaking = setTimeout(() => {
    const card = byId("summary"), text = card.querySelector("h2").textContent;
    const pairs = [...card.querySelectorAll("dl > div")].map((pair) => pair.textContent);
    byId("said").textContent = `${text}. ${card.querySelector(".verdict").textContent} ${pairs.join(", ")}`;
  }, 400);
}

function rejudge(at) {
  model.judge(at);
  showThresholds(model);
  refresh();
}

function showDropped(on) {
  model.showDropped = byId("dropped").checked = on;
  document.body.dataset.dropped = on;
  refresh();
}

byId("what").textContent = `${about.name} · ${about.width} × ${about.height} px · ${about.keypoints} keypoints` +
  (about.other ? ` · matched with ${about.other}` : "");
byId("picture").setAttribute("aria-label", `${about.name} with ${about.keypoints} keypoints; arrow keys pick one`);
byId("notes").textContent = `Made by siftgrad ${about.version}. Positions, D, δ, contrast, edge ratio and histogram are ` +
  `pysift.trace's float32, the descriptor its own type. Quantised: the picture (JPEG), the gradient window (255ths of its ` +
  `span), the turned patch (whole grey levels), the descriptor before clipping (4095ths of its norm). In full: the ` +
  `${model.data.full.length} strongest keypoints. Sliders reach contrast ${about.ranges.contrast_threshold.map(short).join(" to ")}, ` +
  `edge ${about.ranges.edge_threshold.map(short).join(" to ")}, peak ${about.ranges.ori_peak.map(short).join(" to ")}.`;

addSliders(model, (key, value) => rejudge({...model.at, [key]: value}));
byId("reset").addEventListener("click", () => rejudge(model.recorded));
byId("dropped").addEventListener("change", (event) => showDropped(event.target.checked));
byId("pin").addEventListener("click", () => choose(model.picked, !model.pinned));
byId("previous").addEventListener("click", () => choose(model.neighbour(-1, false), true));
byId("next").addEventListener("click", () => choose(model.neighbour(1, false), true));
byId("picture").addEventListener("pointermove", (event) => {
  const found = model.pinned || event.pointerType === "touch" ? null : picture.at(event.clientX, event.clientY);
  if (found && (found.kind !== model.picked?.kind || found.i !== model.picked.i)) choose(found);
});
byId("picture").addEventListener("click", (event) => {
  const found = picture.at(event.clientX, event.clientY);
  choose(found ?? model.picked, found !== null);
});
listenToKeys((by, byStrength) => choose(model.neighbour(by, byStrength), true), (key) => {
  if (key === "Escape") choose(model.picked, false);
  else if (key === "d" || key === "D") showDropped(!model.showDropped);
  else return false;
  return true;
});
window.addEventListener("hashchange", () => { const found = fromHash(model); if (found) choose(found, true); });
new ResizeObserver(() => tell(model, image, other)).observe(byId("story"));

const linked = fromHash(model);
if (linked?.kind === "c") model.showDropped = byId("dropped").checked = true;
rejudge(model.recorded);
choose(linked ?? model.neighbour(1, true), linked !== null);
window.explorer = {model, picture, reason};          // for the console, and for the tests
document.body.dataset.ready = "true";
