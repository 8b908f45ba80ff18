import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { timeText } from "../../bench/figures.js";
import { imageRows } from "../../bench/images.js";
import { kernelRows } from "../../bench/kernels.js";
import { peerRows } from "../../bench/peers/rows.js";
import { chartOf } from "../../bench/report/chart.js";
import { groupOf } from "../../bench/report/groups.js";
import { headlineOf, headlineText } from "../../bench/report/headline.js";
import { markdownOf } from "../../bench/report/markdown.js";
import { reportOf } from "../../bench/report/model.js";
import { pageOf } from "../../bench/report/page.js";
import { formatRun, parseRun, type Run, RunFileError } from "../../bench/run.js";
import { stepRows } from "../../bench/step.js";

const HOSTILE = 'step </script><img src=x onerror="alert(1)"> | `b` & c';

const run: Omit<Run, "schema"> = {
  bench: "kernels",
  date: "2026-11-24T10:00:00.000Z",
  quick: false,
  node: "20.20.2",
  v8: "11.3",
  kernels: "simd",
  machine: { cpu: "A <processor>", cores: 2, memory: 2 ** 33, system: "Linux 6" },
  limit: { flopPerCycle: 15, explanation: "a loop", loopFlopPerCycle: 14 },
  bestProbe: 12,
  contenders: [{ name: "lanegrad" }, { name: "twin", about: "pure JavaScript" }, { name: "blocked JS" }],
  rows: [
    // 40 GFLOP/s, two thirds of 15 flop a cycle at 4 GHz; the twin takes 7.5 times as long
    {
      name: "step sgd batch 32",
      work: { flop: 8e7 },
      milliseconds: { lanegrad: 2, twin: 15 },
      clock: 4,
      rounds: 30,
      countedRounds: 20,
      noisy: false,
    },
    {
      name: HOSTILE,
      milliseconds: { lanegrad: 1 },
      without: { twin: "cannot" },
      rounds: 4,
      countedRounds: 3,
      noisy: true,
    },
    // 0.5 ns an element
    {
      name: "adam 256",
      work: { elements: 256 },
      milliseconds: { lanegrad: 0.000128, twin: 0.001 },
      clock: 4,
      rounds: 9,
      countedRounds: 9,
      noisy: false,
    },
  ],
};

const parsed = (changes: Partial<Run> = {}): Run => parseRun(formatRun({ ...run, ...changes }), "run.json");

/** All that is in bench/results. */
function recorded(): Run[] {
  const folder = new URL("../../bench/results/", import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return files.map((name) => parseRun(readFileSync(new URL(name, folder), "utf8"), name));
}

/** The line of a table of Markdown whose first cell is this. */
const lineOf = (markdown: string, name: string): string | undefined =>
  markdown.split("\n").find((line) => line.startsWith(`| ${name} |`));

describe("a run as JSON", () => {
  it("comes back as it was, with four digits", () => {
    const [first, ...others] = run.rows;
    const precise = { ...first, milliseconds: { lanegrad: 2.00004321, twin: 15 } };
    expect(parsed({ rows: [precise, ...others] })).toEqual({ ...run, schema: "lanegrad bench 1" });
  });

  it.each([
    ["not JSON", "{", /^run\.json is not JSON/],
    ["something else", "null", /^run\.json: got schema undefined, expected "lanegrad bench 1"/],
    ["another schema", '{"schema": "lanegrad bench 2"}', /got schema "lanegrad bench 2", expected "lanegrad bench 1"/],
    ["a time that is text", formatRun(run).replace('"twin":15', '"twin":"15"'), /rows\[0\]\.milliseconds\.twin/],
    ["a field that is not known", formatRun(run).replace('"quick"', '"quack"'), /quack/],
  ])("is refused where it is %s", (_, text, message) => {
    expect(() => parseRun(text, "run.json")).toThrow(RunFileError);
    expect(() => parseRun(text, "run.json")).toThrow(message);
  });
});

describe("the report", () => {
  it("shows every figure in RESULTS.md", () => {
    const markdown = markdownOf(reportOf([parsed()]));
    expect(lineOf(markdown, "step sgd batch 32")).toBe(
      "| step sgd batch 32 | Node 20 · simd | 2.00 ms | 15.0 ms | 40.0 | 67 % | 7.5 | 20/30 |",
    );
    expect(lineOf(markdown, "adam 256")).toBe("| adam 256 | Node 20 · simd | 128 ns | 1.00 µs | 0.500 | 7.8 | 9/9 |");
    expect(markdown).toContain("| 32 of 43 | 1 of 3 |");
    expect(markdown).not.toContain("{{");
    expect(markdown).not.toMatch(/[^\\]<img/);
    expect(markdown).toContain('onerror="alert(1)"\\> \\| \\`b\\`');
  });

  it("puts runs together: the later one of a row, a setup for each Node and width", () => {
    const [first, ...others] = run.rows;
    const widened = { ...first, milliseconds: { ...first.milliseconds, wide: 0.5 } };
    const later = { ...first, milliseconds: { lanegrad: 1, twin: 12 } };
    const { setups, entries } = reportOf([
      parsed({ date: "2026-11-25T10:00:00.000Z", rows: [later] }),
      parsed(),
      parsed({
        node: "24.1.0",
        contenders: [{ name: "lanegrad" }, { name: "wide" }, { name: "twin" }],
        rows: [widened, ...others],
      }),
      parsed({ node: "8.1.0" }),
    ]);
    expect(setups.map(({ label }) => label)).toEqual([
      "Node 8 · simd",
      "Node 20 · simd",
      "Node 24 · simd",
      "Node 24 · simd · wide",
    ]);
    const times = entries.filter(({ row, setup }) => row.name === first.name && setup === "Node 20 · simd");
    expect(times.map(({ figures }) => figures.times)).toEqual([{ twin: 12 }]);
    const figuresAt = (setup: string) =>
      entries.find((entry) => entry.setup === setup && entry.row.name === first.name)!.figures;
    expect(figuresAt("Node 24 · simd")).toMatchObject({ gflops: 40, times: { twin: 7.5 } });
    // of twice the limit
    expect(figuresAt("Node 24 · simd · wide")).toMatchObject({ gflops: 160, times: { normal: 4, twin: 30 } });
    expect(figuresAt("Node 24 · simd · wide").shareOfLimit).toBeCloseTo(160 / (2 * 15 * 4));
    expect(entries).toHaveLength(3 * run.rows.length + 1);
  });

  it("is one page that asks for nothing else, in which names stay text", async () => {
    const report = reportOf([parsed(), parsed({ node: "24.1.0" })]);
    const page = await pageOf(report);
    expect(page).not.toContain("<img");
    expect(page).toContain("step &lt;/script&gt;&lt;img src=x onerror=&quot;alert(1)&quot;&gt; | `b` &amp; c");
    expect(page).toContain("A &lt;processor&gt;");
    expect(page.match(/(?:src|href)="(?!#|data:)[^"]*"/g)).toBeNull();
    expect(page.match(/<\/script>/g)).toHaveLength(2);
    const [, json] = /<script type="application\/json" id="report">(.*?)<\/script>/s.exec(page)!;
    expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(report)));
    expect(page.length).toBeLessThan(1e6);
  });

  it("begins with the result: a sentence and a chart of the setup where most took part", async () => {
    const [first] = run.rows;
    const row = (milliseconds: Record<string, number>) => [{ ...first, name: "step sgd batch 128", milliseconds }];
    const library = (names: string[]) => names.map((name) => ({ name, about: "a library" }));
    const report = reportOf([
      parsed({ rows: row({ lanegrad: 2, twin: 18, "blocked JS": 16 }) }),
      parsed({
        bench: "peers",
        contenders: library(["lanegrad", "TF.js wasm", "jax-js wasm"]),
        rows: row({ lanegrad: 2.5, "TF.js wasm": 30, "jax-js wasm": 5 }),
      }),
      parsed({
        node: "24.1.0",
        contenders: library(["lanegrad", "wide", "twin"]),
        rows: row({ lanegrad: 1, wide: 0.5, twin: 10 }),
      }),
    ]);
    const headline = headlineOf(report)!;
    expect(headlineText(headline)).toBe(
      "A training step takes lanegrad 2.00 ms on one thread of Node 20: " +
        "2.00 to 12.0 times as fast as other WebAssembly libraries and 8.0 to 9.0 times as fast as pure JavaScript.",
    );
    expect(headline.bars.map(({ name }) => name)).toEqual([
      "lanegrad",
      "jax-js wasm",
      "TF.js wasm",
      "blocked JS",
      "twin",
    ]);
    const page = await pageOf(report);
    const places = ["A training step takes", "Who is compared", 'id="steps"', "Machines and method</h2>", "A &lt;proc"];
    const positions = places.map((text) => page.indexOf(text));
    expect(positions).not.toContain(-1);
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
    expect(page).toContain("what WebAssembly SIMD gains");

    const wide = headlineOf(
      reportOf([
        parsed({ node: "24.1.0", contenders: library(["lanegrad", "wide"]), rows: row({ lanegrad: 1, wide: 0.5 }) }),
      ]),
    )!;
    expect(wide.bars.map(({ name, times }) => [name, times])).toEqual([
      ["lanegrad", 1],
      ["lanegrad, wide", 0.5],
    ]);
    expect(headlineOf(reportOf([parsed()]))).toBeUndefined();
  });

  it("shows contenders, and rows of steps, in one order everywhere", () => {
    const { entries } = reportOf(recorded());
    const orders = entries.map(({ contenders }) => contenders.slice(1));
    const all = [...new Set(orders.flat())];
    // each pair of them stands in one order only
    for (const a of all) {
      for (const b of all) {
        const both = orders.filter((order) => order.includes(a) && order.includes(b));
        expect(new Set(both.map((order) => order.indexOf(a) < order.indexOf(b))).size, `${a}, ${b}`).toBeLessThan(2);
      }
    }
    const steps = entries.filter(({ group }) => group === "step").map(({ row }) => row.name);
    const names = [...new Set(steps)];
    expect(names).toEqual([
      ...["sgd", "adam"].flatMap((optimizer) => [1, 32, 128, 512].map((batch) => `step ${optimizer} batch ${batch}`)),
      "step cnn sgd batch 16",
    ]);
  });

  it("has a place for every row of every bench", () => {
    const rows = [...stepRows, ...kernelRows, ...imageRows, ...peerRows.map(({ name }) => ({ name }))];
    expect(rows.filter((row) => groupOf(row) === "other")).toEqual([]);
  });

  it("has written RESULTS.md and the README's chart from the runs beside them", () => {
    const report = reportOf(recorded());
    const written = (name: string) => readFileSync(new URL(`../../bench/${name}`, import.meta.url), "utf8");
    expect(written("RESULTS.md")).toBe(markdownOf(report));
    expect(written("chart.svg")).toBe(chartOf(headlineOf(report)!));
  });

  it("draws a chart that asks for nothing else and is light or dark as its reader's screen", () => {
    const headline = headlineOf(reportOf(recorded()))!;
    const chart = chartOf(headline);
    for (const { name, milliseconds } of headline.bars) {
      expect(chart).toContain(`>${name}</text>`);
      expect(chart).toMatch(new RegExp(`>${timeText(milliseconds)}( · [\\d.]+×)?</text>`));
    }
    // every colour that is used is there for both
    const [, light, dark] = /:root \{(.*?)\}.*prefers-color-scheme: dark\) \{(.*?)\}/s.exec(chart)!;
    for (const [, color] of chart.matchAll(/var\((--\w+)\)/g)) {
      expect(light).toContain(`${color}: #`);
      expect(dark).toContain(`${color}: #`);
    }
    expect(chart.match(/(?:src|href)="|url\(/g)).toBeNull();
    expect(chart.length).toBeLessThan(60_000);
  });
});
