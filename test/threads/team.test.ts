import { createHash } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
// with every layer come all groups of kernels
import "../../src/index.js";
import { EngineError } from "../../src/errors.js";
import { callKernel, hasOperands } from "../../src/kernels/description.js";
import { descriptions } from "../../src/kernels/groups.js";
import type { Kernels } from "../../src/kernels/kernels.js";
import { CONTROL_BYTES, WORD } from "../../src/kernels/threads/control.js";
import { Team, type TeamOptions } from "../../src/kernels/threads/team.js";
import { kernelNames, threaded } from "../../src/kernels/threads/threaded.js";
import { loadKernels, type WasmKernels } from "../../src/kernels/wasm.js";
import { RandomOperands } from "../../src/kernels/wide/random-calls.js";
import { LinearMemory } from "../../src/memory.js";
import { hasRelaxedSimd } from "../support/engines.js";

/** Every call is cut, however small. */
const EVERY_CALL = { leastCall: 0, leastChunk: 1 };
const CALLS = 30;
const sets = ["simd", ...(hasRelaxedSimd ? (["relaxed-simd"] as const) : [])] as const;

/** A NaN may be any: which one comes out depends on the compiler. */
const withoutPayloads = (words: Int32Array): Int32Array =>
  words.map((word) => ((word & 0x7fff_ffff) > 0x7f80_0000 ? 0x7fc0_0000 : word));

interface Opened {
  readonly team: Team;
  readonly alone: WasmKernels;
  readonly together: Kernels;
  readonly memory: LinearMemory;
}

let opened: Team[] = [];
afterEach(() => {
  for (const team of opened) team.end();
  opened = [];
});

function openTeam(set: (typeof sets)[number], threads: number, options: Partial<TeamOptions> = {}): Opened {
  const memory = new LinearMemory({ maximum: 256 << 20 });
  const alone = loadKernels(set, memory);
  const team = new Team(alone, memory, {
    count: threads - 1,
    names: kernelNames(),
    isWide: () => false,
    mostRest: 0,
    ...options,
  });
  opened.push(team);
  return { team, alone, together: threaded(alone, team, memory, threads, EVERY_CALL), memory };
}

describe.each(sets)("%s", (set) => {
  test.each([2, 3, 5])("random calls over %i threads have the bits of one", async (threads) => {
    const { team, alone, together, memory } = openTeam(set, threads);
    await team.ready();
    expect(team.threads).toBe(threads);
    const operands = new RandomOperands(memory, (window) => together.conv2dWorkBytes(window), threads);
    for (const name of kernelNames()) {
      if (!hasOperands(descriptions()[name])) continue;
      for (let i = 0; i < CALLS; i++) {
        const args = operands.arguments(descriptions()[name]);
        const before = operands.read();
        const results = [alone, together].map((kernels) => {
          operands.write(before);
          const result = callKernel(kernels, name, args);
          return { result, bits: createHash("sha1").update(withoutPayloads(operands.read())).digest("hex") };
        });
        expect(results[1], name).toEqual(results[0]);
      }
    }
  });
});

describe("a team", () => {
  const N = 100_000;
  /** Adds 1 to a hundred thousand floats, and tells whether each was done once. */
  const isAddedOnce = ({ together, memory }: Opened): boolean => {
    const [x, y] = [memory.allocate(4 * N), memory.allocate(4 * N)];
    const values = memory.f32.subarray(y / 4, y / 4 + N);
    memory.f32.fill(1, x / 4, x / 4 + N);
    values.fill(2);
    together.addScaled(N, x, y, 1);
    return values.every((value) => value === 3);
  };

  /** The caller may be done before a worker comes. */
  const untilAChunkIsTaken = (opened: Opened): void => {
    for (let i = 0; i < 500; i++) isAddedOnce(opened);
  };

  test("works before its workers have started, and when none ever does", async () => {
    const fresh = openTeam("simd", 3);
    expect(fresh.team.threads).toBe(1);
    expect(isAddedOnce(fresh)).toBe(true);
    const never = openTeam("simd", 3, { program: "for (;;);", lostAfter: 50 });
    await never.team.ready();
    expect(never.team.threads).toBe(1);
    expect(isAddedOnce(never)).toBe(true);
  });

  test("goes on with fewer when workers throw as they start, or end", async () => {
    const thrown = openTeam("simd", 3, { program: "throw new Error()" });
    await thrown.team.ready();
    expect(thrown.team.threads).toBe(1);
    expect(isAddedOnce(thrown)).toBe(true);
    const ended = openTeam("simd", 3, { program: reporting("") });
    await ended.team.ready();
    await expect.poll(() => ended.team.threads).toBe(1);
    expect(isAddedOnce(ended)).toBe(true);
  });

  test("a chunk that a worker took and never finished ends the team: nobody does it again", async () => {
    const stopped = openTeam("simd", 2, { program: reporting(TAKE_A_CHUNK), lostAfter: 200 });
    await stopped.team.ready();
    expect(() => untilAChunkIsTaken(stopped)).toThrow(EngineError);
    expect(() => isAddedOnce(stopped)).toThrow(/WORKER_LOST/);
    expect(stopped.team.mayWrite).toBe(true);
    expect(() => stopped.together.fill(1, 64, 0)).toThrow(/WORKER_LOST/);
  });

  test("so does a chunk that throws", async () => {
    const failing = openTeam("simd", 2, {
      program: reporting(`${TAKE_A_CHUNK} Atomics.store(control, ${WORD.FAILED}, 1);
      Atomics.add(control, ${WORD.DONE}, 1);`),
    });
    await failing.team.ready();
    expect(() => untilAChunkIsTaken(failing)).toThrow(/WORKER_LOST/);
  });

  test("the control block has room for the longest call", () => {
    const words = Object.values(descriptions()).map((description) => description.split(" ").length - 1);
    expect(CONTROL_BYTES).toBeGreaterThanOrEqual(4 * WORD.NUMBERS + 8 * (2 * Math.max(...words) + 1));
    expect(new Set(Object.values(WORD)).size).toBe(Object.keys(WORD).length);
  });
});

/** A program that reports in as workers do, and goes on with something else. */
const reporting = (program: string): string => `
const { parentPort, workerData } = require("node:worker_threads");
const control = new Int32Array(workerData.control);
Atomics.add(control, ${WORD.READY}, 1);
parentPort.postMessage(0);
${program}`;

const TAKE_A_CHUNK = `
for (let left = 0; left <= 0 || Atomics.compareExchange(control, ${WORD.LEFT}, left, left - 1) !== left; ) {
  left = Atomics.load(control, ${WORD.LEFT});
}`;
