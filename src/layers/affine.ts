import type { Engine } from "../engine.js";
import type { Tensor } from "../tensor.js";
import { type Activation, addBiasGradient, type BiasTarget } from "./activation.js";
import { type BufferRequest, BuiltInLayer, type Wanted } from "./built-in-layer.js";
import type { Parameter } from "./layer.js";

/** A map s = W x + b with its derivatives on tensors: what a dense layer and a convolution differ in. */
export interface AffineMap {
  readonly engine: Engine;
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;
  /** The width of a flat Float32Array batch, where such a batch has a meaning. */
  readonly flatInputSize: number | undefined;
  /** Whether an input of this shape is one sample, without an axis N. */
  isSample(inputShape: readonly number[]): boolean;
  /** The output's shape; throws a ShapeError that begins with `what` where the input does not fit. */
  shapeAfter(inputShape: readonly number[], what: string): readonly number[];
  /** Floats of scratch that each message over inputs of this shape needs. */
  workSize(inputShape: readonly number[]): number;
  /** s = W x + b */
  forward(x: Tensor, s: Tensor, work: Tensor | undefined): void;
  /** dW += what ds and x say */
  addWeightGradient(x: Tensor, ds: Tensor, work: Tensor | undefined): void;
  /** dx = Wᵀ ds */
  inputGradient(ds: Tensor, dx: Tensor, work: Tensor | undefined): void;
  /** How a tensor of s' shape divides into the bias' channels: [rows, channels, inner]. */
  channelLayout(s: Tensor): BiasTarget["layout"];
}

/**
 * y = f(s), s = W x + b, with f an activation or nothing. The three messages (δ = dy ⊙ f'(s)):
 *
 *   forward    y = f(W x + b)
 *   backward   dx = Wᵀ δ
 *   parameter  dW += δ xᵀ,  db += Σ δ,  and the activation's own
 *
 * The layers Linear, LinearPReLU, Conv2d, ... are this with their parameters; a net puts its neighbours together in one.
 */
export abstract class AffineLayer extends BuiltInLayer {
  /** @internal */
  readonly map: AffineMap;
  readonly #activation: Activation | undefined;
  readonly #s = this.buffer();
  readonly #y = this.buffer();
  readonly #ds = this.buffer();
  readonly #dx = this.buffer();
  readonly #work = this.buffer();
  readonly #scratchCount: number;
  #lastS: Tensor | undefined;

  constructor(map: AffineMap, activation?: Activation) {
    super({ engine: map.engine });
    this.map = map;
    this.#activation = activation;
    this.#scratchCount = activation?.scratch().length ?? 0;
  }

  /** Whether there is a place for an activation behind the map. @internal */
  get isPlain(): boolean {
    return this.#activation === undefined;
  }

  get weight(): Parameter {
    return this.map.weight;
  }

  /** undefined without a bias. */
  get bias(): Parameter | undefined {
    return this.map.bias;
  }

  override parameters(): Parameter[] {
    const { weight, bias } = this.map;
    return [weight, ...(bias ? [bias] : []), ...(this.#activation?.parameters() ?? [])];
  }

  override flatInputSize(): number | undefined {
    return this.map.flatInputSize;
  }

  override isSample(shape: readonly number[]): boolean {
    return this.map.isSample(shape);
  }

  override shapeAfter(shape: readonly number[]): readonly number[] {
    return this.map.shapeAfter(shape, `${this.describe()}: forward`);
  }

  /** Scratch, the last of a message's buffers: the activation's, then the map's, where they need any. */
  #scratch(inputShape: readonly number[]): BufferRequest[] {
    const size = this.map.workSize(inputShape);
    return [...(this.#activation?.scratch() ?? []), ...(size === 0 ? [] : [[this.#work, [size]] as const])];
  }

  /** The map's scratch among a message's buffers, of which `count` are others. */
  #workAmong(taken: readonly Tensor[], count: number): Tensor | undefined {
    return taken[count + this.#scratchCount];
  }

  /** y, and s for the messages back: without them, or without an activation, s has its place in y. */
  protected override forwardBuffers(inputShape: readonly number[], outputShape: readonly number[]): BufferRequest[] {
    const keepsS = this.#activation !== undefined && this.training;
    return [[this.#y, outputShape], ...(keepsS ? [[this.#s, outputShape] as const] : []), ...this.#scratch(inputShape)];
  }

  protected override computeForward(x: Tensor, taken: readonly Tensor[]): void {
    const [y] = taken;
    const keepsS = this.#activation !== undefined && this.training;
    const s = keepsS ? taken[1] : y;
    this.map.forward(x, s, this.#workAmong(taken, keepsS ? 2 : 1));
    this.#activation?.forward(s, y);
    this.#lastS = s;
  }

  protected override backwardBuffers(
    x: Tensor,
    dyShape: readonly number[],
    wantInput: boolean,
    mayOverwrite: boolean,
  ): BufferRequest[] {
    return [
      ...(wantInput ? [[this.#dx, x.shape] as const] : []),
      ...(this.#activation && !mayOverwrite ? [[this.#ds, dyShape] as const] : []),
      ...this.#scratch(x.shape),
    ];
  }

  protected override computeBackward(
    x: Tensor,
    dy: Tensor,
    taken: readonly Tensor[],
    { input, params, mayOverwrite }: Wanted,
  ): Tensor | undefined {
    const { map } = this;
    const hasOwn = this.#activation !== undefined && !mayOverwrite;
    const dx = input ? taken[0] : undefined;
    const ds = hasOwn ? taken[input ? 1 : 0] : dy;
    const work = this.#workAmong(taken, Number(input) + Number(hasOwn));
    const bias = params && map.bias !== undefined ? { parameter: map.bias, layout: map.channelLayout(ds) } : undefined;
    if (this.#activation) this.#activation.backward(this.#lastS!, dy, ds, params, bias);
    else if (bias) addBiasGradient(bias, ds);
    if (params) map.addWeightGradient(x, ds, work);
    if (dx !== undefined) map.inputGradient(ds, dx, work);
    return dx;
  }

  override dispose(): void {
    this.#activation?.dispose();
    super.dispose();
  }
}
