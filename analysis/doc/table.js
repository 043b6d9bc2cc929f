// Lets tables be sorted by a click on a header, and long ones be filtered.
"use strict";
(() => {

const longTable = 12; // rows above which a table has a filter

const unknown = ["", "–", "—", "-"];

// What numbers of a column may have behind them, as factors: all units of a kind are
// compared with each other.
const factors = {
  k: 1e3, K: 1e3, M: 1e6, B: 1e9, T: 1e12,
  kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40,
  ns: 1e-9, "µs": 1e-6, us: 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600,
};

// numberOf is the number that a text begins with: 1.2M, 12 ms, 1,024, < 0.001. NaN where
// it begins with none, as 7b-chat.
function numberOf(text) {
  const m = /^[<>≤≥±~]?\s*([-+−]?(?:\d[\d,]*)?\.?\d+(?:e[-+]?\d+)?)(?:\s?([A-Za-zµ]+))?(?![\w-])/.exec(text);
  if (!m) return NaN;
  const factor = m[0].endsWith(" B") ? 1 : factors[m[2]] || 1; // 512 B are bytes, 1.1B parameters
  return Number(m[1].replace(/,/g, "").replace("−", "-")) * factor;
}

const textOf = cell => cell ? cell.textContent.trim() : "";

// valuesOf are what rows sort by in a column: numbers where all that is known are some,
// or where the column is set as one of numbers; else texts.
function valuesOf(rows, at, numbers) {
  const texts = rows.map(r => textOf(r.cells[at])), known = texts.filter(t => !unknown.includes(t));
  if (!numbers) numbers = known.length > 0 && known.every(t => !isNaN(numberOf(t)));
  return new Map(rows.map((r, i) => [r, numbers ? numberOf(texts[i]) : unknown.includes(texts[i]) ? NaN : texts[i]]));
}

// compared puts what is not known last, whichever way the others go.
function compared(a, b, up) {
  const [noA, noB] = [Number.isNaN(a), Number.isNaN(b)];
  if (noA || noB) return noA - noB;
  return (up ? 1 : -1) * (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
}

function sortable(table) {
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => { // up, down, as it was
      const next = { ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")] || "ascending";
      heads.forEach(h => h.removeAttribute("aria-sort"));
      if (next === "none") return body.append(...rows);
      head.setAttribute("aria-sort", next);
      const value = valuesOf(rows, at, head.classList.contains("r"));
      body.append(...[...rows].sort((a, b) => compared(value.get(a), value.get(b), next === "ascending")));
    });
  });
}

function filterable(box, table) {
  const rows = [...table.tBodies[0].rows], label = document.createElement("label"), input = document.createElement("input"), count = document.createElement("span");
  label.className = "filter";
  input.type = "search";
  count.setAttribute("aria-live", "polite");
  label.append("Filter rows ", input, " ", count);
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const r of rows) {
      const text = r.textContent.toLowerCase();
      r.hidden = !wanted.every(w => text.includes(w));
    }
    count.textContent = wanted.length ? `${rows.filter(r => !r.hidden).length} of ${rows.length}` : "";
  });
  box.before(label);
}

for (const box of document.querySelectorAll(".table")) {
  const table = box.querySelector("table");
  if (!table || !table.tHead || !table.tBodies[0]) continue;
  sortable(table);
  if (table.tBodies[0].rows.length > longTable) filterable(box, table);
}

})();
