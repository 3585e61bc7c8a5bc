// Reads values off a chart where the pointer is. The numbers come from the drawn lines: nothing is stored twice.
"use strict";
for (const svg of document.querySelectorAll(".chart svg")) {
  const numbers = (name) => svg.dataset[name].split(" ").map(Number);
  const [x0, x1] = numbers("x"), [y0, y1] = numbers("y"), [left, right, top, bottom] = numbers("box");
  const log = svg.dataset.log === "1";
  const lines = [...svg.querySelectorAll(".line")].map((path) => ({
    label: path.dataset.label,
    points: path.getAttribute("d").replace(/h0$/, "").slice(1).split("L").map((pair) => pair.split(" ").map(Number)),
  }));
  const now = svg.parentNode.querySelector(".now");
  const cursor = svg.querySelector(".axis").cloneNode();
  cursor.setAttribute("class", "cursor");

  const step = (x) => Math.round(x0 + (x1 - x0) * (x - left) / (right - left)).toLocaleString("en");
  const value = (y) => {
    const share = (bottom - y) / (bottom - top);
    const number = log ? y0 * (y1 / y0) ** share : y0 + (y1 - y0) * share;
    return Math.abs(number) < 1e-9 * Math.abs(y1 - y0) ? "0" : Number(number.toPrecision(3)).toString();
  };
  const nearest = (points, x) => points.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));

  svg.addEventListener("pointermove", (event) => {
    if (lines.length === 0) return;
    const box = svg.getBoundingClientRect();
    const pointer = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
    const x = nearest(lines[0].points, pointer)[0];
    cursor.setAttribute("d", `M${x} ${top}V${bottom}`);
    svg.append(cursor);
    const values = lines.map((line) => `${line.label} ${value(nearest(line.points, x)[1])}`.trim());
    now.textContent = `step ${step(x)}: ${values.join(", ")}`;
  });
  svg.addEventListener("pointerleave", () => {
    cursor.remove();
    now.textContent = now.dataset.rest;
  });
}
