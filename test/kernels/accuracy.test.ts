import { describe, expect, test } from "vitest";
import { range } from "../support/numbers.js";
import { describeAccuracy, inverseSpacing } from "../support/ulp.js";

describe("element-wise kernels against double precision", () => {
  // 4.3 million inputs for the twin, 42.5 million for the others; all 2^32 in test/long
  describeAccuracy((set) => (set === "js" ? 1009 : 101));
});

/** Fixed-point numbers with this many bits below the point: no bit of the doubles below is lost. */
const POINT = 400;

const toFixed = (value: number): bigint => BigInt(value * 2 ** POINT);

/** exp by the series of x / 256, squared eight times; good to more than 100 bits for float32 from -104 to 89. */
function fixedExp(x: number): bigint {
  const reduced = toFixed(x / 256);
  let sum = 0n;
  let term = toFixed(1);
  for (let k = 1n; term !== 0n; k++) {
    sum += term;
    term = (term * reduced) / (k << BigInt(POINT));
  }
  for (let i = 0; i < 8; i++) sum = (sum * sum) >> BigInt(POINT);
  return sum;
}

describe("the host's double precision is worth the comparison", () => {
  const sizes = range(-149, 6).flatMap((exponent) => [1, 1.37, 1.93].map((fraction) => fraction * 2 ** exponent));
  const inputs = [...Float32Array.from([...range(-104, 88), ...sizes, ...sizes.map((size) => -size)])];

  test.each([
    ["exp", Math.exp, fixedExp],
    ["expm1", Math.expm1, (x: number) => fixedExp(x) - toFixed(1)],
  ] as const)("%s is within a millionth ULP of float32", (_, host, exact) => {
    const errors = inputs
      .filter((x) => x >= -104 && x <= 88)
      .map((x) => {
        const value = host(x);
        const difference = Number(toFixed(value) - exact(x)) * 2 ** -POINT;
        return Math.abs(difference) * inverseSpacing(value);
      });
    expect(Math.max(...errors)).toBeLessThan(1e-6);
  });
});
