import { TensorBuffer } from "../buffers.js";
import type { Engine } from "../engine.js";
import { ShapeError } from "../errors.js";
import type { Layer } from "../layers/layer.js";
import type { Tensor } from "../tensor.js";
import type { Loss } from "./modes.js";
import { checkRows, gather, type Rows, type Selection } from "./rows.js";
import { netEngine, readDataset, readSamples } from "./samples.js";
import { type BatchTargets, readTargets, type TargetKind } from "./targets.js";
import type { Steps } from "./turns.js";

/** A batch: inputs, and targets that may still have to take the outputs' shape. */
export interface Batch {
  readonly x: Tensor;
  readonly y: Int32Array | Tensor;
}

/** A data set, batch by batch. Each is copied into the same buffers of linear memory. */
export class Batches {
  readonly engine: Engine;
  readonly count: number;
  readonly #x: Rows;
  readonly #y: BatchTargets;
  readonly #buffer: TensorBuffer;

  /** Throws ShapeError (also for no samples), ArgumentError, StateError or EngineError. */
  constructor(net: Layer, data: unknown, kind: TargetKind, loss: Loss, what: string) {
    const { x, y, sampleShape } = readDataset(data, what);
    this.engine = netEngine(net, x);
    this.#x = readSamples(net, x, sampleShape, what);
    this.count = this.#x.count;
    if (this.count === 0) throw new ShapeError(`${what}: got no samples, expected at least one`);
    this.#y = readTargets(y, kind, this.count, this.engine, loss, `${what}: y`);
    this.#buffer = new TensorBuffer(this.engine);
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

  /** A batch's targets in the form that the loss needs. Throws a ShapeError if one of our losses cannot take them. */
  targetsFor(output: Tensor, { y }: Batch): Int32Array | Tensor {
    return this.#y.settle(y, output.shape);
  }

  dispose(): void {
    this.#buffer.dispose();
    this.#y.dispose();
  }
}
