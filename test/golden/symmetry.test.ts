import * as lg from "lanegrad";
import { describe, expect, test } from "vitest";
import { ROUNDING } from "../support/compare.js";
import { layers } from "../support/dispatch.js";
import { describeEngines } from "../support/engines.js";
import {
  decode,
  expectOutput,
  expectTensor,
  floats,
  type GoldenCase,
  type GoldenTensor,
  goldenCases,
  toTensor,
} from "../support/golden.js";
import { Gain } from "../support/layers.js";
import { parametersByName } from "../support/messages.js";
import { bits } from "../support/state.js";

const casesOf = (op: string): GoldenCase[] => goldenCases("symmetry", (config) => config.op === op);

function fill(layer: lg.Layer, values: Record<string, GoldenTensor | undefined>): void {
  const parameters = parametersByName(layer);
  for (const [name, { value }] of parameters) value.data.set(floats(values[name]!));
}

/** Sum of a parameter's gradients over the layers of a chain, in double. */
const total = (net: lg.Layer, suffix: RegExp): number =>
  net
    .parameters()
    .filter(({ name }) => suffix.test(name))
    .reduce((sum, { grad }) => sum + grad.data[0], 0);

/** The two deep nets of a case: with PReLU and with ReLU behind each product. */
const ACTIVATIONS = ["prelu", "relu"] as const;

describe("scale symmetry as PyTorch", () => {
  describeEngines((engine) => {
    /** y = g ⊙ φ(Wx + b), its messages' results copied out, and compared with the case's under the same suffix. */
    function run(golden: GoldenCase, suffix: "" | "2"): Record<string, Float32Array> {
      const { config, inputs } = golden;
      const activation = config.activation!;
      const numParameters = inputs.a?.data.length;
      const net = new lg.Sequential({
        linear: layers.linear(config, engine()),
        activation: layers[activation]({ ...config, numParameters }, engine()),
        gain: new Gain(engine(), config.outFeatures!),
      });
      fill(net, {
        "linear.weight": inputs[`W${suffix}`],
        "linear.bias": inputs[`b${suffix}`],
        "activation.weight": inputs.a,
        "gain.gain": inputs[`g${suffix}`],
      });
      const [x, dy] = [toTensor(engine(), inputs.x), toTensor(engine(), inputs.dy)];
      const got: Record<string, lg.Tensor> = { y: net.forward(x), dx: net.backward(dy) };
      const names: Record<string, string> = {
        "linear.weight": "dW",
        "linear.bias": "db",
        "activation.weight": "da",
        "gain.gain": "dg",
      };
      for (const { name, grad } of net.parameters()) got[names[name]] = grad;
      for (const [name, tensor] of Object.entries(got)) expectTensor(golden, `${name}${suffix}`, tensor);
      const copies = Object.fromEntries(Object.entries(got).map(([name, { data }]) => [name, data.slice()]));
      net.dispose();
      x.dispose();
      dy.dispose();
      return copies;
    }

    test.each(casesOf("scale_symmetry"))("$name", (golden) => {
      const [first, second] = [run(golden, ""), run(golden, "2")];
      if (!golden.config.invariant || !golden.config.powerOfTwo) return;
      // Powers of two scale without rounding: what is invariant is so to the bit, what scales does so exactly.
      for (const name of ["y", "dx", "da"].filter((name) => name in first)) {
        expect(bits(second[name]), name).toEqual(bits(first[name]));
      }
      const s = floats(golden.inputs.s);
      const columns = golden.config.inFeatures!;
      expect([...second.dW]).toEqual([...first.dW].map((value, i) => value / s[Math.floor(i / columns)]));
      if (first.db) expect([...second.db]).toEqual([...first.db].map((value, i) => value / s[i]));
      expect([...second.dg]).toEqual([...first.dg].map((value, i) => value * s[i]));
    });
  });
});

describe("deep nets as PyTorch", () => {
  describeEngines((engine) => {
    const makeChain = (
      depth: number,
      features: number,
      numParameters: number,
      activation: (typeof ACTIVATIONS)[number],
    ): lg.Sequential =>
      new lg.Sequential(
        ...Array.from({ length: depth }, () => [
          layers.linear({ inFeatures: features, outFeatures: features, bias: false }, engine()),
          layers[activation]({ numParameters }, engine()),
        ]).flat(),
      );

    test.each(casesOf("deep_chain"))("$name", (golden) => {
      const { inputs, outputs, config } = golden;
      const depth = config.layers as unknown as number;
      for (const activation of ACTIVATIONS) {
        const net = makeChain(depth, 1, 1, activation);
        const parameters = net.parameters();
        for (const { name, value } of parameters) {
          const isSlope = activation === "prelu" && Number(name.split(".")[0]) % 2 === 1;
          value.data.set(floats(isSlope ? inputs.a : inputs.c));
        }
        const x = toTensor(engine(), inputs.x);
        const y = net.forward(x).data.slice();
        const dx = net.backward(engine().tensor([[1]])).data.slice();
        expectOutput(golden, `y_${activation}`, y);
        expectOutput(golden, `dx_${activation}`, dx);
        // layers alternate: even ones are products, odd ones activations
        expectOutput(golden, `dc_${activation}`, [total(net, /[02468]\.weight$/)]);
        if (activation === "prelu") {
          expectOutput(golden, "da_prelu", [total(net, /[13579]\.weight$/)]);
          const [closed] = decode(outputs.closed_form);
          // two products a layer
          expect(Math.abs(Math.abs(y[0]) - closed)).toBeLessThanOrEqual(2 * depth * ROUNDING * closed);
        }
        net.dispose();
        x.dispose();
      }
    });

    test.each(casesOf("deep_perm"))("$name", (golden) => {
      const { inputs } = golden;
      const [depth, n] = inputs.W.shape;
      const [weights, slopes] = [floats(inputs.W), floats(inputs.a)];
      for (const activation of ACTIVATIONS) {
        const net = makeChain(depth, n, n, activation);
        net.layers.forEach((layer, i) => {
          const [parameter] = layer.parameters();
          if (parameter === undefined) return;
          const [source, size] = i % 2 === 0 ? [weights, n * n] : [slopes, n];
          const index = Math.floor(i / 2);
          parameter.value.data.set(source.subarray(index * size, (index + 1) * size));
        });
        const [x, dy] = [toTensor(engine(), inputs.x), toTensor(engine(), inputs.dy)];
        expectTensor(golden, `y_${activation}`, net.forward(x));
        expectTensor(golden, `dx_${activation}`, net.backward(dy));
        if (activation === "prelu") {
          const da = net.layers.filter((_, i) => i % 2 === 1).flatMap((layer) => [...layer.parameters()[0].grad.data]);
          expectOutput(golden, "da_prelu", da);
        }
        net.dispose();
        x.dispose();
        dy.dispose();
      }
    });

    test.each(casesOf("dead_unit"))("$name", (golden) => {
      const { config, inputs } = golden;
      for (const activation of ACTIVATIONS) {
        const net = new lg.Sequential(
          layers.linear(config, engine()),
          layers[activation]({ numParameters: config.outFeatures }, engine()),
        );
        fill(net, { "0.weight": inputs.W, "0.bias": inputs.b, "1.weight": inputs.a });
        const [x, dy] = [toTensor(engine(), inputs.x), toTensor(engine(), inputs.dy)];
        expectTensor(golden, `y_${activation}`, net.forward(x));
        expectTensor(golden, `dx_${activation}`, net.backward(dy));
        const [dW, db, da] = net.parameters().map(({ grad }) => grad);
        expectTensor(golden, `dW_${activation}`, dW);
        expectTensor(golden, `db_${activation}`, db);
        if (activation === "prelu") expectTensor(golden, "da_prelu", da);
        // a unit that is never active: ReLU's learns nothing, PReLU's does
        const columns = config.inFeatures!;
        for (const unit of config.deadUnits!) {
          const row = dW.data.subarray(unit * columns, (unit + 1) * columns);
          expect(row.every((g) => g === 0)).toBe(activation === "relu");
        }
        net.dispose();
        x.dispose();
        dy.dispose();
      }
    });
  });
});
