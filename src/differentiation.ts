import { show, showShape } from "./checks.js";
import type { Engine } from "./engine.js";
import { ArgumentError, ShapeError } from "./errors.js";
import { readInput, writeInput } from "./layers/inputs.js";
import { checkOutput, type Input, isLayer, type Layer, MessageName, type Parameter } from "./layers/layer.js";
import { layersOf, rememberModes } from "./layers/modes.js";
import type { GeneratorState } from "./random.js";
import { isTensor, newTensor, sameShape, type Tensor } from "./tensor.js";
import { netEngine } from "./training/samples.js";
import { rememberGradients, rememberState } from "./undo.js";

/**
 * A layer under examination: `run` works in training mode on a copy of x with gradients that are true zeros, and leaves parameters,
 * gradients, running statistics, generator and mode as they were.
 */
export class Probe {
  readonly layer: Layer;
  readonly engine: Engine;
  readonly parameters: readonly Parameter[];
  /** A copy of x, to be changed at will. */
  readonly x: Tensor;
  readonly #generator: GeneratorState;

  private constructor(layer: Layer, x: Tensor) {
    this.layer = layer;
    this.engine = x.engine;
    this.parameters = layer.parameters();
    this.x = x;
    this.#generator = this.engine.generator.save();
  }

  static run<T>(layer: Layer, x: Input, what: string, work: (probe: Probe) => T): T {
    if (!isLayer(layer)) throw new ArgumentError(`${what}: got ${show(layer)}, expected a Layer`);
    const engine = netEngine(layer, x);
    const given = readInput(x, engine, layer.flatInputSize(), new MessageName(layer, what));
    const copy = newTensor(engine, given.shape);
    writeInput(given, copy);
    const probe = new Probe(layer, copy);
    const restoreMode = rememberModes(layersOf(layer));
    const restoreState = rememberState(Object.values(layer.stateDict()));
    const restoreGradients = rememberGradients(probe.parameters, new WeakMap());
    try {
      layer.train();
      return work(probe);
    } finally {
      restoreMode();
      restoreState();
      restoreGradients();
      probe.engine.generator.restore(probe.#generator);
      copy.dispose();
    }
  }

  /** y = f(x) with the same random draws each time. */
  forward(): Tensor {
    this.engine.generator.restore(this.#generator);
    // the copy of x may have been written since
    this.x.markWritten();
    return checkOutput(this.layer.forward(this.x), this.layer);
  }

  /** dL/dx as `send` returns it, then the gradients that it leaves in the parameters, all copied. */
  gradients(send: () => Tensor): Float32Array[] {
    this.clearGradients();
    const dx: unknown = send();
    if (!isTensor(dx) || !sameShape(dx.shape, this.x.shape)) {
      const got = isTensor(dx) ? showShape(dx.shape) : show(dx);
      throw new ShapeError(
        `${this.layer.describe()}: the backward message returned ${got}, expected a Tensor ${showShape(this.x.shape)}`,
      );
    }
    return [dx.data.slice(), ...this.parameters.map(({ grad }) => grad.data.slice())];
  }

  /** Gradients that are zeros but do not count as new: a penalty belongs to the first message after zeroGrad, not to a derivative. */
  clearGradients(): void {
    for (const { grad } of this.parameters) {
      grad.fill_(0);
      grad.takeFirst();
    }
  }
}
