// The tables that Python wrote: which of them, which rows and which columns are shown, and in what order.
const filters = document.getElementById("filters");
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const checked = (name) => new Set(all(`input[name="${name}"]:checked`, filters).map((box) => box.value));
const offered = (name) => filters.querySelector(`input[name="${name}"]`) !== null;

function refilter() {
  const datasets = checked("dataset"), inputs = checked("input"), groups = checked("rows");
  const metrics = checked("metric"), shown = checked("show");
  const language = filters.elements.language ? filters.elements.language.value : "all";
  document.body.classList.toggle("no-intervals", !shown.has("intervals"));
  document.body.classList.toggle("no-about", !shown.has("about"));
  let rows = 0, total = 0, tables = 0;
  for (const section of all("section.table")) {
    const { dataset, subset } = section.dataset;
    section.hidden = subset !== language || (offered("dataset") && !datasets.has(dataset));
    tables += !section.hidden;
    for (const body of all("tbody", section)) {
      let left = 0;
      for (const row of all("tr:not(.group)", body)) {
        const kind = row.dataset.input;
        row.hidden = !groups.has(body.dataset.group) || (kind !== "" && offered("input") && !inputs.has(kind));
        left += !row.hidden;
        total += !section.hidden;
      }
      body.hidden = left === 0;
      rows += section.hidden ? 0 : left;
    }
    for (const cell of all("[data-metric]", section)) cell.hidden = !metrics.has(cell.dataset.metric);
  }
  document.getElementById("nothing").hidden = tables > 0;
  document.getElementById("status").textContent =
    `${rows} of ${total} rows, ${metrics.size} of ${all('input[name="metric"]', filters).length} metrics`;
}

// Larger is better; null where the row has nothing to offer in the column.
function merit(button, row) {
  const cell = row.querySelector(`td[data-metric="${CSS.escape(button.dataset.by)}"]`);
  return cell && cell.dataset.merit !== undefined ? Number(cell.dataset.merit) : null;
}

function compareText(button, one, other) {
  const text = (row) => (button.dataset.by === "method" ? row.dataset.name : row.dataset.input);
  return text(one).localeCompare(text(other), "en", { numeric: true });
}

function sortBy(button) {
  const header = button.closest("th"), table = button.closest("table");
  const isText = !header.dataset.metric, before = header.ariaSort;
  const better = button.dataset.better;
  // the first press puts the best first; the second turns it round
  const natural = isText || better === "lower" || better === "truth" ? "ascending" : "descending";
  const order = before === "none" ? natural : before === "ascending" ? "descending" : "ascending";
  const sign = order === natural ? 1 : -1;
  for (const other of all("thead th[aria-sort]", table)) other.ariaSort = "none";
  header.ariaSort = order;
  for (const body of all("tbody", table)) {
    const rows = all("tr:not(.group)", body);
    const keyed = rows.map((row) => [row, isText ? null : merit(button, row)]);
    keyed.sort(([one, a], [other, b]) => {
      if (isText) return sign * compareText(button, one, other);
      if (a === null || b === null) return (a === null) - (b === null); // without a value: last, either way
      return a === b ? 0 : sign * (b > a ? 1 : -1);
    });
    body.append(...keyed.map(([row]) => row));
  }
}

function startTables() {
  filters.hidden = false;
  if (matchMedia("(max-width: 34rem)").matches) { // a narrow screen is for the numbers
    filters.querySelector("details").open = false;
    filters.querySelector('[value="about"]').checked = false;
  }
  filters.addEventListener("change", refilter);
  filters.addEventListener("submit", (event) => event.preventDefault());
  for (const button of all("button[data-metrics]", filters)) {
    button.addEventListener("click", () => {
      const which = button.dataset.metrics;
      for (const box of all('input[name="metric"]', filters)) {
        box.checked = which === "all" || (which === "paper" && data.paper.includes(box.value));
      }
      refilter();
    });
  }
  for (const button of all("section.table button.sort")) button.addEventListener("click", () => sortBy(button));
  refilter();
}
