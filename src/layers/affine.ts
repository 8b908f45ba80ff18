import type { BufferRequest, Requests } from "../buffers.js";
import type { Text } from "../checks.js";
import type { Engine } from "../engine.js";
import type { Tensor } from "../tensor.js";
import { type Activation, addBiasGradient, type BiasTarget, type Scratch } from "./activation.js";
import { type Back, BuiltInLayer, type Shapes, type Wanted } from "./built-in-layer.js";
import { MessageName, type Parameter } from "./layer.js";

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
  shapeAfter(inputShape: readonly number[], what: Text): readonly number[];
  /** Floats of scratch that each message over inputs of this shape needs. */
  workSize(inputShape: readonly number[]): number;
  /** s = W x + b */
  forward(x: Tensor, s: Tensor, work: Tensor | undefined): void;
  /** dW += ds xᵀ, summed over the batch */
  addWeightGradient(x: Tensor, ds: Tensor, work: Tensor | undefined): void;
  /** dx = Wᵀ ds */
  inputGradient(ds: Tensor, dx: Tensor, work: Tensor | undefined): void;
  /** How a tensor of s' shape divides into the bias' channels: [rows, channels, inner]. */
  channelLayout(s: Tensor): BiasTarget["layout"];
}

interface Forward extends Scratch {
  readonly y: Tensor;
  readonly s: Tensor | undefined;
  readonly work: Tensor | undefined;
}

interface Backward extends Scratch {
  readonly dx: Tensor | undefined;
  readonly ds: Tensor | undefined;
  readonly work: Tensor | undefined;
}

/**
 * y = f(s), s = W x + b, with f an activation or nothing. The three messages (δ = dy ⊙ f'(s)):
 *
 *   forward    y = f(W x + b)
 *   backward   dx = Wᵀ δ
 *   parameter  dW += δ xᵀ,  db += Σ δ,  and the activation's own
 *
 * The layers Linear, LinearPReLU, Conv2d, ... are this with their parameters; a net fuses a map and the activation behind it into one.
 */
export abstract class AffineLayer extends BuiltInLayer<Forward, Backward> {
  /** @internal */
  readonly map: AffineMap;
  readonly #activation: Activation | undefined;
  readonly #s = this.buffer();
  readonly #y = this.buffer();
  readonly #ds = this.buffer();
  readonly #dx = this.buffer();
  readonly #work = this.buffer();

  constructor(map: AffineMap, activation?: Activation) {
    super({ engine: map.engine });
    this.map = map;
    this.#activation = activation;
  }

  /** Whether there is a place for an activation behind the map. @internal */
  get isPlain(): boolean {
    return this.#activation === undefined;
  }

  /** The map's weights: [outFeatures, inFeatures], or [outChannels, inChannels, kh, kw] of a convolution. */
  get weight(): Parameter {
    return this.map.weight;
  }

  /** What is added to each output, [outFeatures] or [outChannels]; undefined without a bias. */
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
    return this.map.shapeAfter(shape, new MessageName(this, "forward"));
  }

  #workFor(inputShape: readonly number[]): BufferRequest | undefined {
    const size = this.map.workSize(inputShape);
    return size === 0 ? undefined : [this.#work, [size]];
  }

  /** Without the messages back, or without an activation, s is computed in y's memory. */
  protected override forwardBuffers({ inputShape, outputShape }: Shapes): Requests<Forward> {
    const keepsS = this.#activation !== undefined && this.training;
    const scratch = this.#activation?.scratch();
    return {
      y: [this.#y, outputShape],
      s: keepsS ? [this.#s, outputShape] : undefined,
      work: this.#workFor(inputShape),
      effective: scratch?.effective,
      slopeGradient: scratch?.slopeGradient,
    };
  }

  protected override computeForward(x: Tensor, own: Forward): void {
    const { y, s = y, work } = own;
    this.map.forward(x, s, work);
    this.#activation?.forward(s, y, own);
  }

  /** Without an activation ds is dy; with one it may take dy's place. */
  protected override backwardBuffers(shapes: Shapes, { input, mayOverwrite }: Wanted): Requests<Backward> {
    const { inputShape, outputShape } = shapes;
    const keepsDy = this.#activation !== undefined && !mayOverwrite;
    const scratch = this.#activation?.scratch();
    return {
      dx: input ? [this.#dx, inputShape] : undefined,
      ds: keepsDy ? [this.#ds, outputShape] : undefined,
      work: this.#workFor(inputShape),
      effective: scratch?.effective,
      slopeGradient: scratch?.slopeGradient,
    };
  }

  protected override computeBackward(x: Tensor, dy: Tensor, back: Back<Forward, Backward>): Tensor | undefined {
    const { params, kept, own } = back;
    const { dx, ds = dy, work } = own;
    const { map } = this;
    const bias = params && map.bias !== undefined ? { parameter: map.bias, layout: map.channelLayout(ds) } : undefined;
    if (this.#activation) this.#activation.backward(kept.s!, dy, ds, own, params, bias);
    else if (bias) addBiasGradient(bias, ds);
    if (params) map.addWeightGradient(x, ds, work);
    if (dx !== undefined) map.inputGradient(ds, dx, work);
    return dx;
  }

  /** Frees the layer's memory; any use afterwards is a StateError. */
  override dispose(): void {
    this.#activation?.dispose();
    super.dispose();
  }
}
