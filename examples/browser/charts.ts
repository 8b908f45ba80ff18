/** Charts in SVG: colours and type come from the style sheet, so they follow the theme. */

type Point = readonly [x: number, y: number];

const MARGIN = { top: 8, right: 10, bottom: 22, left: 36 };
const TICKS = 4;

const NAMESPACE = "http://www.w3.org/2000/svg";

function add(parent: Element, name: string, className: string): SVGElement {
  const element = document.createElementNS(NAMESPACE, name);
  element.setAttribute("class", className);
  parent.append(element);
  return element;
}

function set(element: Element, attributes: Record<string, string | number>): void {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
}

/** Round numbers from `from` to `to`, about TICKS of them. */
function ticks(from: number, to: number): number[] {
  const rough = (to - from) / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(6)));
}

/** Places numbers of a domain on a stretch of pixels. */
const scale =
  ([from, to]: readonly [number, number], start: number, end: number) =>
  (value: number): number =>
    start + ((value - from) / (to - from)) * (end - start);

/** What charts share: an area between axes that fits the element, drawn again when that changes its size. */
abstract class Chart {
  readonly #svg: SVGSVGElement;
  readonly #axes: SVGElement;
  protected readonly plot: SVGElement;
  protected width = 0;
  protected height = 0;
  protected x = scale([0, 1], 0, 1);
  protected y = scale([0, 1], 0, 1);

  constructor(svg: SVGSVGElement) {
    this.#svg = svg;
    this.#axes = add(svg, "g", "axes");
    this.plot = add(svg, "g", "plot");
    new ResizeObserver(() => {
      this.#measure();
      this.render();
    }).observe(svg);
    this.#measure();
  }

  protected abstract render(): void;

  #measure(): void {
    this.width = this.#svg.clientWidth;
    this.height = this.#svg.clientHeight;
  }

  /** Sets the scales and draws the axes; the vertical one only where it has labels. */
  protected drawAxes(xDomain: readonly [number, number], yDomain: readonly [number, number], label?: Label): void {
    const left = label === undefined ? 0 : MARGIN.left;
    const right = this.width - MARGIN.right;
    const bottom = this.height - MARGIN.bottom;
    this.x = scale(xDomain, left, right);
    this.y = scale(yDomain, bottom, MARGIN.top);
    this.#axes.replaceChildren();
    for (const value of label === undefined ? [] : ticks(...yDomain)) {
      const y = this.y(value);
      set(add(this.#axes, "line", "grid"), { x1: left, x2: right, y1: y, y2: y });
      this.#text(label!(value), { x: left - 8, y: y + 4, "text-anchor": "end" });
    }
    set(add(this.#axes, "line", "grid"), { x1: left, x2: right, y1: bottom, y2: bottom });
    for (const value of ticks(...xDomain)) {
      const x = this.x(value);
      const anchor = x < left + 8 ? "start" : x > right - 8 ? "end" : "middle";
      this.#text(value.toLocaleString("en"), { x, y: bottom + 16, "text-anchor": anchor });
    }
  }

  #text(text: string, attributes: Record<string, string | number>): void {
    const element = add(this.#axes, "text", "");
    set(element, attributes);
    element.textContent = text;
  }
}

type Label = (value: number) => string;

/** A curve over training steps, with single values behind it if there are any, and the value under the pointer. */
export class LineChart extends Chart {
  readonly #label: Label;
  readonly #top: number;
  readonly #faint = add(this.plot, "path", "faint");
  readonly #curve = add(this.plot, "path", "curve");
  readonly #dot = add(this.plot, "circle", "dot");
  readonly #value = add(this.plot, "text", "value");
  #points: readonly Point[] = [];
  #single: readonly Point[] = [];
  /** Where the pointer is; undefined while it is elsewhere. */
  #pointer: number | undefined;

  /** The vertical axis goes up to `top` at least. */
  constructor(svg: SVGSVGElement, { label, top }: { label: Label; top: number }) {
    super(svg);
    this.#label = label;
    this.#top = top;
    svg.addEventListener("pointermove", ({ offsetX }) => this.#pointTo(offsetX));
    svg.addEventListener("pointerleave", () => this.#pointTo(undefined));
  }

  draw(points: readonly Point[], single: readonly Point[] = []): void {
    this.#points = points;
    this.#single = single;
    this.render();
  }

  protected render(): void {
    const last = this.#points.at(-1)?.[0] ?? 0;
    const top = Math.max(this.#top, ...this.#single.map(([, y]) => y), ...this.#points.map(([, y]) => y));
    this.drawAxes([0, Math.max(100, last)], [0, top], this.#label);
    this.#faint.setAttribute("d", this.#path(this.#single));
    this.#curve.setAttribute("d", this.#path(this.#points));
    this.#mark();
  }

  #path(points: readonly Point[]): string {
    return points.map(([x, y], i) => `${i ? "L" : "M"}${this.x(x).toFixed(1)} ${this.y(y).toFixed(1)}`).join("");
  }

  #pointTo(pointer: number | undefined): void {
    this.#pointer = pointer;
    this.#mark();
  }

  /** The point under the pointer with its value, or the last one without. */
  #mark(): void {
    const distance = ([x]: Point): number => Math.abs(this.x(x) - this.#pointer!);
    const point =
      this.#pointer === undefined
        ? this.#points.at(-1)
        : this.#points.reduce<Point | undefined>(
            (best, other) => (best === undefined || distance(other) < distance(best) ? other : best),
            undefined,
          );
    this.#dot.toggleAttribute("hidden", point === undefined);
    this.#value.textContent = "";
    if (point === undefined) return;
    const [x, y] = [this.x(point[0]), this.y(point[1])];
    set(this.#dot, { cx: x, cy: y, r: 4.5 });
    if (this.#pointer === undefined) return;
    this.#value.textContent = `step ${point[0].toLocaleString("en")}: ${this.#label(point[1])}`;
    const isLow = y > this.height / 2;
    set(this.#value, { x, y: isLow ? y - 12 : y + 22, "text-anchor": x > this.width / 2 ? "end" : "start" });
  }
}

const BINS = 48;

/** A histogram of values, with the place where all of them started. */
export class Histogram extends Chart {
  readonly #bars = add(this.plot, "path", "bars");
  readonly #start = add(this.plot, "line", "start");
  #values: ArrayLike<number> = [];
  #domain: readonly [number, number] = [0, 1];
  #from = 0;

  draw(values: ArrayLike<number>, domain: readonly [number, number], start: number): void {
    this.#values = values;
    this.#domain = domain;
    this.#from = start;
    this.render();
  }

  protected render(): void {
    const counts = countBins(this.#values, this.#domain);
    this.drawAxes(this.#domain, [0, Math.max(1, ...counts)]);
    const x = scale([0, BINS], this.x(this.#domain[0]), this.x(this.#domain[1]));
    const bar = (count: number, i: number): string => {
      const [left, right] = [x(i) + 0.5, x(i + 1) - 0.5];
      return count === 0 ? "" : `M${left} ${this.y(0)}V${this.y(count)}H${right}V${this.y(0)}Z`;
    };
    this.#bars.setAttribute("d", counts.map(bar).join(""));
    const at = this.x(this.#from);
    set(this.#start, { x1: at, x2: at, y1: MARGIN.top, y2: this.y(0) });
  }
}

function countBins(values: ArrayLike<number>, [from, to]: readonly [number, number]): number[] {
  const counts = new Array<number>(BINS).fill(0);
  for (let i = 0; i < values.length; i++) {
    const bin = Math.floor(((values[i] - from) / (to - from)) * BINS);
    counts[Math.min(Math.max(bin, 0), BINS - 1)]++;
  }
  return counts;
}
