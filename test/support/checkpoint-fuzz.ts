import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, it } from "vitest";
import { makeFolder, makeScene, resealed, type Scene, taken } from "./checkpoints.js";
import { expectTyped, mutated } from "./file-fuzz.js";
import { fileOf } from "./files.js";
import { fuzz, pick } from "./fuzz.js";
import type { Random } from "./random.js";
import { refusal, stateBits } from "./state.js";

const FILES = 100;

/** How much the process may hold more after many files than after the first ones. */
const MOST_GROWTH = 100e6;

/** What JSON may have where a checkpoint has something else. */
const VALUES = [
  null,
  true,
  -1,
  0,
  0.5,
  3,
  1e300,
  2 ** 53,
  "",
  "NaN",
  "-0",
  "x".repeat(1000),
  [],
  {},
  [[]],
  { epoch: 1 },
  [1, 2],
];

/** A JSON value with one thing in it changed or gone. */
function changedJson(random: Random, value: unknown): unknown {
  if (typeof value !== "object" || value === null || random.next() < 0.2) return pick(random, VALUES);
  const copy: Record<string, unknown> | unknown[] = Array.isArray(value) ? [...value] : { ...value };
  const keys = Object.keys(copy);
  if (keys.length === 0) return pick(random, VALUES);
  const key = pick(random, keys) as keyof typeof copy;
  if (random.next() < 0.1) Reflect.deleteProperty(copy, key);
  else copy[key] = changedJson(random, copy[key]) as never;
  return copy;
}

/** Another state or other settings, in a file that is whole. */
function withOtherJson(random: Random, file: Uint8Array): Uint8Array {
  const { metadata, entries, data } = taken(file);
  const key = pick(random, ["checkpoint", "checkpoint", "checkpoint", "groups"]);
  const changed = { ...metadata, [key]: JSON.stringify(changedJson(random, JSON.parse(metadata[key]))) };
  return resealed(fileOf({ __metadata__: changed, ...entries }, data));
}

/** Files of the same training, at several places. */
async function makeFiles(path: string): Promise<Uint8Array[]> {
  const files: Uint8Array[] = [];
  for (const after of [1, 7, 1000]) {
    const scene = makeScene({ kernels: "js" });
    const controller = new AbortController();
    let batches = 0;
    const onBatch = () => {
      if (++batches === after) controller.abort(new Error("enough"));
    };
    await refusal(() => scene.fit({ checkpoint: path, signal: controller.signal, onBatch }));
    scene.engine.dispose();
    files.push(new Uint8Array(readFileSync(path)));
    rmSync(path);
  }
  return files;
}

/** The test that runs for so many seconds, and for as many files at least. */
export function runCheckpointFuzz(seconds: number | undefined, least: number): void {
  describe("damaged and hostile checkpoints", () => {
    it(`are continued or refused, and change nothing then (${least} and more)`, async () => {
      const { path, remove } = makeFolder();
      const files = await makeFiles(path);
      const scene = makeScene({ kernels: "js" });
      const [count, before] = [
        { tried: 0, read: 0 },
        { rss: 0, used: 0 },
      ];
      const round = async (random: Random) => {
        for (let i = 0; i < FILES; i++) {
          if (await fuzzCheckpoint(random, scene, files, path, `file ${i}`)) count.read++;
          count.tried++;
        }
        if (before.rss === 0) Object.assign(before, { rss: process.memoryUsage().rss, used: scene.engine.memory.used });
      };
      try {
        do await fuzz(round, count.tried === 0 ? seconds : 1);
        while (count.tried < least && process.env.LANEGRAD_FUZZ_SEED === undefined);
        expect(count.read).toBeGreaterThan(0);
        expect(scene.engine.memory.used).toBeLessThanOrEqual(before.used);
        expect(process.memoryUsage().rss - before.rss).toBeLessThan(MOST_GROWTH);
        console.log(`${count.tried} checkpoints, of which ${count.read} were continued`);
      } finally {
        scene.engine.dispose();
        remove();
      }
    });
  });
}

/** Whether a training went on from the file. */
async function fuzzCheckpoint(
  random: Random,
  scene: Scene,
  files: readonly Uint8Array[],
  path: string,
  about: string,
): Promise<boolean> {
  const real = () => pick(random, files);
  const damaged = random.next() < 0.5 ? withOtherJson(random, real()) : mutated(random, real(), real);
  const file = random.next() < 0.7 ? resealed(damaged) : damaged;
  if (!existsSync(dirname(path))) mkdirSync(dirname(path));
  writeFileSync(path, file);
  rmSync(`${path}.previous`, { force: true });
  const [state, steps] = [stateBits(scene.net), scene.optimizer.stateDict()];
  // the next batch is the last: what is read is used once
  const error = await refusal(() => scene.fit({ checkpoint: { path, everySeconds: 1e9 }, onBatch: () => false }));
  if (error !== undefined) {
    expectTyped(error, about);
    // a training that goes on may still find its numbers senseless
    if (!("history" in Object(error))) {
      expect(stateBits(scene.net), about).toEqual(state);
      expect(scene.optimizer.stateDict(), about).toEqual(steps);
    }
  }
  // the settings that a file may bring: the next one is compared with those of the start
  scene.optimizer.groups.forEach((group, i) => {
    Object.assign(group, { lr: i === 0 ? 0.01 : 0.02, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, amsgrad: true });
  });
  return error === undefined;
}
