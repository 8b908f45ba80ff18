import { CLASSES, DENSE, HIDDEN } from "../network.js";
import { INITIAL_SLOPE, type Problem as Shared, createProblem as sharedProblem } from "../training.js";

/** What everyone trains: the images, labels and initial parameters of `npm run bench`, and what other libraries want beside them. */
export interface Problem extends Shared {
  /** The labels as rows of CLASSES numbers. */
  readonly oneHot: Float32Array;
  /** Of both PReLUs. */
  readonly slopes: Float32Array;
}

export function createProblem(batch: number): Problem {
  const problem = sharedProblem(batch);
  const oneHot = new Float32Array(batch * CLASSES);
  for (const [row, label] of problem.labels.entries()) oneHot[row * CLASSES + label] = 1;
  return { ...problem, oneHot, slopes: new Float32Array(HIDDEN).fill(INITIAL_SLOPE) };
}

export interface Parameter {
  values: Float32Array;
  shape: number[];
}

/** In the network's order: w1, b1, slopes1, w2, b2, slopes2, w3, b3. */
export function parametersOf({ weights, biases, slopes }: Problem): Parameter[] {
  return DENSE.flatMap(([inputs, outputs], i) => {
    const dense = [
      { values: weights[i], shape: [outputs, inputs] },
      { values: biases[i], shape: [outputs] },
    ];
    return i < DENSE.length - 1 ? [...dense, { values: slopes, shape: [HIDDEN] }] : dense;
  });
}

/** A matrix as [inputs, outputs], which TensorFlow.js wants; others stay as they are. */
export function transposed({ values, shape }: Parameter): Parameter {
  if (shape.length < 2) return { values, shape };
  const [outputs, inputs] = shape;
  const flipped = values.map((_, i) => values[(i % outputs) * inputs + Math.floor(i / outputs)]);
  return { values: flipped, shape: [inputs, outputs] };
}
