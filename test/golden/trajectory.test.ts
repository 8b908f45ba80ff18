import { describe, test } from "vitest";
import { describeEngines } from "../support/engines.js";
import { expectOutput, expectTensor } from "../support/golden.js";
import { train, trajectories } from "../support/trajectory.js";

describe("training as PyTorch", () => {
  describeEngines((engine) => {
    // A training loop needs no dx of the first layer: `backwardParams` spares it and has to come to the same.
    describe.each(["backward", "backwardParams"] as const)("by %s", (message) => {
      test.each(trajectories)("$name", (golden) => {
        const { losses, evalLoss, tensors } = train(golden, engine(), message);
        expectOutput(golden, "losses", losses);
        for (const name of Object.keys(golden.outputs)) {
          if (name.startsWith("final.")) expectTensor(golden, name, tensors[name]);
        }
        expectTensor(golden, "evalOutput", tensors.evalOutput);
        expectOutput(golden, "evalLoss", [evalLoss]);
      });
    });
  });
});
