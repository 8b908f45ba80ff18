import { type BufferRequest, bufferChanges, TensorBuffer, takeAll } from "../buffers.js";
import { COPY, reading, show } from "../checks.js";
import { defaultEngine, type Engine } from "../engine.js";
import { ArgumentError, EngineError, StateError } from "../errors.js";
import { sameShape, type Tensor } from "../tensor.js";
import { type GradientCopies, rememberGradients, rememberStatistics, statisticsOf, undoing } from "../undo.js";
import { ActivationLayer } from "./activation-layer.js";
import { AffineLayer } from "./affine.js";
import { BuiltInLayer } from "./built-in-layer.js";
import { enter, readGradient, readInput } from "./inputs.js";
import {
  checkOutput,
  type Input,
  isLayer,
  knowTree,
  Layer,
  layersInside,
  type Message,
  type Parameter,
} from "./layer.js";

/** A Linear or Conv2d layer and the activation behind it, as one layer over their parameters. They stay the owners. */
class FusedAffine extends AffineLayer {
  static readonly isOurs = true;

  constructor(
    readonly front: AffineLayer,
    readonly activationLayer: ActivationLayer,
  ) {
    super(front.map, activationLayer.activation);
  }

  #takeMode(): void {
    this.training = this.front.training && this.activationLayer.training;
  }

  override forward(value: Input): Tensor {
    this.#takeMode();
    return super.forward(value);
  }

  override requestForward(inputShape: readonly number[], into: BufferRequest[]): readonly number[] {
    this.#takeMode();
    return super.requestForward(inputShape, into);
  }

  /** Its halves forget what they remembered. */
  override forwardOf(x: Tensor): Tensor {
    this.#takeMode();
    this.front.forget();
    this.activationLayer.forget();
    return super.forwardOf(x);
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

/** A layer of ours that does what its class says: nothing goes wrong in its messages once their memory was taken. */
type Foreseeable = BuiltInLayer | Sequential;

/** What a net remembers of its last forward: each stage's input. */
interface Memory {
  readonly inputs: readonly Tensor[];
  readonly outputShape: readonly number[];
  readonly taken: Taken | undefined;
}

/** Messages over inputs of a shape, in these modes of the layers, and when their memory was taken: it is there while no buffer changes. */
interface Taken {
  readonly modes: readonly boolean[];
  readonly inputShape: readonly number[];
  readonly at: Partial<Record<Message | "forward", number>>;
}

/** What is undone where a message fails in one of the user's layers: of ours, those that may have run before the last of them. */
interface Undoable {
  readonly layers: readonly Layer[];
  readonly statistics: readonly Tensor[];
  readonly parameters: readonly Parameter[];
  readonly copies: GradientCopies;
}

/** What runs as one: a child, or neighbours put together. */
interface Stage {
  readonly layer: Layer;
  readonly children: readonly Layer[];
  /** The layer, where it is foreseeable; a user's, which may throw half-way, is not. */
  readonly ours: Foreseeable | undefined;
  readonly isCore: boolean;
  /** Between layers of ours; what the net returns is the same tensor in either mode. */
  readonly mayWorkInPlace: boolean;
}

/**
 * Layers one after the other: `new Sequential(a, b, ...)` names them "0", "1", ..., `new Sequential({ name: layer, ... })` by their
 * keys; their parameters' names follow behind a dot. Nests. A Linear or Conv2d with an activation behind it runs fused, and in
 * eval mode activations and BatchNorm work in the place of the output before them; names, values and gradients stay those of the
 * separate layers.
 *
 * A message that throws leaves parameters, gradients, running statistics, the engine's generator and what is remembered as they were: all
 * memory is taken before any layer runs. What fails in a layer of the user's is undone, but nobody knows what such a layer remembers:
 * once one has begun, a forward that fails ends the one before, and backward is a StateError until the next.
 *
 * Throws ArgumentError without children or for what is no layer, StateError for a layer (or parameter) that is there twice,
 * EngineError for layers of different engines.
 */
export class Sequential extends Layer {
  /** Own to this class, not to those derived from it. @internal */
  static readonly isOurs = true;

  readonly engine: Engine;
  readonly layers: readonly Layer[];
  readonly #names: readonly string[];
  readonly #stages: readonly Stage[];
  /** Undefined where nothing goes wrong once memory was taken. */
  readonly #undoable: Undoable | undefined;
  /** The layers whose modes say what memory is needed. */
  readonly #leaves: readonly Layer[];
  readonly #xCopy: TensorBuffer;
  readonly #dyCopy: TensorBuffer;
  #memory: Memory | undefined;
  #taken: Taken | undefined;
  #forwardName: string | undefined;
  #disposed = false;

  constructor(layers: Readonly<Record<string, Layer>>);
  constructor(...layers: Layer[]);
  constructor(...given: (Layer | Readonly<Record<string, Layer>>)[]) {
    super();
    const entries = namedLayers(given);
    this.#names = entries.map(([name]) => name);
    this.layers = Object.freeze(entries.map(([, layer]) => layer));
    checkDistinct(this);
    if (this.children === Sequential.prototype.children) knowTree(this);
    this.engine = commonEngine(this.layers);
    this.#stages = stagesOf(this.layers);
    this.#undoable = undoableOf(this.#stages);
    this.#leaves = this.layers.flatMap((layer) => (layer instanceof Sequential ? layer.#leaves : layer));
    this.#xCopy = new TensorBuffer(this.engine);
    this.#dyCopy = new TensorBuffer(this.engine);
  }

  override get type(): string {
    return "Sequential";
  }

  /** Whether nothing goes wrong in its messages once their memory was taken. @internal */
  get isForeseeable(): boolean {
    return this.#undoable === undefined && Object.hasOwn(this.constructor, "isOurs");
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
    return this.#xCopy.holds(tensor) || this.#stages.some(({ layer }) => layer.owns(tensor));
  }

  override forward(value: Input): Tensor {
    this.assertUsable();
    // messages name the layer that the value is for
    this.#forwardName ??= `${this.layers[0].describe()}: forward`;
    const given = readInput(value, this.engine, this.flatInputSize(), this.#forwardName);
    const take = (copies: readonly BufferRequest[]): void => this.#takeForward(given.shape, copies);
    const x = enter(given, this.#xCopy, (tensor) => this.owns(tensor), take);
    if (this.#undoable === undefined) return this.#run(x, this.#taken);
    return undoing(this.#rememberForward(), () => this.#run(x, undefined));
  }

  /** forward of a tensor that is usable, of this engine and none of the net's own, memory being taken. @internal */
  forwardOf(x: Tensor): Tensor {
    return this.#run(x, undefined);
  }

  #run(x: Tensor, taken: Taken | undefined): Tensor {
    const stages = this.#stages;
    const inputs: Tensor[] = [];
    for (let i = 0; i < stages.length; i++) {
      const { layer, ours, mayWorkInPlace } = stages[i];
      inputs.push(x);
      if (ours === undefined) x = this.#runForeign(i, x);
      else if (mayWorkInPlace && (ours as BuiltInLayer).worksInPlace) (ours as BuiltInLayer).forwardInPlace(x);
      // what a user's layer returned is looked at as any input
      else x = i === 0 || stages[i - 1].ours !== undefined ? ours.forwardOf(x) : layer.forward(x);
    }
    this.#memory = this.training ? { inputs, outputShape: x.shape, taken } : undefined;
    return x;
  }

  #runForeign(i: number, x: Tensor): Tensor {
    const { layer } = this.#stages[i];
    // what the layer remembers it may overwrite now, and nobody could undo that
    this.#memory = undefined;
    const y = checkOutput(layer.forward(x), layer);
    const requests: BufferRequest[] = [];
    this.#requestStages(i + 1, y.shape, requests);
    takeAll(requests);
    return y;
  }

  /** Takes the memory of a forward, and of `copies`, before any layer runs, or none: as far as the layers' shapes can be told. */
  #takeForward(inputShape: readonly number[], copies: readonly BufferRequest[]): void {
    const last = this.#taken;
    const isSame = last !== undefined && sameShape(last.inputShape, inputShape) && this.#hasModes(last.modes);
    if (isSame && last.at.forward === bufferChanges && copies.length === 0) return;
    const requests = [...copies];
    this.#requestStages(0, inputShape, requests);
    takeAll(requests);
    if (this.#undoable !== undefined) return;
    const taken = isSame ? last : { modes: this.#leaves.map(({ training }) => training), inputShape, at: {} };
    taken.at.forward = bufferChanges;
    this.#taken = taken;
  }

  #hasModes(modes: readonly boolean[]): boolean {
    const leaves = this.#leaves;
    for (let i = 0; i < leaves.length; i++) if (leaves[i].training !== modes[i]) return false;
    return true;
  }

  /** Adds to `into` what the stages from `first` on need, as far as their shapes can be told; returns the output's, if it can be. */
  #requestStages(first: number, inputShape: readonly number[], into: BufferRequest[]): readonly number[] | undefined {
    let shape: readonly number[] | undefined = inputShape;
    for (let i = first; i < this.#stages.length && shape !== undefined; i++) {
      const { layer, ours, mayWorkInPlace } = this.#stages[i];
      const needsNone = ours === undefined || (mayWorkInPlace && (ours as BuiltInLayer).worksInPlace);
      shape = needsNone ? layer.shapeAfter(shape) : ours.requestForward(shape, into);
    }
    return shape;
  }

  /** Adds to `into` what a forward over inputs of this shape needs; returns the output's shape. @internal */
  requestForward(inputShape: readonly number[], into: BufferRequest[]): readonly number[] {
    return this.#requestStages(0, inputShape, into)!;
  }

  /** Notes what a forward changes until the last of the user's layers returned: running statistics, the generator. */
  #rememberForward(): () => void {
    const { statistics, layers } = this.#undoable!;
    const restore = rememberStatistics([...statistics, ...layers.flatMap(statisticsOf)]);
    const { generator } = this.engine;
    const place = generator.save();
    return () => {
      restore();
      generator.restore(place);
    };
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
    const memory = this.#recall(message);
    const { outputShape } = memory;
    const last = this.#stages[this.#stages.length - 1].layer;
    const what = `${this.layers[this.layers.length - 1].describe()}: ${message}`;
    const given = readGradient(value, this.engine, this.flatInputSize(), outputShape, what);
    const isOwn = (tensor: Tensor): boolean => last.owns(tensor) || this.#dyCopy.holds(tensor);
    const dy = enter(given, this.#dyCopy, isOwn, (copies) => this.#takeBackward(memory, message, copies));
    if (this.#undoable === undefined || message === "backwardInput") return this.sendOf(message, dy, false);
    return undoing(this.#rememberGradients(), () => this.sendOf(message, dy, false));
  }

  /** Takes the memory of a message back, and of `copies`, before any layer runs, or none. */
  #takeBackward({ taken }: Memory, message: Message, copies: readonly BufferRequest[]): void {
    if (taken?.at[message] === bufferChanges && copies.length === 0) return;
    const requests = [...copies];
    this.requestBackward(message, false, requests);
    takeAll(requests);
    if (taken !== undefined) taken.at[message] = bufferChanges;
  }

  /** Adds to `into` what a message back through the remembered forward needs. @internal */
  requestBackward(message: Message, mayOverwrite: boolean, into: BufferRequest[]): void {
    for (let i = this.#stages.length - 1; i >= 0; i--) {
      const { ours, isCore } = this.#stages[i];
      ours?.requestBackward(messageOf(i, message), mayOverwrite, into);
      mayOverwrite = isCore;
    }
  }

  /**
   * A message back of a tensor that is usable, in the output's shape and none of the net's own, memory being taken. What a layer of ours
   * handed back is nobody else's, and the layer before may overwrite it: `mayOverwrite`. @internal
   */
  sendOf(message: Message, dy: Tensor, mayOverwrite: boolean): Tensor | undefined {
    const stages = this.#stages;
    let gradient: Tensor | undefined = dy;
    for (let i = stages.length - 1; i >= 0; i--) {
      const { layer, ours, isCore } = stages[i];
      const inside = messageOf(i, message);
      // what a user's layer returned is looked at as any gradient
      const isForeign: boolean = ours === undefined || (i + 1 < stages.length && stages[i + 1].ours === undefined);
      gradient = isForeign
        ? (layer[inside](gradient!) as Tensor | undefined)
        : ours!.sendOf(inside, gradient!, mayOverwrite);
      mayOverwrite = isCore;
    }
    return message === "backwardParams" ? undefined : gradient;
  }

  /** Notes what a parameter message changes until the last of the user's layers returned. */
  #rememberGradients(): () => void {
    const { parameters, layers, copies } = this.#undoable!;
    return rememberGradients([...parameters, ...layers.flatMap((layer) => layer.parameters())], copies);
  }

  #recall(message: Message): Memory {
    const memory = this.#memory;
    if (memory === undefined) {
      throw new StateError(
        `${this.describe()}: ${message} without a remembered forward: call forward in training mode first (eval mode keeps nothing, nor does a forward that failed in a user's layer)`,
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
const isOneOfOurs = (layer: Layer): layer is BuiltInLayer => layer instanceof BuiltInLayer && layer.isOurs;

/** The first stage alone is spared its dL/dx. */
const messageOf = (stage: number, message: Message): Message =>
  stage === 0 || message === "backwardInput" ? message : "backward";

/** An array's index, by whose size an object's keys are ordered before all others. */
const isIndex = (name: string): boolean => /^(0|[1-9]\d*)$/.test(name) && Number(name) < 2 ** 32 - 1;

/** Whether it is a layer, or anything else that carries the mark: of this copy of the library or another. */
const isMarked = (value: object): boolean => reading("Sequential", () => COPY in value);

function namedLayers(given: readonly (Layer | Readonly<Record<string, Layer>>)[]): [string, Layer][] {
  const [first] = given;
  const isNamed = given.length === 1 && typeof first === "object" && first !== null && !isMarked(first);
  const entries = isNamed
    ? reading("Sequential", () => Object.entries(first))
    : given.map((layer, i) => [String(i), layer] as const);
  if (entries.length === 0) throw new ArgumentError("Sequential: got no layers, expected at least one");
  return entries.map(([name, layer]) => {
    if (!isLayer(layer)) throw new ArgumentError(`Sequential: ${name}: got ${show(layer)}, expected a Layer`);
    if (name === "" || name.includes(".")) {
      throw new ArgumentError(`Sequential: got the name ${show(name)}, expected one that is not empty and has no dot`);
    }
    if (isNamed && isIndex(name)) {
      throw new ArgumentError(
        `Sequential: got the name ${show(name)}, a number, which JavaScript moves in front of all other names: expected another name, or the layers in a row, new Sequential(a, b, ...)`,
      );
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
    for (const [, child] of layersInside(layer)) visit(child);
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

/** Children as they run: a Linear or Conv2d with an activation behind it is one stage. */
function stagesOf(layers: readonly Layer[]): Stage[] {
  const groups: { layer: Layer; children: readonly Layer[] }[] = [];
  for (let i = 0; i < layers.length; i++) {
    const layer = layers[i];
    const next = layers[i + 1];
    const isFront = layer instanceof AffineLayer && layer.isPlain && layer.isOurs;
    if (isFront && next instanceof ActivationLayer && next.isOurs) {
      groups.push({ layer: new FusedAffine(layer, next), children: [layer, next] });
      i++;
    } else {
      groups.push({ layer, children: [layer] });
    }
  }
  const areCore = groups.map(({ layer }) => isOneOfOurs(layer));
  return groups.map(({ layer, children }, i) => {
    const isForeseeable = layer instanceof Sequential ? layer.isForeseeable : areCore[i];
    return {
      layer,
      children,
      ours: isForeseeable ? (layer as Foreseeable) : undefined,
      isCore: areCore[i],
      mayWorkInPlace: i > 0 && i + 1 < groups.length && areCore[i - 1] && areCore[i],
    };
  });
}

function undoableOf(stages: readonly Stage[]): Undoable | undefined {
  const isForeign = stages.map(({ ours }) => ours === undefined);
  if (!isForeign.includes(true)) return undefined;
  const ours = (first: number, end: number) =>
    stages.slice(first, end).flatMap(({ ours, children }) => (ours === undefined ? [] : children));
  return {
    layers: stages.flatMap(({ layer }, i) => (isForeign[i] ? layer : [])),
    statistics: ours(0, isForeign.lastIndexOf(true)).flatMap(statisticsOf),
    parameters: ours(isForeign.indexOf(true), stages.length).flatMap((layer) => layer.parameters()),
    copies: new WeakMap(),
  };
}
