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
  byId("count").textContent = at ? `${at} of ${order.length}` : keypoints(order.length);
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
  if (model.picked) refresh();
  else choose(model.neighbour(1, true));               // the strongest, if now there is one
}

// What the numbers are, and how far they go.
function notes() {
  const full = model.data.full.length, most = full < about.keypoints ? `the ${full} strongest` : "all";
  const reach = (field) => about.ranges[field].map(short).join(" to ");
  return `Made by siftgrad ${about.version}. Positions, D, δ, contrast, edge ratio and histogram are pysift.trace's ` +
    `float32, the descriptor its own type. Quantised: the picture (JPEG), the gradient window (255ths of its span), ` +
    `the turned patch (whole grey levels), the descriptor before clipping (4095ths of its norm). Panels 3 to 7 are ` +
    `there for ${most} of the ${keypoints(about.keypoints)}. Sliders reach contrast ${reach("contrast_threshold")}, ` +
    `edge ${reach("edge_threshold")}, peak ${reach("ori_peak")}.`;
}

function showDropped(on) {
  model.showDropped = byId("dropped").checked = on;
  document.body.dataset.dropped = on;
  refresh();
}

byId("what").textContent = `${about.name} · ${about.width} × ${about.height} px · ${keypoints(about.keypoints)}` +
  (about.other ? ` · matched with ${about.other}` : "");
byId("picture").setAttribute("aria-label", `${about.name} with ${keypoints(about.keypoints)}; arrow keys pick one`);
byId("notes").textContent = notes();

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
window.addEventListener("hashchange", () => {
  const found = fromHash(model);
  if (found) choose(found, true);
});
new ResizeObserver(() => tell(model, image, other)).observe(byId("story"));

const linked = fromHash(model);
if (linked?.kind === "c") model.showDropped = byId("dropped").checked = true;
rejudge(model.recorded);
choose(linked ?? model.neighbour(1, true), linked !== null);
window.explorer = {model, picture, reason};          // for the console, and for the tests
document.body.dataset.ready = "true";
