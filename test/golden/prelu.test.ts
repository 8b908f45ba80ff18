import { describe, test } from "vitest";
import { bitExact, type Limit, ROUNDING, within } from "../support/compare.js";
import { layers } from "../support/dispatch.js";
import { describeEngines } from "../support/engines.js";
import { floats, type GoldenCase, goldenCases } from "../support/golden.js";
import { expectMessages } from "../support/messages.js";

const cases = goldenCases("prelu", ({ op }) => op === "prelu");

/**
 * The slopes' gradients at special values span 1e-45 to 3e38 from channel to channel, so that no one scale fits: each channel's
 * sum may be off by one rounding for each of its terms, relative to the sum of their sizes.
 */
function slopeLimit({ inputs }: GoldenCase): Limit {
  const [x, dy] = [floats(inputs.x), floats(inputs.dy)];
  const slopes = inputs.a.data.length;
  const inner = inputs.x.shape.slice(2).reduce((size, length) => size * length, 1);
  const terms = new Float64Array(slopes);
  const sizes = new Float64Array(slopes);
  for (let i = 0; i < x.length; i++) {
    if (x[i] > 0) continue;
    const channel = slopes === 1 ? 0 : Math.floor(i / inner) % slopes;
    terms[channel] += 1;
    sizes[channel] += Math.abs(x[i] * dy[i]);
  }
  // Half the smallest subnormal is lost a term where products underflow.
  return within(terms.map((count, c) => (count + 1) * (ROUNDING * sizes[c] + 2 ** -150)));
}

describe("PReLU as PyTorch", () => {
  describeEngines((engine) => {
    test.each(cases)("$name", (golden) => {
      const limits: Record<string, Limit> = { y: bitExact, dx: bitExact };
      if (golden.config.special) limits.da = slopeLimit(golden);
      expectMessages(engine(), golden, layers.prelu(golden.config, engine()), { a: "weight" }, limits);
    });
  });
});
