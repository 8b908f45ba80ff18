import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as lg from "lanegrad";
import { describe, expect, test } from "vitest";
import { codesOf } from "../../src/kernels/codes.js";
import { openModules } from "../../src/kernels/wasm.js";
import { isWider } from "../../src/kernels/wide/calibration.js";
import { exposeFunctions } from "../../src/kernels/wide/module-bytes.js";
import { LinearMemory } from "../../src/memory.js";
import { canWiden } from "../support/wide.js";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));

interface Report {
  readonly wide: boolean;
  readonly reason: string;
}

/** What an engine with these options says of itself. */
const program = (options: lg.EngineOptions): string => `
  import { createEngine } from "lanegrad";
  const { wide, wideReason: reason } = createEngine(${JSON.stringify(options)});
  console.log(JSON.stringify({ wide, reason }));`;

/** In a process of its own; nothing may reach stderr, where V8 names the flags that it does not know. */
async function report(
  options: lg.EngineOptions,
  { flags = [] as string[], wideByDefault = undefined as string | undefined } = {},
): Promise<Report> {
  const { LANEGRAD_WIDE: _, ...env } = process.env;
  if (wideByDefault !== undefined) env.LANEGRAD_WIDE = wideByDefault;
  const args = [...flags, "--input-type=module", "-e", program(options)];
  const { stdout, stderr } = await run(process.execPath, args, { cwd: root, env });
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

const WIDE: Report = { wide: true, reason: "" };
const refused = (reason: RegExp): object => ({ wide: false, reason: expect.stringMatching(reason) });
/** What this Node makes of a wish. */
const GRANTED = canWiden ? WIDE : refused(/^V8 \d+\.\d+.* is not among those tested/);
const NOT_ASKED = refused(/^not asked for/);

describe("an engine is wide", () => {
  test.each(["simd", "auto"] as const)("where %s kernels are asked to be, and V8 is a tested one", async (kernels) => {
    expect(await report({ kernels, wide: true })).toEqual(GRANTED);
  });

  test("where the environment says so, unless the engine's options say otherwise", async () => {
    expect(await report({}, { wideByDefault: "1" })).toEqual(GRANTED);
    expect(await report({ wide: false }, { wideByDefault: "1" })).toEqual(NOT_ASKED);
  });

  test("not by itself, and for no other value", async () => {
    expect(await report({})).toEqual(NOT_ASKED);
    expect(await report({}, { wideByDefault: "0" })).toEqual(NOT_ASKED);
    expect(await report({}, { wideByDefault: "" })).toEqual(NOT_ASKED);
  });

  test("not with the js kernels, nor with a module that was compiled elsewhere", async () => {
    expect(await report({ kernels: "js", wide: true })).toEqual(refused(/js kernels/));
    using engine = lg.createEngine({
      module: new WebAssembly.Module(readFileSync(`${root}/dist/kernels/simd.wasm`)),
      wide: true,
    });
    expect([engine.wide, engine.wideReason]).toEqual([false, expect.stringMatching(/compiled elsewhere/)]);
  });

  test("not once it is disposed", () => {
    const engine = lg.createEngine({ wide: true });
    engine.dispose();
    expect([engine.wide, engine.wideReason]).toEqual([false, expect.stringMatching(/disposed/)]);
  });

  test("not in a worker thread", async () => {
    const code = `
      import("lanegrad").then(({ createEngine }) => {
        const { wide, wideReason: reason } = createEngine({ wide: true });
        require("node:worker_threads").parentPort.postMessage({ wide, reason });
      });`;
    const main = `
      import { Worker } from "node:worker_threads";
      new Worker(${JSON.stringify(code)}, { eval: true, execArgv: [] }).on("message", (report) => console.log(JSON.stringify(report)));`;
    const { stdout, stderr } = await run(process.execPath, ["--input-type=module", "-e", main], { cwd: root });
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual(refused(canWiden ? /main thread/ : /not among those tested/));
  });

  // such a script skips every `finally`
  test.runIf(canWiden)(
    "with V8's flags as they were, even where a time limit of node:vm cut the script short",
    async () => {
      const code = `
      import vm from "node:vm";
      import { createEngine } from "lanegrad";
      globalThis.createEngine = createEngine;
      let cut = 0;
      for (let timeout = 10; timeout <= 60; timeout += 5) {
        try { vm.runInThisContext("createEngine({ wide: true })", { timeout }); } catch { cut++; }
        await new Promise(setImmediate);
        let natives = true;
        try { new Function("return %IsJSProxy(" + timeout + ")"); } catch { natives = false; }
        if (natives) throw new Error("natives are on after " + timeout + " ms");
      }
      console.log(cut > 0);`;
      const { stdout, stderr } = await run(process.execPath, ["--input-type=module", "-e", code], { cwd: root });
      expect({ stdout: stdout.trim(), stderr }).toEqual({ stdout: "true", stderr: "" });
    },
  );

  // earlier Nodes do not know it
  test.runIf(canWiden)("not where the command line sets the flag for the whole process", async () => {
    const flags = ["--experimental-wasm-revectorize"];
    expect(await report({ wide: true }, { flags })).toEqual(refused(/^--experimental-wasm-revectorize is set/));
  });

  test.runIf(canWiden)("not where code from strings is forbidden", async () => {
    const flags = ["--disallow-code-generation-from-strings"];
    expect(await report({ wide: true }, { flags })).toEqual(refused(/^it failed: /));
  });
});

describe.runIf(canWiden)("a wide engine", () => {
  test("leaves other WebAssembly as it is: a module compiled afterwards is not widened", () => {
    using engine = lg.createEngine({ wide: true });
    expect(engine.wide).toBe(true);
    const heap = new LinearMemory({ maximum: 2 ** 25 });
    const [core] = codesOf("simd", true);
    const { bytes } = exposeFunctions(core.bytes, crypto.getRandomValues(new Uint8Array(16)));
    const foreign = openModules([new WebAssembly.Module(bytes)], heap);
    const calibrate = (together: boolean, turns: number): void => foreign.calibrate(together, turns);
    // V8 compiles what is called often
    const end = performance.now() + 300;
    while (performance.now() < end) for (const together of [false, true]) calibrate(together, 64);
    expect(isWider(calibrate, () => performance.now())).toBe(false);
    // and the clock tells the difference
    expect(engine.wide).toBe(true);
  });

  test("shares its kernels with the next one, which is there in no time", () => {
    using first = lg.createEngine({ wide: true });
    using second = lg.createEngine({ wide: true, seed: 1 });
    expect([first.wide, second.wide]).toEqual([true, true]);
    const [a, b] = [first, second].map((engine) => engine.tensor([[1, 2]]).toArray());
    expect(a).toEqual(b);
  });

  // V8 compiles everything anew for a debugger, and again without the flag once it has gone
  test("is not wide once a debugger is attached, nor after it has gone, and keeps its bits", async () => {
    const code = `
      import { Session } from "node:inspector";
      import { createEngine, Linear } from "lanegrad";
      const engine = createEngine({ wide: true, kernels: "simd", seed: 1 });
      const layer = new Linear(300, 100, { engine });
      const x = Float32Array.from({ length: 64 * 300 }, (_, i) => Math.sin(i));
      const before = layer.forward(x).data.slice();
      const isSame = () => layer.forward(x).data.every((value, i) => value === before[i]);
      const results = [[engine.wide, engine.wideReason, isSame()]];
      const session = new Session();
      session.connect();
      session.post("Debugger.enable");
      results.push([engine.wide, engine.wideReason, isSame()]);
      session.disconnect();
      // compiled again, without the flag
      for (let i = 0; i < 500; i++) layer.forward(x);
      results.push([engine.wide, engine.wideReason, isSame()]);
      console.log(JSON.stringify(results));`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", code], { cwd: root });
    const gone = [false, expect.stringMatching(/^the kernels are not wide at present: a debugger/), true];
    expect(JSON.parse(stdout)).toEqual([[true, "", true], gone, gone]);
  });
});
