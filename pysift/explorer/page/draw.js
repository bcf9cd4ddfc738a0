// Small pieces that the panels are drawn of: SVG as text, which takes its colours from the style sheet, and canvases.

// svg(300, 200, "what it shows", …children)
function svg(width, height, label, ...children) {
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(label)}">${children.join("")}</svg>`;
}

function tag(name, attributes, text = "") {
  const list = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(value)}"`).join("");
  return `<${name}${list}>${escaped(text)}</${name}>`;
}

function escaped(text) {
  return String(text).replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

// The colour of a direction, the same in the window, the histogram and the picture.
function hue(degrees, alpha = 1) {
  return `oklch(0.7 0.17 ${(degrees + 30) % 360} / ${alpha})`;
}

const keypoints = (n) => `${n} keypoint${n === 1 ? "" : "s"}`;
const degrees = (radians) => radians * 180 / Math.PI;
const fixed = (value, digits) => value.toFixed(digits).replace("-", "−");

// Give a canvas the size of its box in pixels of the screen; returns its context, scaled to a width × height grid.
function context(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1, wide = canvas.clientWidth || width;
  canvas.width = Math.round(wide * ratio);
  canvas.height = Math.round(wide * ratio * height / width);
  const pen = canvas.getContext("2d");
  pen.setTransform(canvas.width / width, 0, 0, canvas.width / width, 0, 0);
  return pen;
}

// Levels as a picture of one pixel each, stretched from black to white.
function greys(levels, width, height) {
  const low = Math.min(...levels), span = Math.max(...levels) - low || 1;
  const small = new OffscreenCanvas(width, height), pen = small.getContext("2d");
  const pixels = pen.createImageData(width, height);
  levels.forEach((level, i) => pixels.data.set([0, 0, 0].fill(255 * (level - low) / span).concat(255), 4 * i));
  pen.putImageData(pixels, 0, 0);
  return small;
}

// The marks of what became of a candidate; by shape as well as by colour.  Index: see STEPS of pysift/tracing.py.
const MARKS = [null,
  {path: "M-4 0 4-4 4 4Z", colour: "#56b4e9"},                           // left the octave
  {path: "M-4-4 4 4M-4 4 4-4", colour: "#ff5d5d"},                       // diverged
  {path: "M0-4.6 4.6 0 0 4.6-4.6 0Z", colour: "#cc79a7"},                // did not settle
  {path: "M3 0A3 3 0 1 1 3-.01Z", colour: "#d8d8d8"},                    // low contrast
  {path: "M-5-1.6H5V1.6H-5Z", colour: "#e69f00"},                        // edge
  {path: "M0-5V5M-5 0H5", colour: "#00c48f"},                            // no orientation
  {path: "M-3.6-3.6H3.6V3.6H-3.6Z", colour: "#9c8cff"},                  // duplicate
  {path: "M0 4.4-4.4-3.4H4.4Z", colour: "#f0e442"}];                     // not among the strongest
