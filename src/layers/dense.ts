import { checkBoolean, checkSize, showShape, type Text } from "../checks.js";
import type { Engine } from "../engine.js";
import { ShapeError } from "../errors.js";
import type { Tensor } from "../tensor.js";
import type { BiasTarget } from "./activation.js";
import { AffineLayer, type AffineMap } from "./affine.js";
import type { Parameter } from "./layer.js";

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

/** s = x · Wᵀ + b; x [N, n] or [n], W [K, n]. Back: dx = ds · W, dW += dsᵀ · x. */
export class DenseMap implements AffineMap {
  readonly engine: Engine;
  readonly inFeatures: number;
  readonly outFeatures: number;

  constructor(
    readonly weight: Parameter,
    readonly bias: Parameter | undefined,
  ) {
    this.engine = weight.value.engine;
    [this.outFeatures, this.inFeatures] = weight.value.shape;
  }

  get flatInputSize(): number {
    return this.inFeatures;
  }

  isSample(shape: readonly number[]): boolean {
    return shape.length === 1;
  }

  shapeAfter(shape: readonly number[], what: Text): readonly number[] {
    if (shape.length === 0 || shape.length > 2 || shape[shape.length - 1] !== this.inFeatures) {
      throw new ShapeError(
        `${what} got ${showShape(shape)}, expected ${showShape(["N", this.inFeatures])} or ${showShape([this.inFeatures])}`,
      );
    }
    return this.isSample(shape) ? [this.outFeatures] : [shape[0], this.outFeatures];
  }

  workSize(): number {
    return 0;
  }

  channelLayout(s: Tensor): BiasTarget["layout"] {
    return [s.size / this.outFeatures, this.outFeatures, 1];
  }

  forward(x: Tensor, s: Tensor): void {
    const { inFeatures: n, outFeatures: k } = this;
    const rows = s.size / k;
    const bias = this.bias?.value.read() ?? 0;
    const weight = this.weight.value.read();
    const { ops } = this.engine;
    ops.gemm(false, true, rows, k, n, x.read(), n, weight, n, s.overwrite(), k, bias, false);
  }

  addWeightGradient(x: Tensor, ds: Tensor): void {
    const { inFeatures: n, outFeatures: k } = this;
    const { grad } = this.weight;
    const adds = grad.startSum();
    const rows = ds.size / k;
    const { ops } = this.engine;
    ops.gemm(true, false, k, n, rows, ds.read(), k, x.read(), n, grad.offset, n, 0, adds);
  }

  inputGradient(ds: Tensor, dx: Tensor): void {
    const { inFeatures: n, outFeatures: k } = this;
    const weight = this.weight.value.read();
    const rows = ds.size / k;
    const { ops } = this.engine;
    ops.gemm(false, false, rows, n, k, ds.read(), k, weight, n, dx.overwrite(), n, 0, false);
  }
}

/** A dense layer: the map, and an activation or nothing. */
export abstract class DenseLayer extends AffineLayer {
  declare readonly map: DenseMap;

  /** Values of a row of x. */
  get inFeatures(): number {
    return this.map.inFeatures;
  }

  /** Values of a row of y. */
  get outFeatures(): number {
    return this.map.outFeatures;
  }
}
