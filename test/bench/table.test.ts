import { describe, expect, it } from "vitest";
import { InputError, parseOptions, select } from "../../bench/options.js";
import type { RunRow } from "../../bench/run.js";
import { Table } from "../../bench/table.js";

const limit = { flopPerCycle: 15, explanation: "a loop", loopFlopPerCycle: 14 };
const contenders = ["lanegrad", "wide", "twin"].map((name) => ({ name }));
const rounds = { clock: 4, rounds: 9, countedRounds: 8, noisy: false };
const product: RunRow = {
  name: "product square 64",
  work: { flop: 8e7 },
  milliseconds: { lanegrad: 2, wide: 1, twin: 15 },
  ...rounds,
};
const pass: RunRow = {
  name: "adam 256",
  work: { elements: 256 },
  milliseconds: { lanegrad: 0.000128, wide: 0.000064, twin: 0.001 },
  ...rounds,
};

const cells = (line: string) => line.trim().split(/ {2,}/);

describe("the table of a bench", () => {
  it("has figures for both widths: gain, GFLOP/s, shares of a limit each, ns an element", () => {
    const table = new Table([product, pass], { contenders, limit });
    const work = ["GFLOP/s", "of limit", "ns/elem"];
    const titles = ["lanegrad", ...work, "wide", "gain", ...work, "twin", "x twin", "rounds"];
    expect(cells(table.heading())).toEqual(titles);
    // 40 of 60 GFLOP/s, and 80 of 120
    const figures = ["2.00 ms", "40.0", "67 %", "1.00 ms", "2.00", "80.0", "67 %", "15.0 ms", "7.5", "8/9"];
    expect(cells(table.line(product))).toEqual([product.name, ...figures]);
    const passes = ["128 ns", "0.500", "64.0 ns", "2.00", "0.250", "1.00 µs", "7.8", "8/9"];
    expect(cells(table.line(pass))).toEqual([pass.name, ...passes]);
  });

  it("says nothing of a width that was not measured", () => {
    const table = new Table([product], { contenders: [{ name: "lanegrad" }, { name: "twin" }] });
    expect(cells(table.heading())).toEqual(["lanegrad", "twin", "x twin", "rounds"]);
  });
});

describe("the command line of a bench", () => {
  it("chooses a set, a width and rows by name or kind", () => {
    const options = parseOptions(["--wide", "--kernels", "simd", "Pass", "256"]);
    expect(options).toMatchObject({ bench: "kernels", kernels: "simd", wide: true, words: ["pass", "256"] });
    expect(select([product, pass], options.words)).toEqual([pass]);
    expect(parseOptions(["peers", "cnn"])).toMatchObject({ bench: "peers", words: ["cnn"] });
  });

  it.each([
    ["a set that there is not", ["--kernels", "js"], /got "js", expected "simd" or "relaxed-simd"/],
    ["a width of cold starts", ["coldstart", "--wide"], /coldstart takes neither/],
    ["an unknown option", ["--width"], /--width.*--help/],
  ])("refuses %s in one line", (_, args, message) => {
    expect(() => parseOptions(args)).toThrow(InputError);
    expect(() => parseOptions(args)).toThrow(message);
  });
});
