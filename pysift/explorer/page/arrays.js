// Unpack what pysift/explorer/page.py packed: base64 → inflate → planes of bytes → typed arrays.

const TYPES = {int8: Int8Array, uint8: Uint8Array, uint16: Uint16Array, int32: Int32Array,
               float32: Float32Array, float64: Float64Array};

async function unpack(table, text) {
  const deflated = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
  const block = new Uint8Array(await new Response(stream).arrayBuffer());
  const arrays = {};
  let at = 0;
  for (const {name, type, shape, delta} of table) {
    const length = shape.reduce((product, n) => product * n, 1);
    const array = new TYPES[type](length);
    const bytes = new Uint8Array(array.buffer), width = array.BYTES_PER_ELEMENT;
    for (let plane = 0; plane < width; plane++)
      for (let i = 0; i < length; i++) bytes[i * width + plane] = block[at++];
    if (delta) for (let i = 1; i < length; i++) array[i] += array[i - 1];         // wraps round at 256, as it was made
    arrays[name] = array;
  }
  return arrays;
}

// The items of row i of an array whose rows have `width` items.
function row(array, i, width) {
  return array.subarray(i * width, (i + 1) * width);
}

// Where each part starts, if the parts of these lengths lie end to end.
function starts(lengths) {
  const start = new Int32Array(lengths.length + 1);
  for (let i = 0; i < lengths.length; i++) start[i + 1] = start[i] + lengths[i];
  return start;
}
