import "sortable-tablesort/dist/sortable.a11y.js";
import type { Report } from "../model.js";
import { type Chart, chartsOf } from "./charts.js";

/** The width on the narrowest phones. During layout a figure may have no width yet. */
const LEAST_WIDTH = 260;

const report: Report = JSON.parse(document.getElementById("report")!.textContent!);
for (const section of document.querySelectorAll("section")) {
  const place = section.querySelector(".charts");
  for (const chart of chartsOf(section.id, report)) place?.append(figureOf(chart));
}

/** Draws the chart as wide as there is room, and again when that changes. */
function figureOf({ title, note, draw }: Chart): HTMLElement {
  const figure = document.createElement("figure");
  const heading = document.createElement("h3");
  if (title !== undefined) heading.append(`${title} `);
  if (note !== undefined) {
    const small = document.createElement("small");
    small.textContent = note;
    heading.append(small);
  }
  let drawnWidth = 0;
  const observer = new ResizeObserver(() => {
    const width = Math.max(LEAST_WIDTH, figure.clientWidth);
    if (width === drawnWidth) return;
    drawnWidth = width;
    figure.replaceChildren(heading, draw(width));
  });
  figure.append(heading);
  observer.observe(figure);
  return figure;
}
