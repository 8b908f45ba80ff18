import { Reservation } from "../buffers.js";
import type { Tensor } from "../tensor.js";
import { BuiltInLayer } from "./built-in-layer.js";
import { type BackwardPlan, type ForwardPlan, NEVER } from "./checked-layer.js";
import { Container, type NetBackward, type NetForward, type Stage, stageOf } from "./container.js";
import { fuse, type Group } from "./fused-affine.js";
import type { Layer, Message } from "./layer.js";
import { type GivenLayers, namedLayers } from "./named-layers.js";

/** A stage with what it may take for granted about its neighbours. */
interface Link extends Stage {
  /** What its neighbours hand over comes from a layer of ours, or is the net's: nobody has to look at it. */
  readonly trustsInput: boolean;
  readonly trustsGradient: boolean;
  /** A built-in layer that hands back a dL/dx of its own: the layer before may overwrite it. */
  readonly handsOver: boolean;
  /** The layer, where it stands between built-in ones: what the net returns is the same tensor in either mode. */
  readonly inPlace: AnyBuiltIn | undefined;
}

type AnyBuiltIn = BuiltInLayer<{ readonly y: Tensor }, object>;

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
export class Sequential extends Container {
  /** Own to this class, not to those derived from it. @internal */
  static readonly isOurs = true;

  declare readonly stages: readonly Link[];

  constructor(layers: Readonly<Record<string, Layer>>);
  constructor(...layers: Layer[]);
  constructor(...given: GivenLayers) {
    const children = namedLayers(given, "Sequential");
    super("Sequential", children, linked(fuse(children.map(([, layer]) => layer))));
  }

  override get type(): string {
    return "Sequential";
  }

  override flatInputSize(): number | undefined {
    return this.layers[0].flatInputSize();
  }

  /** The first layer that does not take any shape decides. */
  override isSample(shape: readonly number[]): boolean | undefined {
    for (const layer of this.layers) {
      const isSample = layer.isSample(shape);
      if (isSample !== undefined) return isSample;
    }
    return undefined;
  }

  override shapeAfter(shape: readonly number[]): readonly number[] | undefined {
    let after: readonly number[] | undefined = shape;
    for (const { layer } of this.stages) {
      after = layer.shapeAfter(after);
      if (after === undefined) break;
    }
    return after;
  }

  protected override receiver(message: Message | "forward"): Layer {
    const { layers } = this;
    return layers[message === "forward" ? 0 : layers.length - 1];
  }

  override planForward(inputShape: readonly number[], memory: Reservation): NetForward {
    const parts: (ForwardPlan | undefined)[] = [];
    const outputShape = this.#plan(0, inputShape, parts, memory);
    return this.planOf(inputShape, parts, outputShape);
  }

  /** The parts of the stages from `first` on, as far as shapes can be told; returns the output's, if it can be. */
  #plan(
    first: number,
    inputShape: readonly number[],
    parts: (ForwardPlan | undefined)[],
    memory: Reservation,
  ): readonly number[] | undefined {
    let shape: readonly number[] | undefined = inputShape;
    for (let i = first; i < this.stages.length && shape !== undefined; i++) {
      const { layer, ours, inPlace } = this.stages[i];
      parts[i] = ours === undefined || inPlace?.worksInPlace ? undefined : ours.planForward(shape, memory);
      const part = parts[i];
      shape = part === undefined ? layer.shapeAfter(shape) : part.outputShape;
    }
    return shape;
  }

  protected override run(x: Tensor, { parts }: NetForward): { y: Tensor; inputs: Tensor[] } {
    const { stages } = this;
    const inputs: Tensor[] = [];
    for (let i = 0; i < stages.length; i++) {
      const stage = stages[i];
      const { layer, ours, inPlace, trustsInput } = stage;
      inputs.push(x);
      const part = parts[i];
      if (ours === undefined) {
        x = this.runForeign(stage, x);
        this.#planRest(i + 1, x.shape, parts);
      } else if (!trustsInput) x = layer.forward(x);
      else if (part === undefined) inPlace!.forwardInPlace(x);
      else x = ours.forwardOf(x, part);
    }
    return { y: x, inputs };
  }

  /** Takes the memory of what follows a user's layer, now that its output's shape is known. */
  #planRest(first: number, shape: readonly number[], parts: (ForwardPlan | undefined)[]): void {
    const memory = new Reservation();
    this.#plan(first, shape, parts, memory);
    memory.take();
  }

  override planBackward(message: Message, mayOverwrite: boolean, memory: Reservation): NetBackward {
    const parts: (BackwardPlan | undefined)[] = [];
    for (let i = this.stages.length - 1; i >= 0; i--) {
      const { ours, handsOver } = this.stages[i];
      parts[i] = ours?.planBackward(messageOf(i, message), mayOverwrite, memory);
      mayOverwrite = handsOver;
    }
    return { message, parts, at: NEVER };
  }

  protected override send(dy: Tensor, { message, parts }: NetBackward): Tensor | undefined {
    const { stages } = this;
    let gradient: Tensor | undefined = dy;
    for (let i = stages.length - 1; i >= 0; i--) {
      const { layer, ours, trustsGradient } = stages[i];
      gradient =
        ours === undefined || !trustsGradient
          ? (layer[messageOf(i, message)](gradient!) as Tensor | undefined)
          : ours.sendOf(gradient!, parts[i]!);
    }
    return message === "backwardParams" ? undefined : gradient;
  }
}

/** The first stage alone is spared its dL/dx. */
const messageOf = (stage: number, message: Message): Message =>
  stage === 0 || message === "backwardInput" ? message : "backward";

function linked(groups: readonly Group[]): Link[] {
  const stages = groups.map(stageOf);
  const isBuiltIn = stages.map(({ ours }) => ours instanceof BuiltInLayer);
  return stages.map((stage, i) => ({
    ...stage,
    trustsInput: i === 0 || stages[i - 1].ours !== undefined,
    trustsGradient: i + 1 === stages.length || stages[i + 1].ours !== undefined,
    handsOver: isBuiltIn[i],
    inPlace: isBuiltIn[i - 1] && isBuiltIn[i] && i + 1 < stages.length ? (stage.ours as AnyBuiltIn) : undefined,
  }));
}
