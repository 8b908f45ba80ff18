import { Buffer } from "../buffers.js";
import { show } from "../checks.js";
import { defaultEngine, type Engine } from "../engine.js";
import { ArgumentError, EngineError, StateError } from "../errors.js";
import { sameShape, Tensor } from "../tensor.js";
import { AffineLayer } from "./affine.js";
import { CoreLayer } from "./core.js";
import { ActivationLayer } from "./elementwise.js";
import { copyInput, readGradient, readInput } from "./inputs.js";
import { type Input, Layer, type Message, type Parameter } from "./layer.js";

/** What runs as one: a child, or neighbours put together. */
interface Stage {
  readonly layer: Layer;
  /** Called before forward: a fused stage takes its mode from its halves, which forget what they remembered. */
  prepare(): void;
}

/** A Linear or Conv2d layer and the activation behind it, as one layer over their parameters. They stay the owners. */
class FusedAffine extends AffineLayer implements Stage {
  static readonly isOurs = true;
  readonly layer = this;

  constructor(
    readonly front: AffineLayer,
    readonly activationLayer: ActivationLayer,
  ) {
    super(front.map, activationLayer.activation);
  }

  prepare(): void {
    this.training = this.front.training && this.activationLayer.training;
    this.front.forget();
    this.activationLayer.forget();
  }

  override shapeAfter(shape: readonly number[]): readonly number[] {
    const outputShape = super.shapeAfter(shape);
    this.activationLayer.activation.checkShape(outputShape, `${this.activationLayer.describe()}: forward`);
    return outputShape;
  }

  /** Its halves keep the parameters: without one of them there is nothing to run. */
  override assertUsable(): void {
    super.assertUsable();
    this.front.assertUsable();
    this.activationLayer.assertUsable();
  }

  override parameters(): Parameter[] {
    return [];
  }

  override describe(): string {
    return this.front.describe();
  }
}

/**
 * Layers one after the other: `new Sequential(a, b, ...)` names them "0", "1", ..., `new Sequential({ name: layer, ... })` by their
 * keys; their parameters' names follow behind a dot. Nests. A Linear or Conv2d with an activation behind it runs fused, and in
 * eval mode activations and BatchNorm work in the place of the output before them; names, values and gradients stay those of the
 * separate layers.
 *
 * Throws ArgumentError without children or for what is no layer, StateError for a layer (or parameter) that is there twice,
 * EngineError for layers of different engines.
 */
export class Sequential extends Layer {
  readonly engine: Engine;
  readonly layers: readonly Layer[];
  readonly #names: readonly string[];
  readonly #stages: readonly Stage[];
  readonly #xCopy: Buffer;
  readonly #dyCopy: Buffer;
  #memory: { readonly inputs: readonly Tensor[]; readonly outputShape: readonly number[] } | undefined;
  /** What memory was last taken for. */
  #reserved: { readonly training: boolean; readonly inputShape: readonly number[] } | undefined;
  #disposed = false;

  constructor(layers: Readonly<Record<string, Layer>>);
  constructor(...layers: Layer[]);
  constructor(...given: (Layer | Readonly<Record<string, Layer>>)[]) {
    super();
    const entries = namedLayers(given);
    this.#names = entries.map(([name]) => name);
    this.layers = Object.freeze(entries.map(([, layer]) => layer));
    checkDistinct(this);
    this.engine = commonEngine(this.layers);
    this.#stages = fuse(this.layers);
    this.#xCopy = new Buffer(this.engine);
    this.#dyCopy = new Buffer(this.engine);
  }

  override get type(): string {
    return "Sequential";
  }

  override describe(): string {
    return `Sequential(${this.layers.map((layer) => layer.describe()).join(", ")})`;
  }

  override children(): readonly (readonly [string, Layer])[] {
    return this.layers.map((layer, i) => [this.#names[i], layer] as const);
  }

  override parameters(): Parameter[] {
    return this.children().flatMap(([name, layer]) =>
      layer.parameters().map((parameter) => ({ ...parameter, name: `${name}.${parameter.name}` })),
    );
  }

  override zeroGrad(): void {
    for (const layer of this.layers) layer.zeroGrad();
  }

  override flatInputSize(): number | undefined {
    return this.layers[0].flatInputSize();
  }

  /** As the first layer says that knows. */
  override isSample(shape: readonly number[]): boolean | undefined {
    for (const layer of this.layers) {
      const isSample = layer.isSample(shape);
      if (isSample !== undefined) return isSample;
    }
    return undefined;
  }

  override shapeAfter(shape: readonly number[]): readonly number[] | undefined {
    let after: readonly number[] | undefined = shape;
    for (const { layer } of this.#stages) {
      after = layer.shapeAfter(after);
      if (after === undefined) break;
    }
    return after;
  }

  override assertRemembers(x: Tensor, message: Message): void {
    const { inputs } = this.#recall(message);
    if (inputs[0] !== x) {
      throw new StateError(
        `${this.describe()}: ${message}: the net was called by itself since the outer net's forward`,
      );
    }
  }

  override owns(tensor: Tensor): boolean {
    return this.#xCopy.holds(tensor.storage) || this.#stages.some(({ layer }) => layer.owns(tensor));
  }

  override forward(value: Input): Tensor {
    this.assertUsable();
    // messages name the layer that the value is for
    const what = `${this.layers[0].describe()}: forward`;
    const given = readInput(value, this.engine, this.flatInputSize(), what);
    // all shapes, as far as they can be told, before anything is forgotten or written
    this.shapeAfter(given.shape);
    const inputs: Tensor[] = [];
    let { tensor: x } = copyInput(given, this.#xCopy, [], (tensor) => this.owns(tensor));
    this.#memory = undefined;
    this.#reserve(given.shape);
    let isOurs = false;
    for (const [i, stage] of this.#stages.entries()) {
      stage.prepare();
      inputs.push(x);
      const isCore = isOneOfOurs(stage.layer);
      // not the last one: what the net returns is the same tensor in either mode
      if (isCore && isOurs && i + 1 < this.#stages.length && stage.layer.forwardInPlace(x)) continue;
      isOurs = isCore;
      const y = stage.layer.forward(x);
      if (!(y instanceof Tensor)) {
        throw new ArgumentError(`${stage.layer.describe()}: forward returned ${show(y)}, expected a Tensor`);
      }
      x = y;
    }
    if (this.training) this.#memory = { inputs, outputShape: x.shape };
    return x;
  }

  /** Takes the outputs' memory of all layers before any of them runs: where it runs out, no running statistic has moved. */
  #reserve(inputShape: readonly number[]): void {
    const { training } = this;
    const last = this.#reserved;
    if (last?.training === training && sameShape(last.inputShape, inputShape)) return;
    this.#reserved = undefined;
    let shape: readonly number[] | undefined = inputShape;
    for (const stage of this.#stages) {
      stage.prepare();
      if (shape !== undefined && isOneOfOurs(stage.layer)) stage.layer.reserve(shape);
      shape = shape && stage.layer.shapeAfter(shape);
    }
    this.#reserved = { training, inputShape };
  }

  override backward(dy: Input): Tensor {
    return this.#send("backward", dy)!;
  }

  override backwardInput(dy: Input): Tensor {
    return this.#send("backwardInput", dy)!;
  }

  /** Parameter message to every layer; the first one is spared its dL/dx. */
  override backwardParams(dy: Input): void {
    this.#send("backwardParams", dy);
  }

  #send(message: Message, value: Input): Tensor | undefined {
    this.assertUsable();
    const { inputs, outputShape } = this.#recall(message);
    const what = `${this.layers[this.layers.length - 1].describe()}: ${message}`;
    const given = readGradient(value, this.engine, this.flatInputSize(), outputShape, what);
    let { tensor: gradient } = copyInput(given, this.#dyCopy, [], (tensor) => this.#dyCopy.holds(tensor.storage));
    // what a layer of ours handed back is nobody else's, and the layer before may overwrite it
    let isOurs = false;
    for (let i = inputs.length - 1; i > 0; i--) {
      const { layer } = this.#stages[i];
      const inside = message === "backwardInput" ? message : "backward";
      const isCore = isOneOfOurs(layer);
      gradient = isCore ? layer.send(inside, gradient, isOurs)! : layer[inside](gradient);
      isOurs = isCore;
    }
    const first = this.#stages[0].layer;
    if (isOneOfOurs(first)) return first.send(message, gradient, isOurs);
    const result = first[message](gradient);
    return message === "backwardParams" ? undefined : (result as Tensor);
  }

  #recall(message: Message): { inputs: readonly Tensor[]; outputShape: readonly number[] } {
    const memory = this.#memory;
    if (memory === undefined) {
      throw new StateError(
        `${this.describe()}: ${message} without a remembered forward: call forward in training mode first (eval mode keeps nothing)`,
      );
    }
    this.#stages.forEach(({ layer }, i) => {
      layer.assertRemembers(memory.inputs[i], message);
    });
    return memory;
  }

  override assertUsable(): void {
    if (this.#disposed) throw new StateError(`${this.describe()}: the net was disposed`);
    this.engine.assertAlive();
    for (const { layer } of this.#stages) layer.assertUsable();
  }

  override dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#memory = undefined;
    this.#xCopy.dispose();
    this.#dyCopy.dispose();
    for (const { layer } of this.#stages) layer.dispose();
    super.dispose();
  }
}

/** A layer whose calls a net may make its own way: not where a subclass may do something else. */
const isOneOfOurs = (layer: Layer): layer is CoreLayer => layer instanceof CoreLayer && layer.isOurs;

function namedLayers(given: readonly (Layer | Readonly<Record<string, Layer>>)[]): [string, Layer][] {
  const [first] = given;
  const isNamed = given.length === 1 && typeof first === "object" && first !== null && !(first instanceof Layer);
  const entries = isNamed ? Object.entries(first) : given.map((layer, i) => [String(i), layer] as const);
  if (entries.length === 0) throw new ArgumentError("Sequential: got no layers, expected at least one");
  return entries.map(([name, layer]) => {
    if (!(layer instanceof Layer)) throw new ArgumentError(`Sequential: ${name}: got ${show(layer)}, expected a Layer`);
    if (name === "" || name.includes(".")) {
      throw new ArgumentError(`Sequential: got the name ${show(name)}, expected one that is not empty and has no dot`);
    }
    return [name, layer];
  });
}

/** A layer twice would remember one input for two places; a parameter twice would be counted and stepped twice. */
function checkDistinct(net: Layer): void {
  const seen = new Set<Layer>();
  const visit = (layer: Layer): void => {
    if (seen.has(layer)) throw new StateError(`Sequential: ${layer.describe()} is in the net twice`);
    seen.add(layer);
    for (const [, child] of layer.children()) visit(child);
  };
  visit(net);
  const values = new Set<Tensor>();
  for (const { name, value } of net.parameters()) {
    if (values.has(value)) throw new StateError(`Sequential: the parameter ${name} is in the net twice`);
    values.add(value);
  }
}

/** The engine of a layer that says which it is on, by itself or by its parameters. */
function engineOf(layer: Layer): Engine | undefined {
  return (layer as { engine?: Engine }).engine ?? layer.parameters()[0]?.value.engine;
}

function commonEngine(layers: readonly Layer[]): Engine {
  const engines = new Set(layers.map(engineOf).filter((engine) => engine !== undefined));
  if (engines.size > 1) throw new EngineError("Sequential: got layers of different engines, expected one engine");
  const [engine = defaultEngine()] = engines;
  engine.assertAlive();
  return engine;
}

function fuse(layers: readonly Layer[]): Stage[] {
  const stages: Stage[] = [];
  for (let i = 0; i < layers.length; i++) {
    const layer = layers[i];
    const next = layers[i + 1];
    const isFront = layer instanceof AffineLayer && layer.isPlain && layer.isOurs;
    if (isFront && next instanceof ActivationLayer && next.isOurs) {
      stages.push(new FusedAffine(layer, next));
      i++;
    } else {
      stages.push({ layer, prepare: () => {} });
    }
  }
  return stages;
}
