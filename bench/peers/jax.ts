import { LEARNING_RATES } from "../training.js";
import type { Contender } from "./contender.js";
import { requireFrom } from "./packages.js";
import {
  BATCH_NORM_EPSILON,
  type LayerSpec,
  type Problem,
  parametersOf,
  type Values,
  withChannelsLast,
} from "./problem.js";

/** A function that takes an array consumes it; `ref` is another reference to the same array. */
interface Arr {
  readonly ref: Arr;
  add(other: Arr): Arr;
  sub(other: Arr): Arr;
  mul(other: Arr | number): Arr;
  div(other: Arr): Arr;
  greater(other: number): Arr;
  sum(): Arr;
  mean(axes: number[], options: { keepdims: boolean }): Arr;
  max(axes: number[]): Arr;
  reshape(shape: number[]): Arr;
  readonly shape: number[];
  /** Of the first axes: from and to, or all of it where there is nothing. */
  slice(...ranges: ([from: number, to: number] | [])[]): Arr;
  item(): number;
  dataSync(): Float32Array;
  dispose(): void;
}

/** The part of @jax-js/jax that is used here. */
interface Jax {
  init(device: string): Promise<string[]>;
  defaultDevice(device: string): string;
  jit<Args extends unknown[], Result>(run: (...args: Args) => Result): (...args: Args) => Result;
  valueAndGrad(
    run: (parameters: Arr[], x: Arr, oneHot: Arr) => Arr,
  ): (parameters: Arr[], x: Arr, oneHot: Arr) => [Arr, Arr[]];
  numpy: {
    array(values: Float32Array | number, options?: { shape: number[] }): Arr;
    dot(a: Arr, b: Arr): Arr;
    where(condition: Arr, a: Arr, b: Arr): Arr;
    transpose(matrix: Arr): Arr;
    sqrt(x: Arr): Arr;
    pad(x: Arr, widths: [number, number][]): Arr;
    concatenate(parts: Arr[], axis: number): Arr;
  };
  nn: { logSoftmax(x: Arr, axis: number): Arr };
}

/** In Node it has no workers, and so one thread. */
export async function openJax(folder: string): Promise<Contender> {
  const jax: Jax = requireFrom(folder)("@jax-js/jax");
  if (!(await jax.init("wasm")).includes("wasm")) throw new Error("jax-js has no wasm backend");
  jax.defaultDevice("wasm");

  return {
    train(problem) {
      const lossAndGradients = jax.valueAndGrad((parameters, x, oneHot) =>
        jax.nn
          .logSoftmax(forward(jax, problem.layers, parameters, x, true), -1)
          .mul(oneHot)
          .sum()
          .mul(-1 / problem.batch),
      );
      const update = jax.jit((parameters: Arr[], x: Arr, oneHot: Arr, learningRate: Arr): [Arr, Arr[]] => {
        const [loss, gradients] = lossAndGradients(
          parameters.map(({ ref }) => ref),
          x,
          oneHot,
        );
        const updated = parameters.map((parameter, i) => parameter.sub(gradients[i].mul(learningRate.ref)));
        learningRate.dispose();
        return [loss, updated];
      });

      let { x, parameters } = createNet(jax, problem);
      const oneHot = arrayOf(jax, problem.oneHot);
      let learningRate = jax.numpy.array(LEARNING_RATES.sgd);
      return {
        step() {
          const [loss, updated] = update(parameters, x.ref, oneHot.ref, learningRate.ref);
          parameters = updated;
          return loss.item();
        },
        freeze() {
          learningRate.dispose();
          learningRate = jax.numpy.array(0);
        },
        [Symbol.dispose]() {
          for (const array of [x, oneHot, learningRate, ...parameters]) array.dispose();
        },
      };
    },
    infer(problem) {
      const { x, parameters } = createNet(jax, problem);
      const run = jax.jit((own: Arr[], images: Arr) => forward(jax, problem.layers, own, images, false));
      return {
        forward: () =>
          run(
            parameters.map(({ ref }) => ref),
            x.ref,
          ).dataSync(),
        [Symbol.dispose]() {
          for (const array of [x, ...parameters]) array.dispose();
        },
      };
    },
  };
}

/** Images with their channels last: so a convolution is a matrix product, for which it has fast kernels. */
function createNet(jax: Jax, problem: Problem) {
  const { x, layers } = withChannelsLast(problem);
  return { x: arrayOf(jax, x), parameters: parametersOf({ layers }).map((values) => arrayOf(jax, values)) };
}

const arrayOf = ({ numpy }: Jax, { values, shape }: Values): Arr => numpy.array(values, { shape });

function forward({ numpy }: Jax, layers: readonly LayerSpec[], parameters: Arr[], x: Arr, isTraining: boolean): Arr {
  const rest = [...parameters];
  return layers.reduce((h, layer) => apply(numpy, layer, rest.splice(0, layer.parameters.length), h, isTraining), x);
}

function apply(numpy: Jax["numpy"], { kind }: LayerSpec, [first, second]: Arr[], x: Arr, isTraining: boolean): Arr {
  switch (kind) {
    // with weights as [outputs, inputs], since products are faster where the last axes of both meet, at batch 1 almost twofold
    case "linear":
      return numpy.dot(x, numpy.transpose(first)).add(second);
    case "prelu":
      return numpy.where(x.ref.greater(0), x.ref, x.mul(first));
    case "conv2d":
      return convolution(numpy, x, first).add(second);
    case "batchNorm2d":
      return (isTraining ? standardized(numpy, x) : x.mul(1 / Math.sqrt(1 + BATCH_NORM_EPSILON)))
        .mul(first)
        .add(second);
    case "maxPool2d": {
      const [batch, height, width, channels] = x.shape;
      return x.reshape([batch, height / 2, 2, width / 2, 2, channels]).max([2, 4]);
    }
    case "flatten": {
      const [batch, ...sizes] = x.shape;
      return x.reshape([batch, sizes.reduce((product, size) => product * size)]);
    }
  }
}

/** Patches and a product: many times as fast as its own convolution, which goes through no fast kernel. */
function convolution(numpy: Jax["numpy"], x: Arr, weight: Arr): Arr {
  const [batch, height, width, channels] = x.shape;
  const [outputs] = weight.shape;
  const padded = numpy.pad(x, [
    [0, 0],
    [1, 1],
    [1, 1],
    [0, 0],
  ]);
  const beside = [0, 1, 2].map((j) => padded.ref.slice([], [], [j, j + width]));
  padded.dispose();
  const rows = numpy.concatenate(beside, 3);
  const above = [0, 1, 2].map((i) => rows.ref.slice([], [i, i + height]));
  rows.dispose();
  const length = 9 * channels;
  const matrix = (values: Arr, count: number): Arr =>
    numpy.pad(values.reshape([count, length]), [
      [0, 0],
      // its product of the odd length 27 takes ten times as long as that of 28
      [0, -length & 3],
    ]);
  const patches = matrix(numpy.concatenate(above, 3), batch * height * width);
  const product = numpy.dot(patches, numpy.transpose(matrix(weight, outputs)));
  return product.reshape([batch, height, width, outputs]);
}

/** By the batch's mean and variance of each channel. */
function standardized(numpy: Jax["numpy"], x: Arr): Arr {
  const mean = (values: Arr): Arr => values.mean([0, 1, 2], { keepdims: true });
  const centred = x.ref.sub(mean(x));
  const variance = mean(centred.ref.mul(centred.ref));
  return centred.div(numpy.sqrt(variance.add(numpy.array(BATCH_NORM_EPSILON))));
}
