import { CLASSES, INPUTS } from "../network.js";
import { LEARNING_RATES } from "../training.js";
import type { Contender } from "./contender.js";
import { requireFrom } from "./packages.js";
import { type Problem, parametersOf } from "./problem.js";

/** A function that is given an array owns it and lets go of it; `ref` is one more claim to the same array. */
interface Arr {
  readonly ref: Arr;
  add(other: Arr): Arr;
  sub(other: Arr): Arr;
  mul(other: Arr | number): Arr;
  greater(other: number): Arr;
  sum(): Arr;
  item(): number;
  dataSync(): Float32Array;
  dispose(): void;
}

/** As much of @jax-js/jax as is used here. */
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
    transpose(matrix: Arr): Arr;
    where(condition: Arr, a: Arr, b: Arr): Arr;
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
          .logSoftmax(forward(jax, parameters, x), -1)
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
      const oneHot = jax.numpy.array(problem.oneHot, { shape: [problem.batch, CLASSES] });
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
      const run = jax.jit((own: Arr[], images: Arr) => forward(jax, own, images));
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

function createNet({ numpy }: Jax, problem: Problem) {
  return {
    x: numpy.array(problem.x, { shape: [problem.batch, INPUTS] }),
    parameters: parametersOf(problem).map(({ values, shape }) => numpy.array(values, { shape })),
  };
}

/**
 * With weights as [outputs, inputs], since its products are faster where the last axes of both meet, at batch 1 almost
 * twofold.
 */
function forward({ numpy }: Jax, [w1, b1, slopes1, w2, b2, slopes2, w3, b3]: Arr[], x: Arr): Arr {
  const dense = (input: Arr, weight: Arr, bias: Arr) => numpy.dot(input, numpy.transpose(weight)).add(bias);
  const prelu = (h: Arr, slopes: Arr) => numpy.where(h.ref.greater(0), h.ref, h.mul(slopes));
  const first = prelu(dense(x, w1, b1), slopes1);
  const second = prelu(dense(first, w2, b2), slopes2);
  return dense(second, w3, b3);
}
