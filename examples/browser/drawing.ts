import { SIDE } from "./messages.js";

/** The brush's radius, in pixels of the image. */
const RADIUS = 1.6;
/** The distance between two dabs of a stroke. */
const SPACING = 0.5;

/** Paints pixels in 0..1 onto a canvas of 28x28. */
export function paint(canvas: HTMLCanvasElement, pixels: ArrayLike<number>): void {
  canvas.width = SIDE;
  canvas.height = SIDE;
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  const image = context.createImageData(SIDE, SIDE);
  for (let i = 0; i < pixels.length; i++) {
    const grey = Math.round(255 * pixels[i]);
    image.data.set([grey, grey, grey, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

/** An image that is drawn with the pointer. */
export class Drawing {
  readonly pixels = new Float32Array(SIDE * SIDE);
  readonly #canvas: HTMLCanvasElement;
  readonly #onStroke: () => void;
  isErasing = false;
  /** Where the stroke was last. */
  #last: { x: number; y: number } | undefined;

  constructor(canvas: HTMLCanvasElement, onStroke: () => void) {
    this.#canvas = canvas;
    this.#onStroke = onStroke;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#last = this.#place(event);
      this.#strokeTo(this.#last);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.#last === undefined) return;
      for (const part of event.getCoalescedEvents?.() ?? [event]) this.#strokeTo(this.#place(part));
    });
    for (const type of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(type, () => {
        this.#last = undefined;
      });
    }
    this.show(this.pixels);
  }

  /** Replaces the image, by pixels in 0..1. */
  show(pixels: ArrayLike<number>): void {
    this.pixels.set(pixels);
    paint(this.#canvas, this.pixels);
  }

  #place({ clientX, clientY }: PointerEvent): { x: number; y: number } {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    return { x: ((clientX - left) / width) * SIDE, y: ((clientY - top) / height) * SIDE };
  }

  #strokeTo(to: { x: number; y: number }): void {
    const from = this.#last!;
    const dabs = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / SPACING));
    for (let i = 1; i <= dabs; i++) {
      this.#dab(from.x + ((to.x - from.x) * i) / dabs, from.y + ((to.y - from.y) * i) / dabs);
    }
    this.#last = to;
    paint(this.#canvas, this.pixels);
    this.#onStroke();
  }

  /** A disc with a soft edge, around a point. */
  #dab(x: number, y: number): void {
    for (let row = Math.max(0, Math.floor(y - RADIUS - 1)); row < Math.min(SIDE, y + RADIUS + 1); row++) {
      for (let column = Math.max(0, Math.floor(x - RADIUS - 1)); column < Math.min(SIDE, x + RADIUS + 1); column++) {
        const distance = Math.hypot(column + 0.5 - x, row + 0.5 - y);
        const strength = Math.min(1, Math.max(0, RADIUS + 0.5 - distance));
        const i = row * SIDE + column;
        this.pixels[i] = this.isErasing
          ? Math.min(this.pixels[i], 1 - strength)
          : Math.max(this.pixels[i], 0.9 * strength);
      }
    }
  }
}
