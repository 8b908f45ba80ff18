import { dirname, join } from "node:path";
import { build } from "esbuild";
import { LEARNING_RATES } from "../training.js";
import type { Contender } from "./contender.js";
import { requireFrom } from "./packages.js";
import {
  BATCH_NORM_EPSILON,
  type LayerSpec,
  type Problem,
  permuted,
  type Values,
  withChannelsLast,
} from "./problem.js";

interface Tensor {
  readonly shape: number[];
  dataSync(): Float32Array;
  dispose(): void;
}

interface Optimizer {
  minimize(loss: () => Tensor, returnCost: true): Tensor;
  dispose(): void;
}

/** The part of @tensorflow/tfjs-core that is used here. */
interface TensorFlow {
  setBackend(name: string): Promise<boolean>;
  tensor(values: Float32Array, shape: number[]): Tensor;
  variable(initial: Tensor): Tensor;
  tidy<Result>(run: () => Result): Result;
  dispose(tensors: Tensor[]): void;
  prelu(x: Tensor, slopes: Tensor): Tensor;
  matMul(a: Tensor, b: Tensor): Tensor;
  add(a: Tensor, b: Tensor): Tensor;
  conv2d(x: Tensor, weight: Tensor, stride: number, padding: "same"): Tensor;
  batchNorm(x: Tensor, mean: Tensor, variance: Tensor, bias: Tensor, weight: Tensor, epsilon: number): Tensor;
  maxPool(x: Tensor, size: number, stride: number, padding: "valid"): Tensor;
  reshape(x: Tensor, shape: number[]): Tensor;
  zeros(shape: number[]): Tensor;
  ones(shape: number[]): Tensor;
  getKernel(name: string, backend: string): unknown;
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
      if (problem.layers.some(({ kind }) => kind === "conv2d") && !trainsConvolutions(tf)) return undefined;
      const { x, parameters } = createNet(tf, problem);
      const oneHot = tf.tensor(problem.oneHot.values, problem.oneHot.shape);
      const lossOf = () => tf.losses.softmaxCrossEntropy(oneHot, forward(tf, problem.layers, parameters, x));
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
        forward: () => tf.tidy(() => forward(tf, problem.layers, parameters, x).dataSync()),
        [Symbol.dispose]: () => tf.dispose([x, ...parameters]),
      };
    },
  };
}

/** What the gradients of convolutions and pools call. */
const trainsConvolutions = ({ getKernel }: TensorFlow): boolean =>
  ["Conv2DBackpropFilter", "Conv2DBackpropInput", "MaxPoolGrad"].every((name) => getKernel(name, "wasm") !== undefined);

/** Its wasm backend knows images with their channels last only. */
function createNet(tf: TensorFlow, problem: Problem) {
  const tensor = ({ values, shape }: Values) => tf.tensor(values, shape);
  const { x, layers } = withChannelsLast(problem);
  return {
    x: tensor(x),
    parameters: layers.flatMap(({ kind, parameters }) =>
      parameters.map((values) => tf.tidy(() => tf.variable(tensor(laidOut(kind, values))))),
    ),
  };
}

/** Weights as [inputs, outputs] and [height, width, inputs, outputs]. */
function laidOut(kind: LayerSpec["kind"], values: Values): Values {
  if (values.shape.length === 1) return values;
  return permuted(values, kind === "conv2d" ? [1, 2, 3, 0] : [1, 0]);
}

function forward(tf: TensorFlow, layers: readonly LayerSpec[], parameters: readonly Tensor[], x: Tensor): Tensor {
  const rest = [...parameters];
  return layers.reduce((h, layer) => apply(tf, layer, rest.splice(0, layer.parameters.length), h), x);
}

function apply(tf: TensorFlow, { kind }: LayerSpec, [first, second]: Tensor[], x: Tensor): Tensor {
  switch (kind) {
    // the fused product with bias is slower here: its gradient computes dL/dx of the first layer too
    case "linear":
      return tf.add(tf.matMul(x, first), second);
    case "prelu":
      return tf.prelu(x, first);
    case "conv2d":
      return tf.add(tf.conv2d(x, first, 1, "same"), second);
    case "batchNorm2d":
      return tf.batchNorm(x, tf.zeros(first.shape), tf.ones(first.shape), second, first, BATCH_NORM_EPSILON);
    case "maxPool2d":
      return tf.maxPool(x, 2, 2, "valid");
    case "flatten": {
      const [batch, height, width, channels] = x.shape;
      return tf.reshape(x, [batch, height * width * channels]);
    }
  }
}
