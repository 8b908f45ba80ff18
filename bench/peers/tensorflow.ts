import { dirname, join } from "node:path";
import { build } from "esbuild";
import { CLASSES, INPUTS } from "../network.js";
import { LEARNING_RATES } from "../training.js";
import type { Contender } from "./contender.js";
import { requireFrom } from "./packages.js";
import { type Problem, parametersOf, transposed } from "./problem.js";

interface Tensor {
  dataSync(): Float32Array;
  dispose(): void;
}

interface Optimizer {
  minimize(loss: () => Tensor, returnCost: true): Tensor;
  dispose(): void;
}

/** As much of @tensorflow/tfjs-core as is used here. */
interface TensorFlow {
  setBackend(name: string): Promise<boolean>;
  tensor(values: Float32Array, shape: number[]): Tensor;
  variable(initial: Tensor): Tensor;
  tidy<Result>(run: () => Result): Result;
  dispose(tensors: Tensor[]): void;
  prelu(x: Tensor, slopes: Tensor): Tensor;
  matMul(a: Tensor, b: Tensor): Tensor;
  add(a: Tensor, b: Tensor): Tensor;
  losses: { softmaxCrossEntropy(oneHot: Tensor, logits: Tensor): Tensor };
  train: { sgd(learningRate: number): Optimizer };
}

interface WasmBackend {
  setWasmPaths(folder: string): void;
  setThreadsCount(threads: number): void;
}

/** The gradients are in files that Node does not load by itself: the library is meant for bundlers. */
const ENTRY = `
  import "@tensorflow/tfjs-core/dist/register_all_gradients";
  export * as tf from "@tensorflow/tfjs-core";
  export * as backend from "@tensorflow/tfjs-backend-wasm";`;

export async function openTensorFlow(folder: string): Promise<Contender> {
  const outfile = join(folder, "bundle.cjs");
  await build({
    stdin: { contents: ENTRY, resolveDir: folder },
    bundle: true,
    platform: "node",
    mainFields: ["module", "main"],
    outfile,
    logLevel: "silent",
  });
  const require = requireFrom(folder);
  const { tf, backend }: { tf: TensorFlow; backend: WasmBackend } = require(outfile);
  backend.setWasmPaths(join(dirname(require.resolve("@tensorflow/tfjs-backend-wasm")), "/"));
  backend.setThreadsCount(1);
  if (!(await tf.setBackend("wasm"))) throw new Error("TensorFlow.js has no wasm backend");

  return {
    train(problem) {
      const { x, parameters } = createNet(tf, problem);
      const oneHot = tf.tensor(problem.oneHot, [problem.batch, CLASSES]);
      const lossOf = () => tf.losses.softmaxCrossEntropy(oneHot, forward(tf, parameters, x));
      let optimizer = tf.train.sgd(LEARNING_RATES.sgd);
      return {
        step() {
          const cost = optimizer.minimize(lossOf, true);
          const [loss] = cost.dataSync();
          cost.dispose();
          return loss;
        },
        freeze() {
          optimizer.dispose();
          optimizer = tf.train.sgd(0);
        },
        [Symbol.dispose]() {
          optimizer.dispose();
          tf.dispose([x, oneHot, ...parameters]);
        },
      };
    },
    infer(problem) {
      const { x, parameters } = createNet(tf, problem);
      return {
        forward: () => tf.tidy(() => forward(tf, parameters, x).dataSync()),
        [Symbol.dispose]: () => tf.dispose([x, ...parameters]),
      };
    },
  };
}

function createNet(tf: TensorFlow, problem: Problem) {
  return {
    x: tf.tensor(problem.x, [problem.batch, INPUTS]),
    parameters: parametersOf(problem)
      .map(transposed)
      .map(({ values, shape }) => tf.tidy(() => tf.variable(tf.tensor(values, shape)))),
  };
}

/** The fused product with bias is slower here: its gradient computes dL/dx of the first layer too. */
function forward(tf: TensorFlow, [w1, b1, slopes1, w2, b2, slopes2, w3, b3]: Tensor[], x: Tensor): Tensor {
  const dense = (input: Tensor, weight: Tensor, bias: Tensor) => tf.add(tf.matMul(input, weight), bias);
  const first = tf.prelu(dense(x, w1, b1), slopes1);
  const second = tf.prelu(dense(first, w2, b2), slopes2);
  return dense(second, w3, b3);
}
