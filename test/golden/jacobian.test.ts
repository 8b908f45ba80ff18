import * as lg from "lanegrad";
import { describe, expect, test } from "vitest";
import { fusedLayers, layers } from "../support/dispatch.js";
import { describeEngines } from "../support/engines.js";
import {
  dense,
  expectOutput,
  expectTensor,
  floats,
  type GoldenCase,
  goldenCases,
  toTensor,
} from "../support/golden.js";
import { type ParameterNames, parametersByName } from "../support/messages.js";

const activationOf = (op: string): string => /^jacobian_linear_(.+)$/.exec(op)?.[1] ?? "";

const cases = goldenCases("linear_act", ({ op }) => activationOf(op) in fusedLayers);

/**
 * PyTorch differentiates every output with respect to every sample, [N, K, N, n]. Outputs do not depend on other samples: those
 * blocks must be zero in the file, and ours are the ones on the diagonal.
 */
function ownSamples({ outputs: { y, dy_dx: full } }: GoldenCase): Float32Array {
  const values = floats(full);
  if (y.shape.length === 1) return values;
  const [samples, outputs, , inputs] = full.shape;
  const own = new Float32Array(samples * outputs * inputs);
  values.forEach((value, i) => {
    const column = i % inputs;
    const other = Math.floor(i / inputs) % samples;
    const row = Math.floor(i / (inputs * samples));
    if (Math.floor(row / outputs) === other) own[row * inputs + column] = value;
    else expect(value).toBe(0);
  });
  return own;
}

function expectJacobian(engine: lg.Engine, golden: GoldenCase, layer: lg.Layer, names: ParameterNames): void {
  const { inputs, outputs } = golden;
  const parameters = parametersByName(layer);
  for (const [key, name] of Object.entries(names)) {
    if (key in inputs) parameters.get(name)!.value.data.set(floats(inputs[key]));
  }
  const x = toTensor(engine, inputs.x);
  expectTensor(golden, "y", layer.forward(x));
  const { input, params } = lg.jacobian(layer, x);
  expect(input.shape).toEqual([...outputs.y.shape, inputs.x.shape.at(-1)]);
  expectOutput(
    { ...golden, outputs: { own: { ...outputs.dy_dx, data: [...ownSamples(golden)] } } },
    "own",
    input.data,
    dense(golden, outputs.dy_dx),
  );
  const present = Object.keys(names).filter((key) => key in inputs);
  expect(Object.keys(params)).toEqual(present.map((key) => names[key]));
  for (const key of present) expectTensor(golden, `dy_d${key}`, params[names[key]]);
  layer.dispose();
  for (const tensor of [x, input, ...Object.values(params)]) tensor.dispose();
}

describe("Jacobians as PyTorch", () => {
  describeEngines((engine) => {
    test.each(cases)("fused $name", (golden) => {
      const layer = fusedLayers[activationOf(golden.config.op)](golden.config, engine());
      expectJacobian(engine(), golden, layer, { W: "weight", b: "bias", a: "slope" });
    });

    test.each(cases)("Sequential of the two $name", (golden) => {
      const { config } = golden;
      const activation = layers[activationOf(config.op)](config, engine());
      const net = new lg.Sequential(layers.linear(config, engine()), activation);
      expectJacobian(engine(), golden, net, { W: "0.weight", b: "0.bias", a: "1.weight" });
    });
  });
});
