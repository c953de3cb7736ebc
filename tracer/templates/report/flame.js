"use strict";
// A frame without an address of its own may not write to the history; the flame graph does so at each zoom.
history.replaceState = () => {};
// A sandboxed frame that is out of sight or folded up has no layout, and its text no length: the graph starts when it
// is seen. (Until then its own variable `frames` is the window's list of frames.)
let started = false;
new IntersectionObserver((entries, observer) => {
  if (!entries.some((entry) => entry.isIntersecting)) return;
  observer.disconnect();
  start();
}).observe(document.documentElement);
// The graph takes its width from this attribute; where there is none, from the layout, which may be yet to come.
const fit = () => document.querySelector("svg").setAttribute("width", innerWidth);
// Folded up again, the frame has no width, of which the flame graph would make a negative one.
addEventListener("resize", (event) => {
  if (innerWidth < 60) event.stopImmediatePropagation();
  else if (started) fit();
});
// The graph's own search asks by `prompt`, which a sandboxed frame may not: the page's search marks frames instead, and
// these keys are the browser's.
addEventListener("keydown", (event) => {
  if (event.key === "F3" || (event.ctrlKey && event.key.toLowerCase() === "f")) event.stopImmediatePropagation();
}, true);
// What the page's search looks for.
let wanted = "";
const mark = () => {
  if (wanted) search(wanted.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  else if (searching) reset_search();
};
addEventListener("message", (event) => {
  if (typeof event.data !== "string") return;
  wanted = event.data;
  if (started) mark();
});
const start = () => {
  started = true;
  // It takes the width away, and comes back to ask for it when this script is done.
  init();
  fit();
  const groups = [...document.querySelectorAll("#frames g")];
  const place = (frame) => {
    const rect = frame.querySelector("rect");
    return { x: Number(rect.getAttribute("fg:x")), width: Number(rect.getAttribute("fg:w")), y: Number(rect.getAttribute("y")) };
  };
  const rows = new Map();
  for (const frame of groups) {
    frame.setAttribute("tabindex", "-1");
    frame.setAttribute("role", "button");
    const { y } = place(frame);
    if (!rows.has(y)) rows.set(y, []);
    rows.get(y).push(frame);
  }
  const heights = [...rows.keys()].sort((one, other) => one - other);
  for (const row of rows.values()) row.sort((one, other) => place(one).x - place(other).x);
  // One stop for Tab; arrows go from frame to frame.
  const widest = groups.reduce((best, frame) => (place(frame).width > place(best).width ? frame : best), groups[0]);
  widest?.setAttribute("tabindex", "0");
  const next = (frame, key) => {
    const { x, width, y } = place(frame);
    const row = rows.get(y);
    if (key === "ArrowLeft") return row[row.indexOf(frame) - 1];
    if (key === "ArrowRight") return row[row.indexOf(frame) + 1];
    const other = rows.get(heights[heights.indexOf(y) + (key === "ArrowUp" ? -1 : 1)]);
    return other?.find((there) => place(there).x < x + width && place(there).x + place(there).width > x);
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return unzoom();
    const frame = event.target.closest?.("#frames g");
    if (!frame) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      frame.querySelector("rect").dispatchEvent(new MouseEvent("click", { bubbles: true }));
    } else if (event.key.startsWith("Arrow")) {
      event.preventDefault();
      next(frame, event.key)?.focus();
    }
  });
  mark();
};
