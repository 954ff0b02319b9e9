// Curves over a clip, drawn from their packed form: [seconds, low, high, letters], a blank where there is no value.
function unpack(packed) {
  const [seconds, low, high, letters] = packed;
  const scale = (high - low) / (data.letters.length - 1);
  const values = [...letters].map((letter) => (letter === " " ? null : low + scale * data.letters.indexOf(letter)));
  return { seconds, low, high, values };
}

// The path of a curve in a picture of 100 x 100, broken where values are missing; a lone value is a short dash.
function pathOf(curve, seconds, low, high) {
  const step = (100 * curve.seconds) / seconds / Math.max(1, curve.values.length - 1);
  const parts = [];
  let isOpen = false;
  curve.values.forEach((value, index) => {
    if (value === null) { isOpen = false; return; }
    const y = (96 - (92 * (value - low)) / (high - low || 1)).toFixed(1);
    parts.push(isOpen ? `L${(index * step).toFixed(2)} ${y}` : `M${(index * step).toFixed(2)} ${y}h.3`);
    isOpen = true;
  });
  return parts.join("");
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// A curve with the reference's behind it. `range` = {seconds, low, high} is the same for all methods of the clip.
function drawCurve(label, curve, truth, range, title) {
  const box = element("div", "curve");
  const name = element("div", "name", label);
  box.append(name);
  if (!curve) {
    box.append(element("div", "none", title));
    return { box };
  }
  const digits = Math.max(0, 1 - Math.floor(Math.log10(range.high - range.low || 1)));
  name.append(element("span", "", `${range.low.toFixed(digits)}–${range.high.toFixed(digits)}`));
  const picture = shape("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", role: "img", "aria-label": title });
  if (truth) picture.append(shape("path", { class: "truth", d: pathOf(truth, range.seconds, range.low, range.high) }));
  picture.append(shape("path", { d: pathOf(curve, range.seconds, range.low, range.high) }));
  const line = shape("line", { x1: 0, x2: 0, y1: 0, y2: 100 });
  picture.append(line);
  picture.addEventListener("click", (event) => {
    const { left, width } = picture.getBoundingClientRect();
    player.seek((range.seconds * (event.clientX - left)) / width);
  });
  box.append(picture);
  return { box, line };
}
