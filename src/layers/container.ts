import { defaultEngine, type Engine } from "../engine.js";
import { EngineError, StateError } from "../errors.js";
import type { Tensor } from "../tensor.js";
import { type GradientCopies, rememberGradients, rememberState, statisticsOf, undoing } from "../undo.js";
import { type BackwardPlan, CheckedLayer, type ForwardPlan, NEVER } from "./checked-layer.js";
import type { Group } from "./fused-affine.js";
import { checkOutput, knowTree, type Layer, layersInside, type Message, type Parameter } from "./layer.js";
import type { NamedLayer } from "./named-layers.js";

/** What runs as one in a container: a child, or neighbours put together. */
export interface Stage extends Group {
  /** The layer, where it is one of ours; a user's may throw half-way. */
  readonly ours: CheckedLayer | undefined;
}

export function stageOf({ layer, children }: Group): Stage {
  return { layer, children, ours: layer instanceof CheckedLayer && layer.isForeseeable ? layer : undefined };
}

/** A forward of a container. */
export interface NetForward extends ForwardPlan {
  outputShape: readonly number[] | undefined;
  /** Those of the leaves. */
  readonly modes: readonly boolean[];
  /** Of each stage; undefined where it needs no memory: it works in place, or is a user's. */
  readonly parts: (ForwardPlan | undefined)[];
}

/** A message back of a container. */
export interface NetBackward extends BackwardPlan {
  readonly message: Message;
  readonly parts: (BackwardPlan | undefined)[];
}

/** What is undone where a message fails in a user's layer: those of our layers that may have run before the last of the user's. */
interface Undoable {
  readonly layers: readonly Layer[];
  readonly statistics: readonly Tensor[];
  readonly parameters: readonly Parameter[];
  readonly copies: GradientCopies;
}

/**
 * The base of layers made of layers: their names, parameters, modes, engine and end, and what is undone where a message fails in a user's
 * layer. A subclass says how a message passes through the stages: forward in their order, backward in reverse.
 */
export abstract class Container extends CheckedLayer<NetForward, NetBackward> {
  /** The layers, in order. */
  readonly layers: readonly Layer[];
  /** @internal */
  readonly stages: readonly Stage[];
  readonly #names: readonly string[];
  /** Undefined where nothing goes wrong once memory was taken. */
  readonly #undoable: Undoable | undefined;
  /** The layers whose modes say what memory is needed. */
  readonly #leaves: readonly Layer[];
  /** The input of each stage, of the last forward. */
  #inputs: readonly Tensor[] = [];

  /**
   * `stages` are the children as they run. Throws StateError for a layer or parameter that is there twice, EngineError for layers of
   * different engines.
   */
  constructor(what: string, children: readonly NamedLayer[], stages: readonly Stage[]) {
    checkDistinct(what, children);
    super(commonEngine(what, children));
    this.#names = children.map(([name]) => name);
    this.layers = Object.freeze(children.map(([, layer]) => layer));
    this.stages = stages;
    if (this.children === Container.prototype.children) knowTree(this);
    this.#undoable = undoableOf(stages);
    this.#leaves = this.layers.flatMap((layer) => (layer instanceof Container ? layer.#leaves : layer));
  }

  /** The stages' way forward over a tensor, whose memory is taken. Returns y and the input of each stage. */
  protected abstract run(x: Tensor, plan: NetForward): { readonly y: Tensor; readonly inputs: readonly Tensor[] };

  /** The stages' way back. */
  protected abstract send(dy: Tensor, plan: NetBackward): Tensor | undefined;

  override children(): readonly NamedLayer[] {
    return this.layers.map((layer, i) => [this.#names[i], layer] as const);
  }

  override parameters(): Parameter[] {
    return parametersOf(this.children());
  }

  override zeroGrad(): void {
    for (const layer of this.layers) layer.zeroGrad();
  }

  override describe(): string {
    return `${this.type}(${this.layers.map((layer) => layer.describe()).join(", ")})`;
  }

  override get isForeseeable(): boolean {
    return this.#undoable === undefined && super.isForeseeable;
  }

  protected planOf(
    inputShape: readonly number[],
    parts: (ForwardPlan | undefined)[],
    outputShape: readonly number[] | undefined,
  ): NetForward {
    const modes = this.#leaves.map(({ training }) => training);
    return { inputShape, outputShape, modes, parts, back: {}, at: NEVER };
  }

  /** With a user's layer inside, a plan holds for one forward only: nobody knows what such a layer does. */
  protected override hasModesOf({ modes }: NetForward): boolean {
    const leaves = this.#leaves;
    for (let i = 0; i < leaves.length; i++) if (leaves[i].training !== modes[i]) return false;
    return this.#undoable === undefined;
  }

  override forwardOf(x: Tensor, plan: NetForward): Tensor {
    if (this.#undoable === undefined) return this.#runAll(x, plan);
    return undoing(this.#rememberForward(this.#undoable), () => this.#runAll(x, plan));
  }

  #runAll(x: Tensor, plan: NetForward): Tensor {
    const { y, inputs } = this.run(x, plan);
    this.#inputs = this.training ? inputs : [];
    this.remember(x, y, plan);
    return y;
  }

  /** forward of a user's layer, as anybody calls it. */
  protected runForeign({ layer }: Stage, x: Tensor): Tensor {
    // the layer may now overwrite what it remembers, and nobody could undo that
    this.forget();
    return checkOutput(layer.forward(x), layer);
  }

  override sendOf(dy: Tensor, plan: NetBackward): Tensor | undefined {
    if (this.#undoable === undefined || plan.message === "backwardInput") return this.send(dy, plan);
    return undoing(this.#rememberGradients(this.#undoable), () => this.send(dy, plan));
  }

  /** Notes what a forward changes until the last of the user's layers returned: running statistics, the generator. */
  #rememberForward({ statistics, layers }: Undoable): () => void {
    const restore = rememberState([...statistics, ...layers.flatMap(statisticsOf)]);
    const { generator } = this.engine;
    const place = generator.save();
    return () => {
      restore();
      generator.restore(place);
    };
  }

  /** Notes what a parameter message changes until the last of the user's layers returned. */
  #rememberGradients({ parameters, layers, copies }: Undoable): () => void {
    return rememberGradients([...parameters, ...layers.flatMap((layer) => layer.parameters())], copies);
  }

  /** Every stage remembers the input that this forward gave it. */
  protected override assertIntact(_x: Tensor, _xVersion: number, message: Message): void {
    const { stages } = this;
    for (let i = 0; i < stages.length; i++) stages[i].layer.assertRemembers(this.#inputs[i], message);
  }

  override forget(): void {
    super.forget();
    this.#inputs = [];
  }

  override owns(tensor: Tensor): boolean {
    return super.owns(tensor) || this.stages.some(({ layer }) => layer.owns(tensor));
  }

  override assertUsable(): void {
    super.assertUsable();
    for (const { layer } of this.stages) layer.assertUsable();
  }

  /** Frees the layer's memory; any use afterwards is a StateError. */
  override dispose(): void {
    super.dispose();
    // neighbours put together have memory beside their layers'
    for (const { ours } of this.stages) ours?.dispose();
  }
}

/** The parameters of layers inside, with the layers' names in front. */
const parametersOf = (children: readonly NamedLayer[]): Parameter[] =>
  children.flatMap(([child, layer]) =>
    layer.parameters().map((parameter) => ({ ...parameter, name: `${child}.${parameter.name}` })),
  );

/** A layer twice would remember one input for two places; a parameter twice would be counted and stepped twice. */
function checkDistinct(what: string, children: readonly NamedLayer[]): void {
  const seen = new Set<Layer>();
  const visit = ([, layer]: NamedLayer): void => {
    if (seen.has(layer)) throw new StateError(`${what}: ${layer.describe()} is in the net twice`);
    seen.add(layer);
    layersInside(layer).forEach(visit);
  };
  children.forEach(visit);
  const values = new Set<Tensor>();
  for (const { name, value } of parametersOf(children)) {
    if (values.has(value)) throw new StateError(`${what}: the parameter ${name} is in the net twice`);
    values.add(value);
  }
}

/** The engine of a layer that says which it is on, by itself or by its parameters. */
function engineOf(layer: Layer): Engine | undefined {
  return (layer as { engine?: Engine }).engine ?? layer.parameters()[0]?.value.engine;
}

function commonEngine(what: string, children: readonly NamedLayer[]): Engine {
  const engines = new Set(children.map(([, layer]) => engineOf(layer)).filter((engine) => engine !== undefined));
  if (engines.size > 1) throw new EngineError(`${what}: got layers of different engines, expected one engine`);
  const [engine = defaultEngine()] = engines;
  engine.assertAlive();
  return engine;
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
