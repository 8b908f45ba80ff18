import { showShape } from "./checks.js";
import { Probe } from "./differentiation.js";
import { ShapeError } from "./errors.js";
import type { Input, Layer } from "./layers/layer.js";
import { handOut, newTensor, type Tensor } from "./tensor.js";

/** What `jacobian` returns. For a single sample the tensors have no axis N. */
export interface Jacobian {
  /** dy/dx of each sample, [N, ...output, ...input]. */
  input: Tensor;
  /** dy/dθ of each sample by the parameter's name, [N, ...output, ...parameter]. */
  params: Record<string, Tensor>;
}

/**
 * The derivatives of all outputs of each sample with respect to its inputs and to all parameters, in training mode. x is [N, ...], or one
 * sample: [n], or an image [C, H, W]. It takes a backward message for each sample and output, and is dense: `LinearPReLU(784, 256)` needs
 * 205 MB a sample. Parameters, gradients, running statistics, generator and mode stay as they were; the remembered forward is lost.
 *
 * Throws what the layer's messages throw, ShapeError if the output has another number of samples than x, MemoryError if there is no room.
 */
export function jacobian(layer: Layer, x: Input): Jacobian {
  return Probe.run(layer, x, "jacobian", (probe) => {
    const { engine, parameters } = probe;
    const y = probe.forward();
    const isBatch = !(layer.isSample(probe.x.shape) ?? probe.x.shape.length < 2);
    if (isBatch && y.shape[0] !== probe.x.shape[0]) {
      throw new ShapeError(
        `jacobian: got an output ${showShape(y.shape)} for ${showShape(probe.x.shape)}, expected as many samples`,
      );
    }
    const batch = isBatch ? [y.shape[0]] : [];
    const samples = isBatch ? y.shape[0] : 1;
    const outputShape = isBatch ? y.shape.slice(1) : y.shape;
    const inputShape = isBatch ? probe.x.shape.slice(1) : probe.x.shape;
    const outputs = samples === 0 ? 0 : y.size / samples;
    const inputs = samples === 0 ? 0 : probe.x.size / samples;

    const made: Tensor[] = [];
    const make = (shape: readonly number[]): Tensor => {
      const tensor = newTensor(engine, shape);
      made.push(tensor);
      return tensor;
    };
    try {
      const seed = make(y.shape);
      const input = make([...batch, ...outputShape, ...inputShape]);
      const params = Object.fromEntries(
        parameters.map(({ name, value }) => [name, make([...batch, ...outputShape, ...value.shape])]),
      );
      for (let row = 0; row < samples * outputs; row++) {
        seed.fill_(0);
        seed.data[row] = 1;
        const [dx, ...gradients] = probe.gradients(() => probe.layer.backward(seed));
        const sample = Math.floor(row / outputs) * inputs;
        input.data.set(dx.subarray(sample, sample + inputs), row * inputs);
        parameters.forEach(({ name }, i) => {
          params[name].data.set(gradients[i], row * gradients[i].length);
        });
      }
      seed.dispose();
      for (const tensor of [input, ...Object.values(params)]) handOut(tensor);
      return { input, params };
    } catch (error) {
      for (const tensor of made) tensor.dispose();
      throw error;
    }
  });
}
