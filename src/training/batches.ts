import { TensorBuffer } from "../buffers.js";
import type { Engine } from "../engine.js";
import { ShapeError } from "../errors.js";
import type { Layer } from "../layers/layer.js";
import type { Tensor } from "../tensor.js";
import type { Loss } from "./loss.js";
import { checkRows, gather, type Rows, type Selection } from "./rows.js";
import { type Dataset, netEngine, readSamples } from "./samples.js";
import { type BatchTargets, readTargets, type TargetKind } from "./targets.js";
import type { Steps } from "./turns.js";

/** A batch: inputs, and targets that may still have to take the outputs' shape. */
export interface Batch {
  readonly x: Tensor;
  readonly y: Int32Array | Tensor;
}

/** A data set, or a part of it, batch by batch. Each is copied into the same buffers of linear memory. */
export class Batches {
  readonly engine: Engine;
  /** How many samples there are to read. */
  readonly total: number;
  /** How many of them are used: all, unless this is a part. */
  count: number;
  /** Which ones, in their order; undefined for all, as they come. */
  order: Uint32Array | undefined;
  readonly #x: Rows;
  readonly #y: BatchTargets;
  readonly #buffer: TensorBuffer;

  /** Throws ShapeError (also for no samples), ArgumentError, StateError or EngineError. */
  constructor(net: Layer, { x, y, sampleShape }: Partial<Dataset>, kind: TargetKind, loss: Loss, what: string) {
    this.engine = netEngine(net, x);
    this.#x = readSamples(net, x, sampleShape, what);
    this.total = this.#x.count;
    this.count = this.total;
    if (this.count === 0) throw new ShapeError(`${what}: got no samples, expected at least one`);
    this.#y = readTargets(y, kind, this.count, this.engine, loss, `${what}: y`);
    this.#buffer = new TensorBuffer(this.engine);
  }

  /** The shape of a sample. */
  get sampleShape(): readonly number[] {
    return this.#x.shape;
  }

  /** Throws a ShapeError if the shapes tell that the net does not take `size` samples, or that the targets do not fit. */
  checkShapes(net: Layer, size: number): void {
    const outputShape = net.shapeAfter([size, ...this.#x.shape]);
    if (outputShape !== undefined) this.#y.checkFit(outputShape, size);
  }

  /** Checks all values and labels; yields now and then. */
  *check(): Steps {
    yield* checkRows(this.#x);
    yield* this.#y.check();
  }

  take(selection: Selection): Batch {
    const y = this.#y.take(selection);
    return { x: gather(this.#x, selection, this.#buffer), y };
  }

  /** The labels of a batch. */
  labels(selection: Selection): Int32Array {
    return this.#y.take(selection) as Int32Array;
  }

  /** A batch's targets in the form that the loss needs. Throws a ShapeError if one of our losses cannot take them. */
  targetsFor(output: Tensor, { y }: Batch): Int32Array | Tensor {
    return this.#y.settle(y, output.shape);
  }

  dispose(): void {
    this.#buffer.dispose();
    this.#y.dispose();
  }
}
