import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { makeFolder } from "./checkpoints.js";
import { Random } from "./random.js";

const PROGRAM = fileURLToPath(new URL("./killed.mjs", import.meta.url));

/** Batches of the training: 12 epochs of 9. */
const BATCHES_AN_EPOCH = 9;
const EPOCHS = 12;

interface Run {
  /** The number of each batch that was done, from 0. */
  readonly batches: number[];
  readonly killed: boolean;
  readonly output: string;
}

/** Runs the training, and kills it so many milliseconds after it began. */
function run(folder: string | undefined, killAfter?: number): Promise<Run> {
  const child = spawn(process.execPath, [PROGRAM, ...(folder === undefined ? [] : [folder])], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  let timer: NodeJS.Timeout | undefined;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    if (killAfter !== undefined) timer ??= setTimeout(() => child.kill("SIGKILL"), killAfter);
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (signal === null && code !== 0) reject(new Error(`the training ended with ${code}:\n${output}`));
      const batches = [...output.matchAll(/^batch (\d+) (\d+)$/gm)].map(
        ([, epoch, batch]) => (Number(epoch) - 1) * BATCHES_AN_EPOCH + Number(batch) - 1,
      );
      resolve({ batches, killed: signal === "SIGKILL", output });
    });
  });
}

/** A checkpoint that a kill left is whole, by its own digest, and is read. */
function expectWhole(file: Uint8Array): void {
  const zeroed = Buffer.from(file);
  const at = zeroed.indexOf('"sha256":"') + 10;
  const digest = zeroed.toString("latin1", at, at + 64);
  zeroed.fill("0", at, at + 64);
  expect(digest).toBe(createHash("sha256").update(zeroed).digest("hex"));
  const engine = lg.createEngine({ kernels: "js" });
  const net = new lg.Linear(1, 1, { engine });
  expect(lg.load(net, file, { strict: false }).unexpected).toContain("net.0.weight");
  engine.dispose();
}

/** The test that kills a training so many times, at random moments, until it ends; and then anew. */
export function runKills(kills: number): void {
  describe("a training that is killed", () => {
    it(`goes on each of ${kills} times, and ends with the same bits`, async () => {
      const seed = Number(process.env.LANEGRAD_FUZZ_SEED ?? Date.now() % 1e9);
      const random = new Random(seed);
      const begin = performance.now();
      const plain = await run(undefined);
      const expected = JSON.parse(plain.output.trim().split("\n").at(-1)!);
      expect(plain.batches).toHaveLength(BATCHES_AN_EPOCH * EPOCHS);
      const { folder, path, remove } = makeFolder();
      // how long it takes with a checkpoint after each batch
      const first = performance.now();
      await run(folder);
      const whole = performance.now() - first;
      rmSync(path);
      rmSync(`${path}.previous`);
      rmSync(join(folder, "end.json"));
      let [killed, ends, lost, last] = [0, 0, 0, -1];
      try {
        while (killed < kills) {
          const result = await run(folder, random.next() * whole * 0.4);
          const about = `LANEGRAD_FUZZ_SEED=${seed}, kill ${killed + 1}`;
          if (result.batches.length > 0) {
            // one batch may be done and not written
            const again = last + 1 - result.batches[0];
            expect([0, 1], about).toContain(again);
            lost += again;
            result.batches.forEach((batch, i) => {
              expect(batch, about).toBe(result.batches[0] + i);
            });
            last = result.batches.at(-1)!;
          }
          for (const file of [path, `${path}.previous`]) if (existsSync(file)) expectWhole(readFileSync(file));
          // of all that were killed only the last may have left one
          expect(readdirSync(folder).filter((name) => name.endsWith(".tmp")).length, about).toBeLessThanOrEqual(1);
          if (result.killed) {
            killed++;
            continue;
          }
          expect(JSON.parse(readFileSync(join(folder, "end.json"), "utf8")), about).toEqual(expected);
          expect(readdirSync(folder).sort()).toEqual(["end.json", "run.safetensors", "run.safetensors.previous"]);
          for (const name of readdirSync(folder)) rmSync(join(folder, name));
          last = -1;
          ends++;
        }
        // what the last kill left ends as well
        await run(folder);
        expect(JSON.parse(readFileSync(join(folder, "end.json"), "utf8"))).toEqual(expected);
        expect(readdirSync(folder).some((name) => name.endsWith(".tmp"))).toBe(false);
      } finally {
        remove();
      }
      const seconds = ((performance.now() - begin) / 1000).toFixed(0);
      console.log(`${killed} kills, ${lost} batches lost, ${ends + 1} trainings ended, in ${seconds} s`);
    });
  });
}
