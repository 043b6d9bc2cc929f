// Lets tables be sorted by a click on a header, and long ones be filtered.
"use strict";
(() => {

const longTable = 12; // rows above which a table has a filter

// valueOf is what a cell sorts by: its first number in a column of numbers, else its text.
function valueOf(cell, numbers) {
  const text = cell ? cell.textContent.trim() : "";
  if (!numbers) return text === "–" ? "" : text;
  const m = /^[<>±]?\s*[-+−]?[\d,]*\.?\d+(e[-+]?\d+)?/i.exec(text);
  return m ? Number(m[0].replace(/[,<>±\s]/g, "").replace("−", "-")) : NaN;
}

// compared puts what is not known last, whichever way the others go.
function compared(a, b, numbers, up) {
  const [noA, noB] = numbers ? [isNaN(a), isNaN(b)] : [a === "", b === ""];
  if (noA || noB) return noA - noB;
  return (up ? 1 : -1) * (numbers ? a - b : a.localeCompare(b, "en", { numeric: true }));
}

function sortable(table) {
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const numbers = head.classList.contains("r");
    button.addEventListener("click", () => { // up, down, as it was
      const next = { ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")] || "ascending";
      heads.forEach(h => h.removeAttribute("aria-sort"));
      if (next === "none") return body.append(...rows);
      head.setAttribute("aria-sort", next);
      const value = new Map(rows.map(r => [r, valueOf(r.cells[at], numbers)]));
      body.append(...[...rows].sort((a, b) => compared(value.get(a), value.get(b), numbers, next === "ascending")));
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
