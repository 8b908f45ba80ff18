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

/** A batch: inputs, and targets that are yet to be settled by the outputs' shape. */
export interface Batch {
  readonly x: Tensor;
  readonly y: Int32Array | Tensor;
}

/** A data set as batches: each is copied into buffers of linear memory, which every batch reuses. */
export class Batches {
  readonly engine: Engine;
  readonly count: number;
  readonly #x: Rows;
  readonly #y: BatchTargets;
  readonly #buffer: TensorBuffer;

  /** Throws ShapeError, ArgumentError, StateError or EngineError; no samples are a ShapeError. */
  constructor(net: Layer, data: unknown, kind: TargetKind, loss: Loss, what: string) {
    const { x, y, sampleShape } = readDataset(data, what);
    this.engine = netEngine(net, x);
    this.#x = readSamples(net, x, sampleShape, what);
    this.count = this.#x.count;
    if (this.count === 0) throw new ShapeError(`${what}: got no samples, expected at least one`);
    this.#y = readTargets(y, kind, this.count, this.engine, loss, `${what}: y`);
    this.#buffer = new TensorBuffer(this.engine);
  }

  /** Throws a ShapeError where the net can tell that it does not take `size` samples at a time, or that the targets do not fit. */
  checkShapes(net: Layer, size: number): void {
    const outputShape = net.shapeAfter([size, ...this.#x.shape]);
    if (outputShape !== undefined) this.#y.checkFit(outputShape, size);
  }

  /** Looks at all values and labels; yields now and then. */
  *check(): Steps {
    yield* checkRows(this.#x);
    yield* this.#y.check();
  }

  take(selection: Selection): Batch {
    const y = this.#y.take(selection);
    return { x: gather(this.#x, selection, this.#buffer), y };
  }

  /** A batch's targets as the loss of these outputs takes them. Throws a ShapeError where a loss of ours does not. */
  targetsFor(output: Tensor, { y }: Batch): Int32Array | Tensor {
    return this.#y.settle(y, output.shape);
  }

  dispose(): void {
    this.#buffer.dispose();
    this.#y.dispose();
  }
}
