"use strict";
for (const button of document.querySelectorAll("table.sortable th button")) {
  button.addEventListener("click", () => {
    const heading = button.parentElement;
    const place = heading.cellIndex;
    const numeric = heading.classList.contains("number");
    const before = heading.getAttribute("aria-sort");
    const descending = before === "none" ? numeric : before === "ascending";
    const body = heading.closest("table").tBodies[0];
    const key = (row) => {
      const cell = row.cells[place];
      return numeric ? ("key" in cell.dataset ? parseFloat(cell.dataset.key.replace("inf", "Infinity")) : null) : cell.textContent;
    };
    const rows = [...body.rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      const order = numeric ? (a < b ? -1 : a > b ? 1 : 0) : a.localeCompare(b, "en", { numeric: true });
      return descending ? -order : order;
    });
    for (const [, row] of rows) body.append(row);
    for (const other of heading.parentElement.cells) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  });
}
