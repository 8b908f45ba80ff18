import * as lg from "lanegrad";
import { describe, expect, it, test } from "vitest";
import { decode, goldenCases } from "../support/golden.js";

/** A schedule of torch.optim.lr_scheduler as the files describe it; `end` and `maxLr` are learning rates there. */
interface Config {
  readonly kind: string;
  readonly baseLr: number;
  readonly steps: number;
  readonly total?: number;
  readonly every?: number;
  readonly gamma?: number;
  readonly end?: number;
  readonly startFactor?: number;
  readonly endFactor?: number;
  readonly maxLr?: number;
  readonly pctStart?: number;
  readonly divFactor?: number;
  readonly finalDivFactor?: number;
  readonly anneal?: "cos" | "linear";
  readonly threePhase?: boolean;
  readonly factor?: number;
  readonly parts?: Config[];
  readonly milestones?: number[];
}

function scheduleOf(config: Config, baseLr: number): lg.Schedule {
  const { kind, every, gamma, end = 0, startFactor: start, endFactor, maxLr, parts, milestones } = config;
  switch (kind) {
    case "step":
      return lg.schedules.step({ every: every!, gamma });
    case "exponential":
      return lg.schedules.exponential({ gamma: gamma! });
    case "cosine":
      return lg.schedules.cosine({ end: end / baseLr });
    case "linear":
      return lg.schedules.linear({ start, end: endFactor });
    case "constant":
      expect(config.factor).toBe(1);
      return lg.schedules.constant();
    case "oneCycle": {
      const { pctStart, divFactor, finalDivFactor, anneal, threePhase } = config;
      return lg.schedules.oneCycle({ max: maxLr! / baseLr, pctStart, divFactor, finalDivFactor, anneal, threePhase });
    }
    case "sequence": {
      const ends = [...milestones!, config.steps];
      return lg.schedules.sequence(
        // one that is given more steps than it gets still counts by its own
        parts!.map((part, i) => {
          const schedule = scheduleOf(part, baseLr);
          return [ends[i] - (ends[i - 1] ?? 0), (step) => schedule(step, part.total ?? 0)];
        }),
      );
    }
    case "multiStep": {
      const ends = [...new Set(milestones), config.steps];
      return lg.schedules.sequence(
        ends.map((at, i) => {
          const factor = gamma! ** milestones!.filter((milestone) => milestone < at).length;
          return [at - (ends[i - 1] ?? 0), () => factor];
        }),
      );
    }
    default:
      throw new Error(`no schedule ${kind}`);
  }
}

const cases = ["schedules", "schedules2"].flatMap((family) => goldenCases(family, ({ op }) => op === "schedule"));

describe("schedules as torch.optim.lr_scheduler", () => {
  test.each(cases)("$name", ({ config, outputs }) => {
    const given = config as unknown as Config;
    const schedule = scheduleOf(given, given.baseLr);
    const want = decode(outputs.lr);
    expect(want.length).toBe(given.steps);
    want.forEach((lr, step) => {
      const got = given.baseLr * schedule(step, given.total ?? given.steps);
      // the files' are products of one step after the other
      expect(Math.abs(got - lr), `${step}: ${got}, expected ${lr}`).toBeLessThanOrEqual(1e-12 * given.baseLr);
    });
  });

  it("takes the first lr for the optimizer's in oneCycle", () => {
    const [golden] = cases.filter(({ config }) => (config as unknown as Config).kind === "oneCycle");
    const { baseLr, maxLr, divFactor } = golden.config as unknown as Config;
    expect(baseLr).toBeCloseTo(maxLr! / divFactor!, 15);
    const want = decode(golden.outputs.lr);
    const schedule = lg.schedules.oneCycle();
    want.forEach((lr, step) => {
      expect(baseLr * schedule(step, 50)).toBeCloseTo(lr, 14);
    });
  });
});
