// The list of clips, and one clip opened: videos side by side, curves, values.
const LISTED = 100;
const list = { set: null, metric: null, order: null, sign: 1, isWhole: false };

// Text is only ever set as text.
function element(tag, className = "", text = "", attributes = {}) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const isolated = (text) => element("bdi", "called", text);
const metricOf = (name) => data.metrics.find((metric) => metric.name === name);
const valueOf = (method, metric, index) => (method.values[metric] ? method.values[metric][index] : undefined);

// A reason by number, or why there is nothing at all.
function whyOf(method, metric, index) {
  const found = method.why[metric] ? method.why[metric][index] : undefined;
  return found === undefined ? "not measured" : data.reasons[found];
}

function shown(metric, value) {
  return typeof value === "number" ? value.toFixed(metric.digits) : value === null || value === undefined ? "null" : value;
}

function valueCell(method, metric, index) {
  const value = valueOf(method, metric.name, index);
  const cell = element("td", "number", "");
  cell.append(element("span", "value", shown(metric, value)));
  if (value === null || value === undefined) {
    cell.classList.add("null");
    cell.title = whyOf(method, metric.name, index);
  }
  return cell;
}

function videoOf(method, index) {
  const { prefix, names, suffix } = method.videos;
  if (method.missing[index] !== undefined) return null;
  return prefix + (names === null ? list.set.ids[index] : names[index]) + suffix;
}

const address = (path) => path.split("/").map(encodeURIComponent).join("/");

// ---- the list

function wanted() {
  const { ids, speakers, languages } = list.set;
  const words = document.getElementById("clip-find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (index) => `${ids[index]} ${speakers[index]} ${languages[index]}`.toLowerCase();
  return ids.map((_, index) => index).filter((index) => words.every((word) => text(index).includes(word)));
}

function ordered(indices) {
  const { order, sign, set, metric } = list;
  if (order === null) return indices;
  if (typeof order === "string") {
    return indices.sort((one, other) => sign * set[order][one].localeCompare(set[order][other], "en", { numeric: true }));
  }
  const key = (index) => {
    const value = valueOf(set.methods[order], metric, index);
    return value === "inf" ? Infinity : typeof value === "number" ? value : null;
  };
  return indices.sort((one, other) => {
    const a = key(one), b = key(other);
    if (a === null || b === null) return (a === null) - (b === null);
    return a === b ? one - other : sign * (a > b ? 1 : -1);
  });
}

function sortHeader(text, order, className) {
  const header = element("th", className, "", { scope: "col" });
  header.ariaSort = list.order === order ? (list.sign > 0 ? "ascending" : "descending") : "none";
  const button = element("button", "sort", "", { type: "button" });
  button.append(isolated(text));
  button.addEventListener("click", () => {
    const better = metricOf(list.metric) ? metricOf(list.metric).better : "";
    const first = typeof order === "number" && better === "higher" ? -1 : 1;
    list.sign = list.order === order ? -list.sign : first;
    list.order = order;
    relist();
    document.querySelectorAll("#clip-table thead button")[[...header.parentNode.children].indexOf(header)].focus();
  });
  header.append(button);
  return header;
}

function relist() {
  const { set } = list, metric = metricOf(list.metric);
  const heading = element("tr");
  heading.append(sortHeader("Clip", "ids", "method"), sortHeader("Language", "languages", ""));
  if (metric) set.methods.forEach((method, number) => heading.append(sortHeader(method.title, number, "number")));
  document.querySelector("#clip-table thead").replaceChildren(heading);
  const found = ordered(wanted()), most = list.isWhole ? found.length : LISTED;
  const rows = found.slice(0, most).map((index) => {
    const row = element("tr"), name = element("th", "method", "", { scope: "row" });
    const open = element("button", "open", "", { type: "button", "data-clip": index });
    open.append(isolated(set.ids[index]));
    name.append(open);
    row.append(name, element("td", "about", set.languages[index]));
    for (const method of metric ? set.methods : []) {
      const cell = valueCell(method, metric, index);
      if (cell.title) cell.append(element("span", "why", cell.title.split(":")[0].replaceAll("_", " ")));
      row.append(cell);
    }
    return row;
  });
  document.querySelector("#clip-table tbody").replaceChildren(...rows);
  const more = document.getElementById("clip-more");
  more.hidden = found.length <= most;
  more.textContent = `show all ${found.length} clips`;
  document.getElementById("clip-status").textContent = 
    `${found.length} of ${set.ids.length} clips${metric ? `; ${metric.heading}` : ""}`;
}

// ---- one clip

function curvesOf(index) {
  const truth = list.set.methods.find((method) => method.kind === "ground_truth");
  return data.curves.map(({ name, label }) => {
    const get = (method) => (method.curves[name] && method.curves[name][index] ? unpack(method.curves[name][index]) : null);
    const curves = new Map(list.set.methods.map((method) => [method, get(method)]));
    const there = [...curves.values()].filter(Boolean);
    const range = {
      seconds: Math.max(...there.map((curve) => curve.seconds)),
      low: Math.min(...there.map((curve) => curve.low)), high: Math.max(...there.map((curve) => curve.high)),
    };
    return { name, label, curves, range, truth: truth ? curves.get(truth) : null, hasAny: there.length > 0 };
  }).filter((curve) => curve.hasAny);
}

function figureOf(method, index, curves, videos, heads) {
  const figure = element("figure", method.kind === "ground_truth" ? "truth" : "");
  const caption = element("figcaption"), screen = element("div", "screen"), path = videoOf(method, index);
  caption.append(isolated(method.title));
  figure.append(caption, screen);
  if (path === null) {
    screen.textContent = data.reasons[method.missing[index]];
  } else {
    const video = element("video", "", "", { src: address(path), preload: "auto", playsinline: "", "aria-label": method.title });
    video.muted = true;
    video.addEventListener("error", () => {
      if (!video.hasAttribute("src")) return; // let go, not broken
      screen.replaceChildren(`cannot be played: ${path}`);
    });
    // of a file whose picture it cannot decode, a browser plays the sound and complains of nothing
    video.addEventListener("loadedmetadata", () => {
      if (!video.videoWidth) screen.prepend(`no picture that this browser can show: ${path}`);
    });
    screen.append(video);
    videos.push({ video, method });
  }
  for (const { name, label, curves: found, range, truth } of curves) {
    const curve = found.get(method), isTruth = method.kind === "ground_truth";
    const title = curve ? `${label} of ${method.title} over ${range.seconds.toFixed(1)} s` : whyOf(method, name, index);
    const { box, line } = drawCurve(label, curve, isTruth ? null : truth, range, title);
    if (line) heads.push({ line, seconds: range.seconds });
    figure.append(box);
  }
  return figure;
}

function valuesOf(index) {
  const { set } = list, notes = [];
  const metrics = data.metrics.filter((metric) => set.methods.some((method) => method.values[metric.name]));
  const heading = element("tr");
  heading.append(element("th", "method", "Method", { scope: "col" }));
  for (const metric of metrics) heading.append(element("th", "number", metric.heading, { scope: "col" }));
  const rows = set.methods.map((method) => {
    const row = element("tr"), name = element("th", "method", "", { scope: "row" });
    name.append(isolated(method.title));
    row.append(name);
    for (const metric of metrics) {
      const cell = valueCell(method, metric, index);
      if (cell.title) {
        if (!notes.includes(cell.title)) notes.push(cell.title);
        cell.append(element("span", "note", String(notes.indexOf(cell.title) + 1)));
      }
      row.append(cell);
    }
    return row;
  });
  document.querySelector("#clip-values thead").replaceChildren(heading);
  document.querySelector("#clip-values tbody").replaceChildren(...rows);
  document.getElementById("clip-notes").replaceChildren(...notes.map((note) => element("li", "", note)));
}

function openClip(setNumber, index) {
  const set = data.sets[setNumber], dialog = document.getElementById("clip");
  if (!set || !(index in set.ids)) return;
  if (list.set !== set) chooseSet(setNumber);
  const curves = curvesOf(index), videos = [], heads = [];
  const figures = set.methods.map((method) => figureOf(method, index, curves, videos, heads));
  document.getElementById("clip-title").replaceChildren(isolated(set.ids[index]));
  const about = [set.dataset, set.split, set.languages[index], set.speakers[index] && `speaker: ${set.speakers[index]}`];
  document.getElementById("clip-about").textContent = about.filter(Boolean).join(" · ");
  document.getElementById("videos").replaceChildren(...figures);
  document.getElementById("curve-legend").textContent = curves.length
    ? "Grey: the reference's curve behind each method's; one scale for all. A press on a curve goes to that moment." : "";
  const sound = document.getElementById("sound");
  sound.replaceChildren(new Option("none", ""), ...videos.map(({ method }, number) => new Option(method.title, String(number))));
  player.open(videos.map(({ video }) => video), heads);
  sound.value = videos.length ? "0" : "";
  player.sound(sound.value);
  valuesOf(index);
  dialog.dataset.set = setNumber;
  dialog.dataset.clip = index;
  document.getElementById("clip-previous").disabled = neighbour(-1) === undefined;
  document.getElementById("clip-next").disabled = neighbour(1) === undefined;
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  document.getElementById("clip-title").focus();
  remember(`#clip=${[set.dataset, set.split, set.ids[index]].map(encodeURIComponent).join("/")}`);
}

// The clip before or after the open one, in the order of the list.
function neighbour(step) {
  const found = ordered(wanted()), open = Number(document.getElementById("clip").dataset.clip);
  return found.includes(open) ? found[found.indexOf(open) + step] : undefined;
}

function remember(fragment) {
  history.replaceState(null, "", fragment);
}

function openFromAddress() {
  const match = /^#clip=([^/]*)\/([^/]*)\/([^/]*)$/.exec(location.hash);
  if (!match) return;
  let names;
  try { names = match.slice(1).map(decodeURIComponent); } catch { return; }
  const number = data.sets.findIndex((set) => set.dataset === names[0] && set.split === names[1]);
  if (number >= 0) openClip(number, data.sets[number].ids.indexOf(names[2]));
}

function chooseSet(number) {
  const set = data.sets[number], select = document.getElementById("clip-metric");
  const metrics = data.metrics.filter((metric) => set.methods.some((method) => method.values[metric.name]));
  Object.assign(list, { set, order: null, sign: 1, isWhole: false });
  select.replaceChildren(...metrics.map((metric) => new Option(metric.heading, metric.name)));
  const hasAny = (metric) => set.methods.some((method) => (method.values[metric.name] || []).some((value) => value !== null));
  if (!metrics.some((metric) => metric.name === list.metric)) list.metric = (metrics.find(hasAny) || metrics[0] || { name: "" }).name;
  select.value = list.metric;
  document.getElementById("clip-set").value = String(number);
  relist();
}

function startClips() {
  const byId = (id) => document.getElementById(id), dialog = byId("clip");
  if (!dialog || !data.sets.length) return;
  byId("clips").hidden = false;
  byId("clip-set").replaceChildren(...data.sets.map((set, number) => new Option(`${set.dataset}, ${set.split}`, String(number))));
  byId("clip-set").addEventListener("change", (event) => chooseSet(Number(event.target.value)));
  byId("clip-metric").addEventListener("change", (event) => { list.metric = event.target.value; relist(); });
  byId("clip-find").addEventListener("input", relist);
  byId("clip-filters").addEventListener("submit", (event) => event.preventDefault());
  byId("clip-more").addEventListener("click", () => { list.isWhole = true; relist(); });
  byId("clip-table").addEventListener("click", (event) => {
    const button = event.target.closest("button.open");
    if (button) openClip(data.sets.indexOf(list.set), Number(button.dataset.clip));
  });
  byId("clip-close").addEventListener("click", () => dialog.close());
  for (const [id, step] of [["clip-previous", -1], ["clip-next", 1]]) {
    byId(id).addEventListener("click", () => openClip(Number(dialog.dataset.set), neighbour(step)));
  }
  dialog.addEventListener("close", () => { player.close(); remember("#clips"); });
  player.start();
  chooseSet(0);
  window.addEventListener("hashchange", openFromAddress);
  openFromAddress();
}
