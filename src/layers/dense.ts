import { checkBoolean, checkSize, showShape } from "../checks.js";
import { ShapeError } from "../errors.js";
import type { Tensor } from "../tensor.js";
import { type Activation, addBiasGradient } from "./activation.js";
import { CoreLayer, type Request } from "./core.js";
import type { LayerOptions, Parameter } from "./layer.js";

export interface DenseParts {
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;
  readonly activation: Activation | undefined;
}

/** The parameters of a dense layer: weight [K, n], then bias [K] where there is one. */
export function denseParameterShapes(
  inFeatures: number,
  outFeatures: number,
  bias: boolean,
  type: string,
): [name: string, shape: number[]][] {
  checkSize(inFeatures, `${type}: inFeatures`);
  checkSize(outFeatures, `${type}: outFeatures`);
  checkBoolean(bias, `${type}: bias`);
  return [["weight", [outFeatures, inFeatures]], ...(bias ? [["bias", [outFeatures]] as [string, number[]]] : [])];
}

/**
 * y = f(s), s = x · Wᵀ + b, with f an activation or nothing; x [N, n] or [n]. The three messages (δ = dy ⊙ f'(s)):
 *
 *   forward    y = f(x · Wᵀ + b)
 *   backward   dx = δ · W
 *   parameter  dW += δᵀ · x,  db += Σ δ,  and the activation's own
 *
 * The layers Linear, LinearPReLU, ... are this with their parameters; a net puts its neighbours together in one.
 */
export abstract class DenseLayer extends CoreLayer {
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly #parts: DenseParts;
  readonly #s = this.buffer();
  readonly #y = this.buffer();
  readonly #ds = this.buffer();
  readonly #dx = this.buffer();
  #lastS: Tensor | undefined;

  constructor(parts: DenseParts, options: LayerOptions) {
    super(options);
    this.#parts = parts;
    [this.outFeatures, this.inFeatures] = parts.weight.value.shape;
  }

  override parameters(): Parameter[] {
    const { weight, bias, activation } = this.#parts;
    return [weight, ...(bias ? [bias] : []), ...(activation?.parameters() ?? [])];
  }

  override flatInputSize(): number {
    return this.inFeatures;
  }

  override shapeAfter(shape: readonly number[]): readonly number[] {
    const isSample = shape.length === 1;
    if (shape.length === 0 || shape.length > 2 || shape[shape.length - 1] !== this.inFeatures) {
      throw new ShapeError(
        `${this.describe()}: forward got ${showShape(shape)}, expected ${showShape(["N", this.inFeatures])} or ${showShape([this.inFeatures])}`,
      );
    }
    return isSample ? [this.outFeatures] : [shape[0], this.outFeatures];
  }

  /** y, and s for the messages back: without them, or without an activation, s has its place in y. */
  protected override forwardBuffers(outputShape: readonly number[]): Request[] {
    const keepsS = this.#parts.activation !== undefined && this.training;
    return keepsS
      ? [
          [this.#y, outputShape],
          [this.#s, outputShape],
        ]
      : [[this.#y, outputShape]];
  }

  protected override computeForward(x: Tensor, [y, s = y]: readonly Tensor[]): void {
    const { weight, bias, activation } = this.#parts;
    const { inFeatures: n, outFeatures: k } = this;
    const rows = y.size / k;
    const biasOffset = bias?.value.read() ?? 0;
    this.engine.ops.gemm(
      false,
      true,
      rows,
      k,
      n,
      x.storage.offset,
      n,
      weight.value.read(),
      n,
      s.storage.offset,
      k,
      biasOffset,
      false,
    );
    activation?.forward(s, y);
    this.#lastS = s;
  }

  protected override backwardBuffers(x: Tensor, dyShape: readonly number[], wantInput: boolean): Request[] {
    return [
      ...(wantInput ? [[this.#dx, x.shape] as const] : []),
      ...(this.#parts.activation ? [[this.#ds, dyShape] as const] : []),
    ];
  }

  protected override computeBackward(
    x: Tensor,
    dy: Tensor,
    taken: readonly Tensor[],
    wantInput: boolean,
    wantParams: boolean,
  ): void {
    const { activation } = this.#parts;
    const ds = activation ? taken[taken.length - 1] : dy;
    const bias = wantParams ? this.#parts.bias : undefined;
    if (activation) activation.backward(this.#lastS!, dy, ds, wantParams, bias);
    else if (bias) addBiasGradient(bias, ds);
    if (wantParams) this.#addWeightGradient(x, ds);
    if (wantInput) this.#inputGradient(ds, taken[0]);
  }

  #addWeightGradient(x: Tensor, ds: Tensor): void {
    const { inFeatures: n, outFeatures: k } = this;
    const { grad } = this.#parts.weight;
    const accumulate = grad.accumulates();
    const rows = ds.size / k;
    this.engine.ops.gemm(
      true,
      false,
      k,
      n,
      rows,
      ds.storage.offset,
      k,
      x.storage.offset,
      n,
      grad.storage.offset,
      n,
      0,
      accumulate,
    );
  }

  #inputGradient(ds: Tensor, dx: Tensor): void {
    const { inFeatures: n, outFeatures: k } = this;
    const weight = this.#parts.weight.value.read();
    const rows = ds.size / k;
    this.engine.ops.gemm(false, false, rows, n, k, ds.storage.offset, k, weight, n, dx.storage.offset, n, 0, false);
  }

  override dispose(): void {
    this.#parts.activation?.dispose();
    super.dispose();
  }
}
