import { COPY, isArray, listed, type Mark, mark, reading, shorten, show, showShape } from "../checks.js";
import type { Engine } from "../engine.js";
import { ArgumentError, StateError } from "../errors.js";
import { checkShape, isTensor, sameShape, sizeOf, type Tensor } from "../tensor.js";
import { type GradientCopies, rememberGradients, undoing } from "../undo.js";
import { copyOf, type Flat, isFloat32Array, type NestedNumbers } from "../values.js";

/**
 * A trainable tensor and its gradient, which the parameter message adds to. A layer of one's own makes it as
 * `{ name: "weight", value: engine.tensor(...), grad: engine.zeros(shape) }`, both of one shape and engine.
 */
export interface Parameter {
  /** Its name in the layer: "weight"; in a net behind the layer's: "0.weight". */
  readonly name: string;
  /** The values θ. */
  readonly value: Tensor;
  /** dL/dθ, in the shape of the values. */
  readonly grad: Tensor;
}

/**
 * What a layer takes: a Tensor (not copied: leave it unchanged until backward); nested arrays, whose rows may be Float32Arrays; a flat
 * number[] or a Tensor [n], one sample; a Float32Array or Float64Array, a batch [N, n], where the first layer is dense.
 */
export type Input = Tensor | Float32Array | Float64Array | readonly NestedNumbers[];

/** The messages that go back. */
export type Message = "backward" | "backwardInput" | "backwardParams";

/** How a message reads in an error: `Linear(4, 3): forward`. */
export class MessageName {
  constructor(
    readonly layer: Layer,
    readonly message: string,
  ) {}

  toString(): string {
    return `${this.layer.describe()}: ${this.message}`;
  }
}

/** What every layer takes. */
export interface LayerOptions {
  /** The engine that holds the layer; the default engine unless given. */
  engine?: Engine;
}

/** The options of a layer that has no others. */
export const LAYER_OPTIONS = ["engine"] as const;

/** A tensor as structuredClone hands it over. */
export interface ClonedTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A tensor that can be read, values of our own, or what it is instead. */
function readSource(source: unknown, what: string): Tensor | Flat | string {
  if (source === undefined) return "missing";
  if (isTensor(source)) {
    source.assertUsable();
    return source;
  }
  return reading(what, () => {
    const { shape, data } = Object(source) as Partial<ClonedTensor>;
    if (!Array.isArray(shape) || !isFloat32Array(data)) return `${show(source)}, not a Tensor`;
    const flat = { shape: checkShape(shape, what), values: copyOf(data, what) };
    return sizeOf(flat.shape) === flat.values.length ? flat : `${show(source)}, whose shape and data do not fit`;
  });
}

/**
 * A function with trainable parameters θ and its three messages. A subclass gives `forward`, `backwardInput` and, if it has
 * parameters, `backwardParams` and `parameters`; the rest is inherited. It then works in Sequential, fit, jacobian, gradCheck and save.
 *
 * A layer remembers its last forward in training mode only; `backward...` without one is a StateError.
 *
 * The messages of lanegrad's layers check everything before they write anything. They throw ShapeError for a shape that does not fit,
 * ArgumentError for what is no input, EngineError for a tensor of another engine, StateError for a layer or tensor that was disposed, or an
 * input that was overwritten since, and MemoryError if there is no room: then the same call may be made again.
 *
 * What a subclass has to know:
 * - Inside a net x and dy are Tensors. Called by itself the layer gets whatever `Input` allows: `engine.tensor(x)` makes a Tensor of
 *   nested arrays, and of a Float32Array with the shape that the layer gives it.
 * - Make parameters and buffers once, with `engine.tensor` or `engine.zeros`: `parameters` gives the same tensors at every call. What is to
 *   be saved without being trained is added to `stateDict`.
 * - What it returns is its own tensor, neither x nor dy, and may be overwritten by the next call of the same kind. Who gets it may write to
 *   it as well (`add_`): a layer that needs its output for the messages back keeps a copy (`clone`).
 * - `backwardParams` adds to the gradients (`grad.add_`, `matmul` with `accumulate`), which `zeroGrad` has made zero.
 */
export abstract class Layer {
  /** Whether forward remembers what the messages backward need. Set by `train` and `eval`. */
  training = true;
  #gradientCopies: GradientCopies | undefined;

  /**
   * Forward message: y = f(x). The result is the layer's own buffer, overwritten by the next forward. Who gets it may write into it
   * (`add_`): a subclass that needs its output for backward keeps a copy.
   */
  abstract forward(x: Input): Tensor;

  /** Backward message: dL/dx for dL/dy. The result is the layer's own buffer. */
  abstract backwardInput(dy: Input): Tensor;

  /** Parameter message: adds dL/dθ to every parameter's grad. */
  backwardParams(_dy: Input): void {
    if (this.parameters().length > 0) throw new StateError(`${this.describe()}: has parameters but no backwardParams`);
  }

  /** Both messages, sharing their work where a layer can; returns dL/dx. */
  backward(dy: Input): Tensor {
    this.#gradientCopies ??= new WeakMap();
    return undoing(rememberGradients(this.parameters(), this.#gradientCopies), () => {
      this.backwardParams(dy);
      return this.backwardInput(dy);
    });
  }

  /** The trainable parameters, those of layers inside with the layers' names in front: what an optimizer takes. */
  parameters(): Parameter[] {
    return [];
  }

  /** Layers inside this one with their names; `train`, `eval`, `summary` and `slopeStats` descend into them. */
  children(): readonly (readonly [name: string, layer: Layer])[] {
    return [];
  }

  /** How the layer reads in messages and summaries. */
  get type(): string {
    return this.constructor.name;
  }

  /** The layer as it would be constructed: `Linear(784, 256)`. @internal */
  describe(): string {
    return this.type;
  }

  /** The layer as it would be constructed: `Linear(784, 256)`. */
  toString(): string {
    return this.describe();
  }

  /** What console.log shows in Node. @internal */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.describe();
  }

  /** Asks for a private method, which no proxy has and none can forbid. @internal */
  static isOne(value: unknown): value is Layer {
    return typeof value === "object" && value !== null && #setMode in value;
  }

  /** @internal */
  get [COPY](): Mark {
    return mark(this.type);
  }

  /** The width of a flat Float32Array batch; undefined where a flat array has no meaning. @internal */
  flatInputSize(): number | undefined {
    return undefined;
  }

  /** Whether an input of this shape is one sample, without an axis N; undefined where the layer takes any shape. @internal */
  isSample(_shape: readonly number[]): boolean | undefined {
    return undefined;
  }

  /** The output's shape for an input's, undefined where only a forward can tell. Throws a ShapeError where it does not fit. @internal */
  shapeAfter(_shape: readonly number[]): readonly number[] | undefined {
    return undefined;
  }

  /** Throws a StateError once the layer, or an EngineError once its engine was disposed: a net asks all before it runs any. @internal */
  assertUsable(): void {}

  /** Throws a StateError unless the layer can send messages back through a forward of x: a net asks all before it sends any. @internal */
  assertRemembers(_x: Tensor, _message: Message): void {}

  /** Whether the tensor lies in a buffer that a forward of this layer overwrites. @internal */
  owns(_tensor: Tensor): boolean {
    return false;
  }

  /**
   * Sets every gradient to none, as PyTorch does: it reads as zeros, and optimizers skip the parameter until somebody sends, writes or
   * fetches (`grad.data`) the gradient. Fetch `grad.data` after it: writes through an older view go unnoticed.
   */
  zeroGrad(): void {
    zeroGradients(this.parameters());
  }

  /** Training mode, also for layers inside. */
  train(): this {
    return this.#setMode(true);
  }

  /** Evaluation mode: forward keeps nothing for backward. */
  eval(): this {
    return this.#setMode(false);
  }

  #setMode(training: boolean): this {
    this.training = training;
    for (const [, child] of layersInside(this)) {
      if (training) child.train();
      else child.eval();
    }
    return this;
  }

  /** The live tensors by name: parameters, and what layers inside keep beside theirs (running statistics). */
  stateDict(): Record<string, Tensor> {
    const names = new Map(this.parameters().map(({ name, value }) => [value, name]));
    const inside = layersInside(this).flatMap(([child, layer]) =>
      Object.entries(layer.stateDict()).map(([key, tensor]): [string, Tensor] => [
        names.get(tensor) ?? `${child}.${key}`,
        tensor,
      ]),
    );
    for (const [, tensor] of inside) names.delete(tensor);
    return Object.fromEntries([...[...names].map(([value, name]): [string, Tensor] => [name, value]), ...inside]);
  }

  /**
   * Copies `state` into the layer's tensors: what `stateDict` gave, of this net or another, or what structuredClone made of that. Names
   * and shapes must match exactly: a StateError lists what is missing, unexpected or of another shape, and nothing is written. Only
   * `num_batches_tracked` may be missing beside a `running_mean`, and is 0 then, as in PyTorch.
   */
  loadStateDict(state: Readonly<Record<string, Tensor | ClonedTensor>>): void {
    const what = `${this.describe()}: loadStateDict`;
    if (typeof state !== "object" || state === null) {
      throw new ArgumentError(`${what} got ${show(state)}, expected tensors by name`);
    }
    const given = reading(what, () => new Map(Object.entries(state)));
    const own = Object.entries(this.stateDict());
    const problems: string[] = [];
    const sources = own.map(([name, target]) => {
      const source = countsFromZero(name, target, given) ? ZERO : readSource(given.get(name), what);
      if (typeof source === "string") problems.push(`${name} is ${source}`);
      else if (!sameShape(source.shape, target.shape)) {
        problems.push(`${name} is ${showShape(source.shape)}, expected ${showShape(target.shape)}`);
      } else return source;
      return undefined;
    });
    const names = new Set(own.map(([name]) => name));
    for (const name of given.keys()) if (!names.has(name)) problems.push(`${shorten(name)} is unexpected`);
    if (problems.length > 0) throw new StateError(`${what}: ${listed(problems)}`);
    own.forEach(([, target], i) => {
      const source = sources[i]!;
      if (isTensor(source)) target.copyFrom(source);
      else target.copyValues(source.values);
    });
  }

  /** Which of the state's slopes are trained under a constraint, by name: "exp" or "square". @internal */
  constraints(): Record<string, string> {
    return Object.fromEntries(
      layersInside(this).flatMap(([name, child]) =>
        Object.entries(child.constraints()).map(([key, constraint]) => [`${name}.${key}`, constraint]),
      ),
    );
  }

  /** Frees the layer's memory; any use afterwards is a StateError. */
  dispose(): void {
    for (const [, child] of layersInside(this)) child.dispose();
    for (const { value, grad } of this.parameters()) {
      value.discard();
      grad.discard();
    }
  }

  /** As `dispose`, at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

const ZERO: Flat = /* @__PURE__ */ Object.freeze({ shape: [], values: /* @__PURE__ */ new Float32Array(1) });

/** Whether a counter's name is left out where the running statistics that it belongs to are given: it begins anew. */
export const countsFromZero = (name: string, { exact }: Tensor, given: { has(name: string): boolean }): boolean =>
  exact !== undefined && !given.has(name) && given.has(name.replace(/num_batches_tracked$/, "running_mean"));

/** Whether a value is a layer of this copy of the library. */
export const isLayer = (value: unknown): value is Layer => Layer.isOne(value);

export function checkNet(net: unknown, what: string): asserts net is Layer {
  if (!isLayer(net)) throw new ArgumentError(`${what}: got ${show(net)}, expected a Layer`);
}

/** Layers nested deeper than this are taken to be so without end. */
const DEEPEST = 1000;

/** What a layer's forward returned: a user's may return anything. */
export function checkOutput(output: unknown, layer: Layer): Tensor {
  if (!isTensor(output)) {
    throw new ArgumentError(`${layer.describe()}: forward returned ${show(output)}, expected a Tensor`);
  }
  return output;
}

/** Layers whose `children` were looked at when they were made. */
const trees = /* @__PURE__ */ new WeakSet<Layer>();

/** Says that what is inside a layer is a tree and stays so. */
export function knowTree(layer: Layer): void {
  trees.add(layer);
}

/**
 * A layer's `children`, to descend into: pairs of a name and a layer, and none that is inside itself. Not a method, which a user's layer
 * might have by the same name. Throws ArgumentError or StateError.
 */
export function layersInside(layer: Layer): readonly (readonly [name: string, layer: Layer])[] {
  if (layer.children !== Layer.prototype.children && !trees.has(layer)) assertTree(layer);
  return layer.children();
}

/** Throws where descending from layer to layers inside would go wrong, or never end. */
function assertTree(root: Layer): void {
  const path = new Set<Layer>();
  const done = new Set<Layer>();
  const visit = (layer: Layer): void => {
    if (done.has(layer)) return;
    if (path.has(layer) || path.size >= DEEPEST) {
      throw new StateError(`${root.type}: children: ${layer.type} is inside itself, or layers are nested without end`);
    }
    path.add(layer);
    for (const child of childrenOf(layer)) visit(child);
    path.delete(layer);
    done.add(layer);
  };
  visit(root);
}

function childrenOf(layer: Layer): Layer[] {
  const children: unknown = layer.children();
  const isPair = (pair: unknown): pair is readonly [string, Layer] =>
    isArray(pair) && typeof pair[0] === "string" && isLayer(pair[1]);
  if (!isArray(children) || !children.every(isPair)) {
    throw new ArgumentError(`${layer.type}: children: got ${show(children)}, expected pairs [name, layer]`);
  }
  return children.map(([, child]) => child);
}

/** Marks the gradients as none; the next parameter message overwrites them. */
export function zeroGradients(parameters: readonly Parameter[]): void {
  for (const { grad } of parameters) grad.assertUsable();
  for (const { grad } of parameters) grad.markZero();
}
