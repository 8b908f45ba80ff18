import { describe, test } from "vitest";
import { losses } from "../support/dispatch.js";
import { describeEngines } from "../support/engines.js";
import { expectOutput, expectTensor, goldenCases, stored, toTensor } from "../support/golden.js";

/** What the files call a loss's arguments and its gradient. */
const NAMES: Record<string, { output: string; target: string; grad: string }> = {
  cross_entropy: { output: "logits", target: "labels", grad: "dlogits" },
  mse: { output: "input", target: "target", grad: "dinput" },
  bce_with_logits: { output: "logits", target: "target", grad: "dlogits" },
};

const cases = goldenCases("losses", ({ op }) => op in losses);

describe("losses as PyTorch", () => {
  describeEngines((engine) => {
    test.each(cases)("$name", (golden) => {
      const { config, inputs } = golden;
      const names = NAMES[config.op];
      const output = toTensor(engine(), inputs[names.output]);
      const target = { data: stored(inputs[names.target]), shape: inputs[names.target].shape };
      const { loss, grad } = losses[config.op](output, target, config);
      expectOutput(golden, "loss", [loss]);
      expectTensor(golden, names.grad, grad);
      output.dispose();
    });
  });
});
