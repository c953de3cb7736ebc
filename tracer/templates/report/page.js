"use strict";
// Tables sort by a button in each head: numbers by what was measured, not by how it is written.
for (const table of document.querySelectorAll("table.sorts")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const descends = head.ariaSort ? head.ariaSort === "ascending" : head.classList.contains("n");
      for (const other of heads) other.ariaSort = null;
      head.ariaSort = descends ? "descending" : "ascending";
      const compare = (one, other) => {
        const [left, right] = [one.cells[column], other.cells[column]];
        const [low, high] = [left.dataset.order, right.dataset.order];
        if (low !== undefined || high !== undefined) return Number(low ?? -1) - Number(high ?? -1);
        return left.textContent.localeCompare(right.textContent, "en", { numeric: true });
      };
      const rows = [...body.rows].sort((one, other) => (descends ? compare(other, one) : compare(one, other)));
      body.append(...rows);
    });
  });
}
{
  const find = document.getElementById("find");
  const hits = document.getElementById("hits");
  const parts = [...document.querySelectorAll("[data-find]")];
  const folds = [...document.querySelectorAll("details.fold")];
  const sections = [...document.querySelectorAll("main > section")];
  const opened = new Map();
  find.disabled = false;
  // Whatever does not have the words is hidden; what was unfolded for a hit is folded again afterwards.
  const search = () => {
    const wanted = find.value.trim().toLowerCase();
    let count = 0;
    for (const part of parts) {
      const frame = part.querySelector("iframe");
      const text = (part.textContent + (frame ? frame.srcdoc : "")).toLowerCase();
      const found = !wanted || text.includes(wanted);
      part.hidden = !found;
      if (wanted && found) count += 1;
      if (frame) frame.contentWindow.postMessage(found ? wanted : "", "*");
      if (part.localName !== "details") continue;
      if (!opened.has(part)) opened.set(part, part.open);
      const folded = part.querySelector("summary").textContent.toLowerCase();
      part.open = wanted && found && !folded.includes(wanted) ? true : opened.get(part);
    }
    for (const fold of folds) {
      if (!opened.has(fold)) opened.set(fold, fold.open);
      const found = fold.querySelector("[data-find]:not([hidden])");
      fold.hidden = !found;
      fold.open = wanted && found ? true : opened.get(fold);
    }
    if (!wanted) opened.clear();
    for (const section of sections) {
      section.hidden = Boolean(wanted) && !section.querySelector("[data-find]:not([hidden])");
    }
    hits.textContent = !wanted ? "" : `${count} ${count === 1 ? "hit" : "hits"}`;
  };
  find.addEventListener("input", search);
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.nodeName);
    if (event.key === "/" && !typing) {
      event.preventDefault();
      find.focus();
    } else if (event.key === "Escape" && document.activeElement === find) {
      find.value = "";
      search();
    }
  });
  // A link into a search that hides its section would lead nowhere.
  addEventListener("hashchange", () => {
    if (find.value) {
      find.value = "";
      search();
      document.querySelector(location.hash)?.scrollIntoView();
    }
  });
  addEventListener("beforeprint", () => document.querySelectorAll("details.rule, details.case, details.fold").forEach((part) => (part.open = true)));
}
