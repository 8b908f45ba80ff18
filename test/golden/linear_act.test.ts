import * as lg from "lanegrad";
import { describe, test } from "vitest";
import { fusedLayers, layers } from "../support/dispatch.js";
import { describeEngines } from "../support/engines.js";
import { goldenCases } from "../support/golden.js";
import { expectMessages } from "../support/messages.js";

/** The activation behind the dense layer: "prelu" of "linear_prelu" (jacobian_linear_prelu is not one of these). */
const activationOf = (op: string): string => /^linear_(.+)$/.exec(op)?.[1] ?? "";

const fusedCases = goldenCases("linear_act", ({ op }) => activationOf(op) in fusedLayers);
const pairCases = goldenCases("linear_act", ({ op }) => activationOf(op) in layers);

describe("a dense layer with its activation as PyTorch", () => {
  describeEngines((engine) => {
    describe("fused", () => {
      test.each(fusedCases)("$name", (golden) => {
        const layer = fusedLayers[activationOf(golden.config.op)](golden.config, engine());
        expectMessages(engine(), golden, layer, { W: "weight", b: "bias", a: "slope" });
      });
    });

    describe("Sequential of the two", () => {
      test.each(pairCases)("$name", (golden) => {
        const { config } = golden;
        const activation = layers[activationOf(config.op)](config, engine());
        const net = new lg.Sequential(layers.linear(config, engine()), activation);
        expectMessages(engine(), golden, net, { W: "0.weight", b: "0.bias", a: "1.weight" });
      });
    });
  });
});
