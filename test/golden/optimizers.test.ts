import { describe, test } from "vitest";
import { optimizers } from "../support/dispatch.js";
import { describeEngines } from "../support/engines.js";
import { expectOutput, floats, goldenCases, toTensor } from "../support/golden.js";

/** In the later rounds settings change on the way, gradients are missing, or are so large that their squares overflow. */
const cases = ["optimizers", "optimizers2", "optimizers3"].flatMap((family) =>
  goldenCases(family, ({ op }) => op in optimizers),
);

describe("optimizers as PyTorch", () => {
  describeEngines((engine) => {
    test.each(cases)("$name", (golden) => {
      const { config, inputs } = golden;
      const [steps, n] = inputs.grads.shape;
      const gradients = floats(inputs.grads);
      const value = toTensor(engine(), inputs.p0);
      const grad = engine().zeros([n]);
      const optimizer = optimizers[config.op]([{ name: "p", value, grad }], config);
      const got = new Float32Array(steps * n);
      for (let step = 0; step < steps; step++) {
        Object.assign(optimizer.groups[0], config.change?.[step]);
        optimizer.zeroGrad();
        if (!config.withoutGradient?.includes(step)) grad.data.set(gradients.subarray(step * n, (step + 1) * n));
        optimizer.step();
        got.set(value.data, step * n);
      }
      expectOutput(golden, "p", got);
      value.dispose();
      grad.dispose();
    });
  });
});
