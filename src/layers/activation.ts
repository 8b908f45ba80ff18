import type { Requests } from "../buffers.js";
import type { Text } from "../checks.js";
import type { Tensor } from "../tensor.js";
import type { Parameter } from "./layer.js";

/** The bias of an affine map in front: a value for each channel of tensors [rows, channels, inner]. */
export interface BiasTarget {
  readonly parameter: Parameter;
  readonly layout: readonly [rows: number, channels: number, inner: number];
}

/** What an activation needs beside the tensors that it is given: a constrained slope's value in effect, and its gradient. */
export interface Scratch {
  readonly effective?: Tensor;
  readonly slopeGradient?: Tensor;
}

/**
 * An elementwise function with its derivatives, as a layer of its own and as the second half of a fused one. It knows shapes and
 * kernels; who calls it owns the tensors.
 */
export interface Activation {
  parameters(): Parameter[];
  /** Throws a ShapeError where an input of this shape does not fit. */
  checkShape(shape: readonly number[], what: Text): void;
  /** y = f(s); y may be s. */
  forward(s: Tensor, y: Tensor, scratch: Scratch): void;
  /**
   * ds = dy · f'(s); ds may be dy. Where `params`, the activation's own parameters get their gradients, and `bias` gets the sums of ds,
   * if it is given.
   */
  backward(s: Tensor, dy: Tensor, ds: Tensor, scratch: Scratch, params: boolean, bias?: BiasTarget): void;
  /** What every message needs beside the tensors that it is given. */
  scratch(): Requests<Scratch>;
  /** Frees what the activation holds beside its parameters. */
  dispose(): void;
}

/** An activation of any shape with nothing to train: two kernels. */
export abstract class FixedActivation implements Activation {
  parameters(): Parameter[] {
    return [];
  }

  checkShape(): void {}

  abstract forward(s: Tensor, y: Tensor): void;

  /** ds = dy · f'(s) */
  protected abstract mask(s: Tensor, dy: Tensor, ds: Tensor): void;

  backward(s: Tensor, dy: Tensor, ds: Tensor, _scratch: Scratch, _params: boolean, bias?: BiasTarget): void {
    this.mask(s, dy, ds);
    if (bias !== undefined) addBiasGradient(bias, ds);
  }

  scratch(): Requests<Scratch> {
    return {};
  }

  dispose(): void {}
}

/** Adds Σ over rows and inner of ds to a bias' gradient. */
export function addBiasGradient({ parameter: { grad }, layout }: BiasTarget, ds: Tensor): void {
  const adds = grad.startSum();
  ds.engine.ops.channelSums(...layout, ds.read(), grad.offset, adds);
}
