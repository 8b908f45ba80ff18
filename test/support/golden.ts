import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import type * as lg from "lanegrad";
import { expect } from "vitest";
import { exact, firstDifference, type Limit, ROUNDING } from "./compare.js";

/** PyTorch's values: ../golden/README.md has the format and says where the limits come from. */
export interface GoldenTensor {
  readonly shape: number[];
  readonly dtype?: "float32" | "float64" | "int32";
  readonly data: (number | string)[];
  readonly tol?: { readonly abs: number; readonly rel: number; readonly scale: number; readonly pert?: number };
}

/** A layer of a trajectory, or an operation on its own; hyper-parameters are absent where the operation has none. */
export interface LayerConfig {
  readonly type: string;
  readonly inFeatures?: number;
  readonly outFeatures?: number;
  readonly bias?: boolean;
  readonly numParameters?: number;
  readonly alpha?: number;
  readonly negativeSlope?: number;
  readonly inChannels?: number;
  readonly outChannels?: number;
  readonly kernel?: [number, number];
  readonly stride?: [number, number];
  readonly padding?: [number, number];
  readonly numFeatures?: number;
  readonly eps?: number;
  readonly momentum?: number;
}

export interface OptimizerConfig {
  readonly lr: number;
  readonly momentum?: number;
  readonly dampening?: number;
  readonly nesterov?: boolean;
  readonly weightDecay?: number;
  readonly betas?: [number, number];
  readonly eps?: number;
  readonly amsgrad?: boolean;
  readonly alpha?: number;
  readonly centered?: boolean;
  /** Settings that change before a step, which counts from 0. */
  readonly change?: Readonly<Record<string, Partial<OptimizerConfig>>>;
  /** Steps at which the parameter has no gradient. */
  readonly withoutGradient?: readonly number[];
}

export interface LossConfig {
  readonly reduction: "mean" | "sum";
  readonly labelSmoothing?: number;
}

export interface GoldenCase {
  readonly name: string;
  readonly config: Omit<LayerConfig, "type"> &
    OptimizerConfig &
    LossConfig & {
      readonly op: string;
      readonly exact?: boolean;
      readonly special?: boolean | string;
      readonly activation?: string;
      readonly invariant?: boolean;
      readonly powerOfTwo?: boolean;
      readonly deadUnits?: number[];
      readonly weightShape?: number[];
      readonly a?: number;
      readonly training?: boolean;
      readonly affine?: boolean;
      readonly dims?: "1d" | "2d";
      readonly unspecified?: Record<string, number[]>;
      readonly layers: LayerConfig[];
      readonly loss: string;
      readonly optimizer: OptimizerConfig & { readonly type: string };
      readonly steps: number;
    };
  readonly inputs: Record<string, GoldenTensor>;
  readonly outputs: Record<string, GoldenTensor>;
}

const FOLDER = process.env.LANEGRAD_GOLDEN ?? join(dirname(fileURLToPath(import.meta.url)), "../golden/data");

/** The cases of a family that `wanted` takes; none at all is an error, or a test could pass by running nothing. */
export function goldenCases(family: string, wanted: (config: GoldenCase["config"]) => boolean): GoldenCase[] {
  const plain = join(FOLDER, `${family}.json`);
  const text = existsSync(plain) ? readFileSync(plain) : gunzipSync(readFileSync(`${plain}.gz`));
  const file: { cases: GoldenCase[] } = JSON.parse(text.toString());
  const cases = file.cases.filter(({ config }) => wanted(config));
  if (cases.length === 0) throw new Error(`${family}: no case of this kind in ${FOLDER}`);
  return cases;
}

/** Its numbers as they are stored: "NaN", "-0" and the infinities decoded, a float32's text made that float32. */
export function decode(tensor: GoldenTensor): Float32Array | Float64Array | Int32Array {
  const numbers = tensor.data.map(Number);
  if (tensor.dtype === "float64") return Float64Array.from(numbers);
  return tensor.dtype === "int32" ? Int32Array.from(numbers) : Float32Array.from(numbers);
}

export const floats = (tensor: GoldenTensor): Float32Array => Float32Array.from(decode(tensor));
export const integers = (tensor: GoldenTensor): Int32Array => Int32Array.from(decode(tensor));

/** Samples or a loss's targets: float32, or int32 labels. */
export const stored = (tensor: GoldenTensor): Float32Array | Int32Array =>
  tensor.dtype === "int32" ? integers(tensor) : floats(tensor);

export const toTensor = (engine: lg.Engine, tensor: GoldenTensor): lg.Tensor =>
  engine.tensor(floats(tensor), tensor.shape);

/** The limit of products, sums and what follows from them. */
export function dense({ config }: GoldenCase, { tol }: GoldenTensor): Limit {
  if (config.exact) return exact;
  if (tol === undefined || config.special === true) throw new Error("no dense limit: special values span every scale");
  const bound = 8 * Math.max(tol.abs, tol.pert ?? 0) + 8 * ROUNDING * tol.scale;
  return (got, want) => Math.abs(got - want) <= bound;
}

/** The limit of element-wise functions that are not a single product. */
export const elementwise: Limit = (got, want) => Math.abs(got - want) <= 2 ** -21 * Math.abs(want) + 3e-45;

/** Compares the numbers of one output of a case. */
export function expectOutput(golden: GoldenCase, name: string, got: ArrayLike<number>, limit?: Limit): void {
  const want = golden.outputs[name];
  const skip = new Set(golden.config.unspecified?.[name]);
  const problem = firstDifference(got, decode(want), limit ?? dense(golden, want), skip);
  expect(problem, `${golden.name}: ${name}`).toBeUndefined();
}

/** Compares one output of a case, shape and numbers. */
export function expectTensor(
  golden: GoldenCase,
  name: string,
  got: Pick<lg.Tensor, "shape" | "data">,
  limit?: Limit,
): void {
  expect(got.shape, `${golden.name}: ${name}`).toEqual(golden.outputs[name].shape);
  expectOutput(golden, name, got.data, limit);
}
