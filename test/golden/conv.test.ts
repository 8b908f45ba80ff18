import { describe, test } from "vitest";
import { bitExact, exact } from "../support/compare.js";
import { layers } from "../support/dispatch.js";
import { describeEngines } from "../support/engines.js";
import { goldenCases } from "../support/golden.js";
import { expectMessages } from "../support/messages.js";

const convolutions = goldenCases("conv", ({ op }) => op === "conv2d");
const pools = goldenCases("conv", ({ op }) => op === "maxpool2d");
const flattens = goldenCases("conv", ({ op }) => op === "flatten");

describe("convolution and pooling as PyTorch", () => {
  describeEngines((engine) => {
    test.each(convolutions)("$name", (golden) => {
      expectMessages(engine(), golden, layers.conv2d(golden.config, engine()), { W: "weight", b: "bias" });
    });

    // the indices show in dx: no two of a window's values get the same dy
    test.each(pools)("$name", (golden) => {
      expectMessages(engine(), golden, layers.maxpool2d(golden.config, engine()), {}, { y: bitExact, dx: exact });
    });

    test.each(flattens)("$name", (golden) => {
      expectMessages(engine(), golden, layers.flatten(golden.config, engine()), {}, { y: bitExact, dx: bitExact });
    });
  });
});
