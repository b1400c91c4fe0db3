// Reads the curves under the pointer: a line across the drawing, and every run's value there.

function nearest(told, x) {
  let best = told[0];
  for (const point of told) {
    if (Math.abs(point[0] - x) < Math.abs(best[0] - x)) best = point;
  }
  return best;
}

function prepare(figure) {
  const svg = figure.querySelector("svg");
  const pointer = svg.querySelector(".pointer");
  const answer = figure.querySelector("output");
  const lines = [...svg.querySelectorAll("g[data-told]")].map((line) => ({
    line,
    run: line.dataset.run,
    told: JSON.parse(line.dataset.told),
  }));
  svg.addEventListener("pointermove", (event) => {
    const at = new DOMPoint(event.clientX, event.clientY);
    const { x } = at.matrixTransform(svg.getScreenCTM().inverse());
    const shown = lines.filter(({ line }) => getComputedStyle(line).display !== "none");
    if (shown.length === 0) return;
    const found = shown.map(({ run, told }) => [run, nearest(told, x)]);
    found.sort(([, one], [, other]) => Math.abs(one[0] - x) - Math.abs(other[0] - x));
    const place = found[0][1][0];
    pointer.setAttribute("x1", place);
    pointer.setAttribute("x2", place);
    pointer.removeAttribute("hidden");
    const there = shown.map(({ run, told }) => [run, nearest(told, place)]);
    answer.textContent = `${svg.dataset.unit} ${found[0][1][1]}: ${there
      .map(([run, point]) => `${run} ${point[2]}`)
      .join(", ")}`;
  });
  svg.addEventListener("pointerleave", () => {
    pointer.setAttribute("hidden", "");
    answer.textContent = "";
  });
}

for (const figure of document.querySelectorAll("figure.curves")) prepare(figure);
