import { checkFinite, checkNumber, checkOptions, checkSeed, checkSize, showShape } from "./checks.js";
import { ShapeError } from "./errors.js";
import { RandomGenerator } from "./random.js";
import { checkTensor, fillNormal, fillUniform, type Tensor } from "./tensor.js";

/** What every random initialisation takes. */
export interface RandomInitOptions {
  /** A draw of its own; the engine's generator unless given. */
  seed?: number;
}

/** What `kaimingNormal_` and `kaimingUniform_` take. */
export interface KaimingOptions extends RandomInitOptions {
  /** Slope of the (leaky) activation behind: gain = sqrt(2 / (1 + a²)); default 0. */
  a?: number;
  /** Inputs of a unit; from the shape unless given: the product of all sizes but the first. */
  fanIn?: number;
}

/** What `xavierNormal_` and `xavierUniform_` take. */
export interface XavierOptions extends RandomInitOptions {
  /** Inputs of a unit; from the shape unless given: the product of all sizes but the first. */
  fanIn?: number;
  /** Outputs that an input reaches; from the shape unless given: the product of all sizes but the second. */
  fanOut?: number;
}

const KAIMING_OPTIONS = ["seed", "a", "fanIn"] as const;
const XAVIER_OPTIONS = ["seed", "fanIn", "fanOut"] as const;

/** Fans of a weight [out, in, ...kernel], as torch.nn.init counts them. Throws ShapeError for fewer than 2 axes. */
function fans(t: Tensor, what: string): { fanIn: number; fanOut: number } {
  if (t.shape.length < 2)
    throw new ShapeError(`${what}: got ${showShape(t.shape)}, expected at least 2 axes, or the fan as an option`);
  const [out, into, ...kernel] = t.shape;
  const field = kernel.reduce((size, length) => size * length, 1);
  return { fanIn: into * field, fanOut: out * field };
}

function generatorFor(t: Tensor, seed: number | undefined, what: string): RandomGenerator {
  return seed === undefined ? t.engine.generator : new RandomGenerator(checkSeed(seed, `${what}: seed`));
}

function kaimingStd(t: Tensor, { a = 0, fanIn }: KaimingOptions, what: string): number {
  checkFinite(a, `${what}: a`);
  const fan = fanIn === undefined ? fans(t, what).fanIn : checkSize(fanIn, `${what}: fanIn`);
  return Math.sqrt(2 / ((1 + a * a) * fan));
}

function xavierStd(t: Tensor, { fanIn, fanOut }: XavierOptions, what: string): number {
  const into = fanIn === undefined ? fans(t, what).fanIn : checkSize(fanIn, `${what}: fanIn`);
  const out = fanOut === undefined ? fans(t, what).fanOut : checkSize(fanOut, `${what}: fanOut`);
  return Math.sqrt(2 / (into + out));
}

/**
 * Independent draws from N(0, 2 / ((1 + a²) fanIn)), which keep the variance of activations behind a PReLU of slope a (He et al., 2015).
 * Returns t, a weight [out, in, ...kernel]. Throws ShapeError for fewer than 2 axes without `fanIn`, ArgumentError for an `a` that is not
 * finite, a fan that is no integer >= 1 or a seed that is no safe integer.
 */
export function kaimingNormal_(t: Tensor, options?: KaimingOptions): Tensor {
  checkTensor(t, "kaimingNormal_");
  const settings = checkOptions(options, KAIMING_OPTIONS, "kaimingNormal_");
  const std = kaimingStd(t, settings, "kaimingNormal_");
  return fillNormal(t, std, generatorFor(t, settings.seed, "kaimingNormal_"));
}

/** Independent draws, uniform on ±sqrt(3) times `kaimingNormal_`'s standard deviation. Returns t. Throws as `kaimingNormal_` does. */
export function kaimingUniform_(t: Tensor, options?: KaimingOptions): Tensor {
  checkTensor(t, "kaimingUniform_");
  const settings = checkOptions(options, KAIMING_OPTIONS, "kaimingUniform_");
  const bound = Math.sqrt(3) * kaimingStd(t, settings, "kaimingUniform_");
  return fillUniform(t, bound, generatorFor(t, settings.seed, "kaimingUniform_"));
}

/**
 * Independent draws from N(0, 2 / (fanIn + fanOut)) (Glorot and Bengio, 2010). Returns t, a weight [out, in, ...kernel]. Throws ShapeError
 * for fewer than 2 axes without both fans, ArgumentError for a fan that is no integer >= 1 or a seed that is no safe integer.
 */
export function xavierNormal_(t: Tensor, options?: XavierOptions): Tensor {
  checkTensor(t, "xavierNormal_");
  const settings = checkOptions(options, XAVIER_OPTIONS, "xavierNormal_");
  return fillNormal(t, xavierStd(t, settings, "xavierNormal_"), generatorFor(t, settings.seed, "xavierNormal_"));
}

/** Independent draws, uniform on ±sqrt(6 / (fanIn + fanOut)). Returns t. Throws as `xavierNormal_` does. */
export function xavierUniform_(t: Tensor, options?: XavierOptions): Tensor {
  checkTensor(t, "xavierUniform_");
  const settings = checkOptions(options, XAVIER_OPTIONS, "xavierUniform_");
  const bound = Math.sqrt(3) * xavierStd(t, settings, "xavierUniform_");
  return fillUniform(t, bound, generatorFor(t, settings.seed, "xavierUniform_"));
}

/** Sets every element to 0. Returns t. */
export function zeros_(t: Tensor): Tensor {
  checkTensor(t, "zeros_");
  return t.fill_(0);
}

/** Sets every element to `value`. Returns t. Throws ArgumentError for what is no number. */
export function constant_(t: Tensor, value: number): Tensor {
  checkTensor(t, "constant_");
  return t.fill_(checkNumber(value, "constant_"));
}
