import { showShape } from "../checks.js";
import { ShapeError } from "../errors.js";
import type { Tensor } from "../tensor.js";
import type { Parameter } from "./layer.js";

/**
 * An elementwise function with its derivatives, as a layer of its own and as the second half of a fused one. It knows shapes and
 * kernels; who calls it owns the tensors.
 */
export interface Activation {
  parameters(): Parameter[];
  /** Throws a ShapeError where an input of this shape does not fit. */
  checkShape(shape: readonly number[], what: string): void;
  /** y = f(s); y may be s. */
  forward(s: Tensor, y: Tensor): void;
  /**
   * ds = dy · f'(s), and, where `wantParams`, what the activation's own parameters and `bias` (of the dense layer in front, s of
   * shape [N, K] or [K]) get added to their gradients.
   */
  backward(s: Tensor, dy: Tensor, ds: Tensor, wantParams: boolean, bias: Parameter | undefined): void;
}

/** Adds Σ over samples of ds, [N, K] or [K], to a bias' gradient. */
export function addBiasGradient(bias: Parameter, ds: Tensor): void {
  const columns = bias.value.size;
  const { grad } = bias;
  const accumulate = grad.accumulates();
  ds.engine.ops.columnSums(ds.size / columns, columns, ds.storage.offset, grad.storage.offset, accumulate);
}

/** PReLU's slopes, one or one for each channel, and what is done with them. */
export class SlopeActivation implements Activation {
  readonly count: number;

  constructor(
    readonly slope: Parameter,
    init: number,
  ) {
    this.count = slope.value.size;
    slope.value.fill_(init);
  }

  parameters(): Parameter[] {
    return [this.slope];
  }

  /** The slopes in effect, a copy. */
  slopes(): Float32Array {
    return this.slope.value.data.slice();
  }

  checkShape(shape: readonly number[], what: string): void {
    if (this.count === 1) return;
    const channels = channelsOf(shape);
    if (channels !== this.count) {
      throw new ShapeError(
        `${what} got ${showShape(shape)}, expected ${showShape(["N", this.count, "..."])} or ${showShape([this.count])}`,
      );
    }
  }

  forward(s: Tensor, y: Tensor): void {
    const [rows, channels, inner] = this.#layout(s);
    s.engine.ops.prelu(rows, channels, inner, s.storage.offset, this.slope.value.read(), y.storage.offset);
  }

  backward(s: Tensor, dy: Tensor, ds: Tensor, wantParams: boolean, bias: Parameter | undefined): void {
    const [rows, channels, inner] = this.#layout(s);
    const slope = wantParams ? this.slope : undefined;
    // a shared slope runs over all elements at once, where there are no columns to sum
    const inOnePass = inner === 1 && channels === bias?.value.size ? bias : undefined;
    const accumulateSlope = slope?.grad.accumulates() ?? false;
    const accumulateBias = inOnePass?.grad.accumulates() ?? false;
    s.engine.ops.preluBackward(
      rows,
      channels,
      inner,
      s.storage.offset,
      dy.storage.offset,
      this.slope.value.read(),
      ds.storage.offset,
      slope?.grad.storage.offset ?? 0,
      accumulateSlope,
      inOnePass?.grad.storage.offset ?? 0,
      accumulateBias,
    );
    if (bias !== undefined && inOnePass === undefined) addBiasGradient(bias, ds);
  }

  /** [rows, channels, inner] as the kernels see it. */
  #layout(s: Tensor): [rows: number, channels: number, inner: number] {
    if (this.count === 1) return [1, 1, s.size];
    const rows = s.shape.length > 1 ? s.shape[0] : 1;
    const elements = rows * this.count;
    return [rows, this.count, elements === 0 ? 0 : s.size / elements];
  }
}

/** The channel axis is 1; of a single sample [C] it is 0. */
function channelsOf(shape: readonly number[]): number | undefined {
  return shape.length > 1 ? shape[1] : shape[0];
}

/** ReLU has nothing to train. */
export class ReluActivation implements Activation {
  parameters(): Parameter[] {
    return [];
  }

  checkShape(): void {}

  forward(s: Tensor, y: Tensor): void {
    s.engine.ops.relu(s.size, s.storage.offset, y.storage.offset);
  }

  backward(s: Tensor, dy: Tensor, ds: Tensor, _wantParams: boolean, bias: Parameter | undefined): void {
    s.engine.ops.reluBackward(s.size, s.storage.offset, dy.storage.offset, ds.storage.offset);
    if (bias !== undefined) addBiasGradient(bias, ds);
  }
}
