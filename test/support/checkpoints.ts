import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as lg from "lanegrad";
import { fileOf } from "./files.js";
import { Random } from "./random.js";
import { valueBits } from "./state.js";

const SAMPLES = 32;
const random = new Random(21);
const X = Array.from({ length: SAMPLES }, () => [...random.values(4)]);
const Y = Int32Array.from(X, ([a, b, c]) => (a > b && a > c ? 0 : b > c ? 1 : 2));

export type FitChanges = Partial<lg.FitOptions>;

/** A training with everything that has a state. */
export interface Scene {
  readonly engine: lg.Engine;
  readonly net: lg.Sequential;
  readonly optimizer: lg.Adam | lg.SGD | lg.RMSprop;
  fit(changes?: FitChanges): Promise<lg.EpochRecord[]>;
}

export interface SceneOptions {
  kernels?: lg.Engine["kernels"];
  seed?: number;
  hidden?: number;
  /** Default Adam with amsgrad, in two groups. */
  optimizer?: (net: lg.Sequential) => Scene["optimizer"];
  /** Default: all of them. */
  rules?: FitChanges;
}

const RULES: FitChanges = {
  test: 0.2,
  accumulate: 2,
  clipNorm: 1,
  schedule: lg.schedules.cosine({ warmup: 3 }),
  earlyStopping: { patience: 2, minDelta: 0.001 },
};

export function makeScene({
  kernels = "simd",
  seed = 5,
  hidden = 7,
  optimizer,
  rules = RULES,
}: SceneOptions = {}): Scene {
  const engine = lg.createEngine({ kernels, seed });
  const net = new lg.Sequential(
    new lg.Linear(4, hidden, { engine }),
    new lg.BatchNorm1d(hidden, { engine }),
    new lg.PReLU({ constraint: "exp", penalty: 0.1, engine }),
    new lg.Dropout(0.3, { engine }),
    new lg.Linear(hidden, 3, { engine }),
  );
  const made =
    optimizer?.(net) ??
    new lg.Adam([{ params: net.layers[0].parameters() }, { params: net.parameters().slice(2), lr: 0.02 }], {
      lr: 0.01,
      amsgrad: true,
    });
  return {
    engine,
    net,
    optimizer: made,
    fit: (changes) =>
      lg.fit(net, { train: { x: X, y: Y }, epochs: 4, batchSize: 4, optimizer: made, ...rules, ...changes }),
  };
}

/** Everything that must be the same bits: the net, the optimizer, the history but for its seconds, and what the engine draws next. */
export function outcome({ engine, net, optimizer }: Scene, history: readonly lg.EpochRecord[]): unknown {
  const result = {
    net: valueBits(net),
    optimizer: optimizer.stateDict(),
    history: history.map(({ seconds: _, ...record }) => record),
    next: lg.init.kaimingNormal_(engine.zeros([2, 2])).toArray(),
  };
  engine.dispose();
  return result;
}

/** In memory where that is to be had: files are flushed. */
const TEMPORARY = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** A folder of the test's own, and what removes it. */
export function makeFolder(): { folder: string; path: string; remove(): void } {
  const folder = mkdtempSync(join(TEMPORARY, "lanegrad-checkpoint-"));
  return {
    folder,
    path: join(folder, "run.safetensors"),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A checkpoint's parts. */
export function taken(file: Uint8Array): {
  metadata: Record<string, string>;
  entries: Record<string, { dtype: string; shape: number[]; data_offsets: number[] }>;
  data: Uint8Array;
} {
  const end = 8 + Number(Buffer.from(file).readBigUInt64LE(0));
  const { __metadata__: metadata, ...entries } = JSON.parse(Buffer.from(file.subarray(8, end)).toString());
  return { metadata, entries, data: file.subarray(end) };
}

/** The file with a digest that fits, as a hostile writer would make it; as it is where it has no place for one. */
export function resealed(file: Uint8Array): Uint8Array {
  const changed = Buffer.from(file);
  const at = changed.indexOf('"sha256":"') + 10;
  if (at < 10 || at + 64 > changed.length) return file;
  changed.fill("0", at, at + 64);
  changed.write(createHash("sha256").update(changed).digest("hex"), at, "latin1");
  return new Uint8Array(changed);
}

/** The file with its own part of the metadata changed, and a digest that fits. */
export function rewritten(file: Uint8Array, change: (state: ReturnType<typeof JSON.parse>) => void): Uint8Array {
  const { metadata, entries, data } = taken(file);
  const state = JSON.parse(metadata.checkpoint);
  change(state);
  return resealed(fileOf({ __metadata__: { ...metadata, checkpoint: JSON.stringify(state) }, ...entries }, data));
}
