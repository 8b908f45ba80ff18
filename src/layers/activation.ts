import type { BufferRequest } from "../buffers.js";
import type { Tensor } from "../tensor.js";
import type { Parameter } from "./layer.js";

/** The bias of an affine map in front: a value for each channel of tensors [rows, channels, inner]. */
export interface BiasTarget {
  readonly parameter: Parameter;
  readonly layout: readonly [rows: number, channels: number, inner: number];
}

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
   * ds = dy · f'(s), and, where `wantParams`, what the activation's own parameters and `bias` get added to their
   * gradients.
   */
  backward(s: Tensor, dy: Tensor, ds: Tensor, wantParams: boolean, bias: BiasTarget | undefined): void;
  /** What every message needs beside the tensors that it is given. */
  scratch(): readonly BufferRequest[];
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

  backward(s: Tensor, dy: Tensor, ds: Tensor, _wantParams: boolean, bias: BiasTarget | undefined): void {
    this.mask(s, dy, ds);
    if (bias !== undefined) addBiasGradient(bias, ds);
  }

  scratch(): readonly BufferRequest[] {
    return [];
  }

  dispose(): void {}
}

/** Adds Σ over rows and inner of ds to a bias' gradient. */
export function addBiasGradient({ parameter: { grad }, layout }: BiasTarget, ds: Tensor): void {
  const accumulate = grad.startSum();
  ds.engine.ops.channelSums(...layout, ds.offset, grad.offset, accumulate);
}
