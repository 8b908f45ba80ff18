import { describe, test } from "vitest";
import type { Limit } from "../support/compare.js";
import { losses } from "../support/dispatch.js";
import { describeEngines } from "../support/engines.js";
import {
  dense,
  expectOutput,
  expectTensor,
  floats,
  type GoldenCase,
  goldenCases,
  stored,
  toTensor,
} from "../support/golden.js";

/** What the files call a loss's arguments and its gradient. */
const NAMES: Record<string, { output: string; target: string; grad: string }> = {
  cross_entropy: { output: "logits", target: "labels", grad: "dlogits" },
  cross_entropy_weight: { output: "logits", target: "labels", grad: "dlogits" },
  mse: { output: "input", target: "target", grad: "dinput" },
  bce_with_logits: { output: "logits", target: "target", grad: "dlogits" },
};

/** Of the later families the losses that are there; the others are for those to come. */
const LATER = ["bce_with_logits", "cross_entropy_weight"];

const cases = [
  ...goldenCases("losses", ({ op }) => op in losses),
  ...["losses2", "losses3"].flatMap((family) => goldenCases(family, ({ op }) => LATER.includes(op))),
];

/** At extremes float64 itself rounds to 0 what is not. */
const extreme: Limit = (got, want) => Math.abs(got - want) <= 2 ** -21 * Math.abs(want) + 1e-30;

const limitOf = (golden: GoldenCase, name: string): Limit =>
  golden.config.special === true ? extreme : dense(golden, golden.outputs[name]);

describe("losses as PyTorch", () => {
  describeEngines((engine) => {
    test.each(cases)("$name", (golden) => {
      const { config, inputs } = golden;
      const names = NAMES[config.op];
      const output = toTensor(engine(), inputs[names.output]);
      const target = { data: stored(inputs[names.target]), shape: inputs[names.target].shape };
      const { loss, grad } = losses[config.op](output, target, config, inputs.weight && floats(inputs.weight));
      expectOutput(golden, "loss", [loss], limitOf(golden, "loss"));
      expectTensor(golden, names.grad, grad, limitOf(golden, names.grad));
      output.dispose();
    });
  });
});
