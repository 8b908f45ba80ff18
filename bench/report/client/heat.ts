import * as Plot from "@observablehq/plot";
import { shareText, timeText } from "../../figures.js";
import { SECOND } from "../../width.js";
import { convolutionOf, productOf, squareOf, stepOf } from "../groups.js";
import type { Entry } from "../model.js";
import { marginFor, STYLE, TIP } from "./axis.js";
import { colorOf, tipOf } from "./words.js";

const LINE = 38;
/** Pixels for "21.7 ms · 1.95×"; in narrower cells the tip alone says what the width gains. */
const ROOM_FOR_GAIN = 92;
/** By share: faint enough for text of the page's own colour, light or dark. */
const OPACITY = { domain: [0.2, 1], range: [0.04, 0.6], clamp: true };

interface Cell {
  column: string;
  line: string;
  entry: Entry;
}

export function productHeat(own: readonly Entry[], _all: readonly Entry[], width: number): Element {
  return heat(
    width,
    "batch",
    own.flatMap((entry) => {
      const { name } = entry.row;
      const step = stepOf(name);
      if (step !== undefined) return [{ column: String(step.batch), line: `${step.optimizer} step`, entry }];
      const product = productOf(name);
      return product === undefined
        ? []
        : [{ column: String(product.batch), line: `${product.message} ${product.shape}`, entry }];
    }),
  );
}

export function squareHeat(own: readonly Entry[], _all: readonly Entry[], width: number): Element {
  return heat(
    width,
    "n",
    own.map((entry) => ({ column: String(squareOf(entry.row.name)), line: "square", entry })),
  );
}

export function convolutionHeat(own: readonly Entry[], _all: readonly Entry[], width: number): Element {
  return heat(
    width,
    "message",
    own.map((entry) => {
      const { message, shape } = convolutionOf(entry.row.name)!;
      return { column: message, line: shape, entry };
    }),
  );
}

/** A cell for each row: the stronger its colour, the nearer to the limit. */
function heat(width: number, columnLabel: string, cells: Cell[]): Element {
  const lines = [...new Set(cells.map(({ line }) => line))];
  const share = ({ entry }: Cell) => entry.figures.shareOfLimit ?? 0;
  const columns = [...new Set(cells.map(({ column }) => column))];
  const hasRoom = (width - marginFor(lines)) / columns.length >= ROOM_FOR_GAIN;
  const place = { x: "column", y: "line" };
  return Plot.plot({
    ...STYLE,
    width,
    height: 44 + LINE * lines.length,
    marginTop: 42,
    marginBottom: 2,
    marginRight: 0,
    marginLeft: marginFor(lines),
    x: { type: "band", domain: columns, padding: 0.04, label: null },
    y: { domain: lines, padding: 0.08, label: null },
    opacity: OPACITY,
    marks: [
      Plot.axisX({ anchor: "top", tickSize: 0, label: columnLabel, labelArrow: "none" }),
      Plot.axisY({ tickSize: 0 }),
      Plot.cell(cells, { ...place, fill: colorOf("lanegrad"), fillOpacity: { value: share, scale: true }, rx: 4 }),
      Plot.text(cells, {
        ...place,
        text: (cell: Cell) => `${shareText(share(cell))}${cell.entry.row.noisy ? " !" : ""}`,
        fontWeight: 600,
        fontSize: 13,
        dy: -7,
      }),
      Plot.text(cells, {
        ...place,
        text: ({ entry }: Cell) => timeText(entry.row.milliseconds.lanegrad) + (hasRoom ? gainText(entry) : ""),
        fillOpacity: () => 0.85,
        fontSize: 11,
        dy: 8,
      }),
      Plot.tip(cells, Plot.pointer({ ...TIP, ...place, title: ({ entry }: Cell) => tipOf(entry) })),
    ],
  });
}

/** How many times as long the normal kernels take, on a setup of wide ones. */
const gainText = ({ figures: { times } }: Entry): string => (SECOND in times ? ` · ${times[SECOND].toFixed(2)}×` : "");
