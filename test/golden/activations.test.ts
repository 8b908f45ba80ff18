import { describe, test } from "vitest";
import { bitExact } from "../support/compare.js";
import { layers } from "../support/dispatch.js";
import { describeEngines } from "../support/engines.js";
import { elementwise, goldenCases } from "../support/golden.js";
import { expectMessages } from "../support/messages.js";

const cases = goldenCases("activations", ({ op }) => op in layers);

/** One product or none: PyTorch's float32 result to the bit. The others have a double in their formula. */
const limitOf = (op: string) => (op === "relu" ? bitExact : elementwise);

describe("activations as PyTorch", () => {
  describeEngines((engine) => {
    test.each(cases)("$name", (golden) => {
      const { op } = golden.config;
      expectMessages(engine(), golden, layers[op](golden.config, engine()), {}, { y: limitOf(op), dx: limitOf(op) });
    });
  });
});
