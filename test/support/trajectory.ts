import * as lg from "lanegrad";
import { layers, losses, optimizers, type Target } from "./dispatch.js";
import { floats, type GoldenCase, type GoldenTensor, goldenCases, integers, stored } from "./golden.js";
import { parametersByName } from "./messages.js";

export const trajectories = goldenCases(
  "trajectory",
  (config) =>
    config.layers.every(({ type }) => type in layers) && config.loss in losses && config.optimizer.type in optimizers,
);

/** The samples `rows` of x or y, in that order. */
function gather(tensor: GoldenTensor, rows: Int32Array): Target {
  const all = stored(tensor);
  const shape = [rows.length, ...tensor.shape.slice(1)];
  const size = all.length / tensor.shape[0];
  const data = all.slice(0, rows.length * size);
  rows.forEach((row, i) => {
    data.set(all.subarray(row * size, (row + 1) * size), i * size);
  });
  return { data, shape };
}

/** The network of the case with PyTorch's initial weights. */
function buildNet({ config, inputs }: GoldenCase, engine: lg.Engine): lg.Sequential {
  const net = new lg.Sequential(...config.layers.map((layer) => layers[layer.type](layer, engine)));
  const parameters = parametersByName(net);
  for (const [name, tensor] of Object.entries(inputs)) {
    if (name.startsWith("init.")) parameters.get(name.slice("init.".length))!.value.data.set(floats(tensor));
  }
  return net;
}

/** What a training run comes to, under the names of the golden files. */
export interface Trained {
  readonly losses: number[];
  readonly evalLoss: number;
  /** The output for the first samples in eval mode, and every tensor of the net's state, copied. */
  readonly tensors: Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
}

/** Trains as the case says; `message` sends the messages back. */
export function train(golden: GoldenCase, engine: lg.Engine, message: "backward" | "backwardParams"): Trained {
  const { config, inputs, outputs } = golden;
  const net = buildNet(golden, engine);
  const optimizer = optimizers[config.optimizer.type](net.parameters(), config.optimizer);
  const samples = Int32Array.from({ length: inputs.x.shape[0] }, (_, i) => i);
  const batches = inputs.batches ? integers(inputs.batches) : undefined;
  const batchSize = inputs.batches ? inputs.batches.shape[1] : samples.length;

  const run = (rows: Int32Array): { loss: number; grad: lg.Tensor; x: lg.Tensor } => {
    const { data, shape } = gather(inputs.x, rows);
    const x = engine.tensor(Float32Array.from(data), shape);
    return { ...losses[config.loss](net.forward(x), gather(inputs.y, rows), config), x };
  };

  const got: number[] = [];
  for (let step = 0; step < config.steps; step++) {
    const { loss, grad, x } = run(batches?.subarray(step * batchSize, (step + 1) * batchSize) ?? samples);
    got.push(loss);
    optimizer.zeroGrad();
    net[message](grad);
    optimizer.step();
    x.dispose();
  }
  const copy = ({ shape, data }: lg.Tensor) => ({ shape, data: data.slice() });
  const state = Object.entries(net.stateDict()).map(([name, tensor]) => [`final.${name}`, copy(tensor)] as const);

  net.eval();
  const first = gather(inputs.x, samples.subarray(0, outputs.evalOutput.shape[0]));
  const x = engine.tensor(Float32Array.from(first.data), first.shape);
  const evalOutput = copy(net.forward(x));
  x.dispose();
  const evaluated = run(samples);
  evaluated.x.dispose();
  net.dispose();
  return { losses: got, evalLoss: evaluated.loss, tensors: { ...Object.fromEntries(state), evalOutput } };
}
