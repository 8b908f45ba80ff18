import { describe, test } from "vitest";
import { layers } from "../support/dispatch.js";
import { describeEngines } from "../support/engines.js";
import { goldenCases } from "../support/golden.js";
import { expectMessages } from "../support/messages.js";

const cases = goldenCases("linear", ({ op }) => op === "linear");

describe("Linear as PyTorch", () => {
  describeEngines((engine) => {
    test.each(cases)("$name", (golden) => {
      expectMessages(engine(), golden, layers.linear(golden.config, engine()), { W: "weight", b: "bias" });
    });
  });
});
