import { CLASSES, CONVOLUTIONS, DENSE, HIDDEN, IMAGE, IMAGE_BATCH, IMAGE_HIDDEN, INPUTS } from "../network.js";
import { numbersFrom, uniform } from "../numbers.js";
import { createProblem, INITIAL_SLOPE, initialRange } from "../training.js";

export interface Values {
  values: Float32Array;
  shape: number[];
}

/** PyTorch's layers of these names, images as [N, C, H, W]. */
export type LayerSpec =
  /** weight [outputs, inputs], bias [outputs] */
  | { kind: "linear"; parameters: [weight: Values, bias: Values] }
  /** Along axis 1: [channels] */
  | { kind: "prelu"; parameters: [slopes: Values] }
  /** Of 3x3 with a padding of 1: weight [outputs, inputs, 3, 3], bias [outputs] */
  | { kind: "conv2d"; parameters: [weight: Values, bias: Values] }
  /** [channels] each; nothing has been seen yet, so the running mean is 0 and the variance 1. */
  | { kind: "batchNorm2d"; parameters: [weight: Values, bias: Values] }
  /** Of 2x2, side by side. */
  | { kind: "maxPool2d"; parameters: [] }
  | { kind: "flatten"; parameters: [] };

export const BATCH_NORM_EPSILON = 1e-5;

/** The network that all train, its initial parameters, and the data. */
export interface Problem {
  readonly batch: number;
  readonly x: Values;
  readonly labels: Int32Array;
  /** The labels as rows of CLASSES numbers. */
  readonly oneHot: Values;
  readonly layers: LayerSpec[];
}

export const parametersOf = ({ layers }: Pick<Problem, "layers">): Values[] =>
  layers.flatMap(({ parameters }) => [...parameters]);

/** The images, labels and initial parameters of `npm run bench`. */
export function createDenseProblem(batch: number): Problem {
  const { x, labels, weights, biases } = createProblem(batch);
  const layers = DENSE.flatMap(([inputs, outputs], i): LayerSpec[] => {
    const linear: LayerSpec = {
      kind: "linear",
      parameters: [
        { values: weights[i], shape: [outputs, inputs] },
        { values: biases[i], shape: [outputs] },
      ],
    };
    return i < DENSE.length - 1 ? [linear, prelu(HIDDEN)] : [linear];
  });
  return { batch, x: { values: x, shape: [batch, INPUTS] }, labels, oneHot: oneHotOf(labels), layers };
}

/** The image network, without dropout: everyone's masks are their own. */
export function createImageProblem(): Problem {
  const { channels, size } = IMAGE;
  const features = CONVOLUTIONS[1][1] * (size / 4) ** 2;
  const next = numbersFrom(78);
  const labels = Int32Array.from({ length: IMAGE_BATCH }, () => Math.floor(next() * CLASSES));
  let seed = 100;
  const randomly = (inputs: number, ...shape: number[]): Values => {
    const length = shape.reduce((product, extent) => product * extent);
    return { values: uniform(length, ...initialRange(inputs), ++seed), shape };
  };
  const linear = (inputs: number, outputs: number): LayerSpec => ({
    kind: "linear",
    parameters: [randomly(inputs, outputs, inputs), randomly(inputs, outputs)],
  });
  return {
    batch: IMAGE_BATCH,
    x: {
      values: uniform(IMAGE_BATCH * channels * size * size, -1, 1, 5),
      shape: [IMAGE_BATCH, channels, size, size],
    },
    labels,
    oneHot: oneHotOf(labels),
    layers: [
      ...CONVOLUTIONS.flatMap(([from, to]): LayerSpec[] => [
        { kind: "conv2d", parameters: [randomly(9 * from, to, from, 3, 3), randomly(9 * from, to)] },
        prelu(to),
        { kind: "batchNorm2d", parameters: [filled(to, 1), filled(to, 0)] },
        { kind: "maxPool2d", parameters: [] },
      ]),
      { kind: "flatten", parameters: [] },
      linear(features, IMAGE_HIDDEN),
      prelu(IMAGE_HIDDEN),
      linear(IMAGE_HIDDEN, CLASSES),
    ],
  };
}

const filled = (length: number, value: number): Values => ({
  values: new Float32Array(length).fill(value),
  shape: [length],
});

const prelu = (channels: number): LayerSpec => ({ kind: "prelu", parameters: [filled(channels, INITIAL_SLOPE)] });

function oneHotOf(labels: Int32Array): Values {
  const values = new Float32Array(labels.length * CLASSES);
  for (const [row, label] of labels.entries()) values[row * CLASSES + label] = 1;
  return { values, shape: [labels.length, CLASSES] };
}

/**
 * The same network for libraries with images as [N, H, W, C]: weights of convolutions are [outputs, 3, 3, inputs], and those
 * of the layer behind flatten are in the order of channels last.
 */
export function withChannelsLast({ x, layers }: Problem): Pick<Problem, "x" | "layers"> {
  let channels = 0;
  let isFlattened = false;
  return {
    x: x.shape.length === 4 ? permuted(x, [0, 2, 3, 1]) : x,
    layers: layers.map((layer) => {
      if (layer.kind === "conv2d") {
        const [weight, bias] = layer.parameters;
        [channels] = weight.shape;
        return { ...layer, parameters: [permuted(weight, [0, 2, 3, 1]), bias] };
      }
      if (layer.kind === "linear" && isFlattened) {
        isFlattened = false;
        const [{ values, shape }, bias] = layer.parameters;
        const [outputs, inputs] = shape;
        const byChannel = { values, shape: [outputs, channels, inputs / channels] };
        return { ...layer, parameters: [{ values: permuted(byChannel, [0, 2, 1]).values, shape }, bias] };
      }
      isFlattened ||= layer.kind === "flatten";
      return layer;
    }),
  };
}

/** The axes in another order: axis i of the result is axis `order[i]`. */
export function permuted({ values, shape }: Values, order: readonly number[]): Values {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, extent) => product * extent, 1));
  const ownShape = order.map((axis) => shape[axis]);
  const ownValues = values.map((_, index) => {
    let source = 0;
    for (let i = order.length - 1; i >= 0; i--) {
      source += (index % ownShape[i]) * strides[order[i]];
      index = Math.floor(index / ownShape[i]);
    }
    return values[source];
  });
  return { values: ownValues, shape: ownShape };
}
