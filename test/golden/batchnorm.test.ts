import type * as lg from "lanegrad";
import { describe, expect, test } from "vitest";
import { layers } from "../support/dispatch.js";
import { describeEngines } from "../support/engines.js";
import {
  expectOutput,
  expectTensor,
  floats,
  type GoldenCase,
  type GoldenTensor,
  goldenCases,
  toTensor,
} from "../support/golden.js";
import { expectMessages } from "../support/messages.js";

const isLayer = (op: string): boolean => op === "batchnorm1d" || op === "batchnorm2d";
const trained = goldenCases("batchnorm", ({ op, training }) => isLayer(op) && training === true);
const evaluated = goldenCases("batchnorm", ({ op, training }) => isLayer(op) && training === false);
const sequences = goldenCases("batchnorm", ({ op }) => op === "batchnorm_sequence");

/** The case's names as the layer's: ours always have weight and bias, which start at 1 and 0 as if there were none. */
const NAMES = { gamma: "weight", beta: "bias" };

function withAffine(golden: GoldenCase): GoldenCase {
  if (golden.config.affine) return golden;
  const channels = golden.config.numFeatures!;
  const filled = (value: number): GoldenTensor => ({ shape: [channels], data: new Array(channels).fill(value) });
  return { ...golden, inputs: { ...golden.inputs, gamma: filled(1), beta: filled(0) } };
}

function setRunning(layer: lg.Layer, { inputs }: GoldenCase): void {
  const state = layer.stateDict();
  state.running_mean.data.set(floats(inputs.runningMean));
  state.running_var.data.set(floats(inputs.runningVar));
}

describe("batch normalisation as PyTorch", () => {
  describeEngines((engine) => {
    test.each(trained)("$name", (given) => {
      const golden = withAffine(given);
      const layer = layers[golden.config.op](golden.config, engine());
      setRunning(layer, golden);
      const x = toTensor(engine(), golden.inputs.x);
      layer.forward(x);
      const state = layer.stateDict();
      expectTensor(golden, "runningMeanAfter", state.running_mean);
      expectTensor(golden, "runningVarAfter", state.running_var);
      expect(state.num_batches_tracked.toArray()).toBe(1);
      x.dispose();
      if (given.config.affine) {
        expectMessages(engine(), golden, layer, NAMES);
      } else {
        const dy = toTensor(engine(), golden.inputs.dy);
        const again = toTensor(engine(), golden.inputs.x);
        expectTensor(golden, "y", layer.forward(again));
        expectTensor(golden, "dx", layer.backward(dy));
        layer.dispose();
        again.dispose();
        dy.dispose();
      }
    });

    test.each(evaluated)("$name", (given) => {
      const golden = withAffine(given);
      const layer = layers[golden.config.op](golden.config, engine());
      setRunning(layer, golden);
      for (const { name, value } of layer.parameters()) {
        value.data.set(floats(golden.inputs[name === "weight" ? "gamma" : "beta"]));
      }
      const x = toTensor(engine(), golden.inputs.x);
      expectTensor(golden, "y", layer.eval().forward(x));
      expect(layer.stateDict().num_batches_tracked.toArray()).toBe(0);
      layer.dispose();
      x.dispose();
    });

    test.each(sequences)("$name", (golden) => {
      const { config, inputs, outputs } = golden;
      const layer = layers[`batchnorm${config.dims}`](config, engine());
      const [weight, bias] = layer.parameters();
      weight.value.data.set(floats(inputs.gamma));
      bias.value.data.set(floats(inputs.beta));
      const [steps, ...shape] = inputs.xs.shape;
      const all = floats(inputs.xs);
      const size = all.length / steps;
      const [means, variances]: number[][] = [[], []];
      for (let step = 0; step < steps; step++) {
        const x = engine().tensor(all.slice(step * size, (step + 1) * size), shape);
        layer.forward(x);
        const state = layer.stateDict();
        means.push(...state.running_mean.data);
        variances.push(...state.running_var.data);
        x.dispose();
      }
      expect(outputs.runningMeans.shape[0]).toBe(steps);
      expectOutput(golden, "runningMeans", means);
      expectOutput(golden, "runningVars", variances);
      const xEval = toTensor(engine(), inputs.xEval);
      expectTensor(golden, "yEval", layer.eval().forward(xEval));
      xEval.dispose();
      layer.dispose();
    });
  });
});
