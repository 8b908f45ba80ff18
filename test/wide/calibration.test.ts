import { describe, expect, test } from "vitest";
import type { WasmKernels } from "../../src/kernels/wasm.js";
import { type Calibrate, isWider } from "../../src/kernels/wide/calibration.js";
import { Width } from "../../src/kernels/wide/width.js";

/** A processor on a clock of its own: what a loop takes, in microseconds. */
class Simulation {
  time = 0;
  measured = 0;
  apart = 80;
  together = 40;
  /** What comes between, for each measurement. */
  disturbance: (measurement: number) => number = () => 0;

  readonly now = (): number => this.time;
  readonly calibrate: Calibrate = (together) => {
    this.time += ((together ? this.together : this.apart) + this.disturbance(this.measured++)) / 1000;
  };
}

describe("widening is told by the time of two loops", () => {
  const isWide = (settings: Partial<Simulation>): boolean => {
    const { calibrate, now } = Object.assign(new Simulation(), settings);
    return isWider(calibrate, now);
  };

  test.each([
    [2, true],
    [1.6, true],
    [1.45, true],
    [1.35, false],
    [1.1, false],
    [1, false],
    [0.8, false],
  ])("a ratio of %d", (ratio, expected) => {
    expect(isWide({ apart: 50 * ratio, together: 50 })).toBe(expected);
  });

  test("what comes between some measurements makes no difference", () => {
    const most = (i: number): number => (i % 7 < 5 ? 1000 : 0);
    const ofOne = (i: number): number => (i % 2 === 0 && i % 3 > 0 ? 1000 : 0);
    for (const disturbance of [most, ofOne]) {
      expect(isWide({ disturbance })).toBe(true);
      expect(isWide({ apart: 40, together: 40, disturbance })).toBe(false);
    }
  });

  test("a slow first round is tried again", () => {
    const during = (measurements: number) => (i: number) => (i < measurements ? 40 * ((i + 1) % 2) : 0);
    expect(isWide({ disturbance: during(50) })).toBe(true);
    expect(isWide({ disturbance: during(1000) })).toBe(false);
  });

  test("loops that V8 compiles anew in between are not wide for that", () => {
    for (let anew = 0; anew < 60; anew++) {
      const disturbance = (i: number): number => (i < anew ? 120 : 0);
      expect(isWide({ apart: 40, together: 40, disturbance }), `after ${anew} measurements`).toBe(false);
    }
  });
});

describe("the width of an engine", () => {
  function open() {
    const simulation = new Simulation();
    const tiles: boolean[] = [];
    const calls: string[] = [];
    const kernels = {
      set: "simd",
      calibrate: simulation.calibrate,
      useWide: (isWide: boolean) => tiles.push(isWide),
      gemm: (...args: unknown[]) => calls.push(`gemm ${args}`),
      conv2d: (...args: unknown[]) => calls.push(`conv2d ${args}`),
      relu: (...args: unknown[]) => calls.push(`relu ${args}`),
    } as unknown as WasmKernels;
    const width = new Width(kernels, simulation.now);
    const product = (n: number): void => width.watched().gemm(false, true, n, n, n, 1, 2, 3, 4, 5, 6, 7, true);
    const convolution = (): void => width.watched().conv2d(1, 2, 3, 4, 5, 6, 7);
    return { simulation, tiles, calls, width, product, convolution };
  }

  test("chooses the tiles, and again when it no longer holds, or holds again", () => {
    const { simulation, tiles, width } = open();
    expect(width.look()).toBe(true);
    Object.assign(simulation, { apart: 40 });
    expect(width.look()).toBe(false);
    Object.assign(simulation, { apart: 80 });
    expect(width.look()).toBe(true);
    expect(tiles).toEqual([true, false, true]);
  });

  test("is measured every other second at most by what it watches", () => {
    const { simulation, width, product } = open();
    width.look();
    const { measured } = simulation;
    for (let i = 0; i < 100; i++) product(128);
    expect(simulation.measured).toBe(measured);
    simulation.time += 2001;
    product(128);
    expect(simulation.measured).toBe(2 * measured);
  });

  test("is looked at by large products and convolutions, and by nothing that is small", () => {
    const { simulation, calls, width, product, convolution } = open();
    const { relu } = width.watched();
    product(8);
    relu(8, 1, 2);
    expect(simulation.measured).toBe(0);
    product(128);
    const { measured } = simulation;
    expect(measured).toBeGreaterThan(0);
    simulation.time += 2001;
    convolution();
    expect(simulation.measured).toBe(2 * measured);
    expect(calls).toEqual([
      "gemm false,true,8,8,8,1,2,3,4,5,6,7,true",
      "relu 8,1,2",
      "gemm false,true,128,128,128,1,2,3,4,5,6,7,true",
      "conv2d 1,2,3,4,5,6,7",
    ]);
  });
});
