// Sorting by the buttons of the table head, and open details when printing. The page is complete without it.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const said = document.getElementById("sorted");
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const first = head.dataset.first || "descending";
      const other = first === "descending" ? "ascending" : "descending";
      const direction = before === first ? other : first;
      table.querySelectorAll("th[aria-sort]").forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
      const key = (row) => row.cells[column].dataset.sort ?? "";
      const sign = direction === "ascending" ? 1 : -1;
      const rows = [...body.rows].sort((left, right) => {
        const a = key(left), b = key(right);
        if (a === "" || b === "") return (a === "") - (b === "");
        const numeric = head.dataset.kind === "text" ? a.localeCompare(b) : Number(a) - Number(b);
        return sign * numeric;
      });
      body.append(...rows);
      if (said) said.textContent = `sorted by ${button.textContent.trim()}, ${direction}`;
    });
  });
}
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  opened.forEach((one) => { one.open = true; });
});
addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));
