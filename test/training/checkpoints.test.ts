import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as lg from "lanegrad";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { makeFolder, makeScene, outcome, rewritten, type SceneOptions, taken } from "../support/checkpoints.js";
import { KERNEL_SETS } from "../support/engines.js";
import { expectRefusal, refusal, stateBits, valueBits, wrong } from "../support/state.js";

const OFTEN = { everySeconds: 0 };
const NEVER = { everySeconds: 1e9 };

let folder: string;
let path: string;
let remove: () => void;
beforeEach(() => {
  ({ folder, path, remove } = makeFolder());
});
afterEach(() => {
  vi.restoreAllMocks();
  remove();
});

/** How a training without checkpoints ends. */
async function undisturbed(options?: SceneOptions, changes = {}): Promise<unknown> {
  const scene = makeScene(options);
  return outcome(scene, await scene.fit(changes));
}

/** A training that is aborted after so many batches. Returns how many there were. */
async function aborted(after: number, options?: SceneOptions, changes: Partial<lg.FitOptions> = {}): Promise<number> {
  const controller = new AbortController();
  let batches = 0;
  const onBatch = () => {
    if (++batches === after) controller.abort(new Error("enough"));
  };
  const scene = makeScene(options);
  const fitting = scene.fit({ checkpoint: { path, ...NEVER }, ...changes, signal: controller.signal, onBatch });
  await refusal(() => fitting);
  scene.engine.dispose();
  return batches;
}

async function resumed(options?: SceneOptions, changes = {}): Promise<unknown> {
  const scene = makeScene(options);
  return outcome(scene, await scene.fit({ checkpoint: path, ...changes }));
}

const RULES_OF_ONE_STEP = { test: 0.2, earlyStopping: { patience: 9 } };

const SCENES: [name: string, options: SceneOptions][] = [
  ...KERNEL_SETS.map((kernels): [string, SceneOptions] => [`everything, ${kernels}`, { kernels }]),
  ["without shuffling", { rules: { shuffle: false } }],
  ["with a seed of fit's own", { rules: { seed: 77, test: 0.3 } }],
  ["sums of three batches", { rules: { accumulate: 3, schedule: lg.schedules.oneCycle() } }],
  [
    "momentum",
    { rules: RULES_OF_ONE_STEP, optimizer: (net) => new lg.SGD(net.parameters(), { lr: 0.05, momentum: 0.9 }) },
  ],
  ["RMSprop", { rules: {}, optimizer: (net) => new lg.RMSprop(net.parameters(), { centered: true, momentum: 0.5 }) }],
];

describe("a checkpoint", () => {
  it.each(SCENES)(
    "written when a signal comes, after any batch, continues with the same bits: %s",
    async (_, options) => {
      const expected = await undisturbed(options);
      const total = await aborted(Number.POSITIVE_INFINITY, options);
      expect(await resumed(options)).toEqual(expected);
      for (let batches = 1; batches < total; batches++) {
        rmSync(path);
        await aborted(batches, options);
        expect(await resumed(options), `aborted after ${batches} of ${total} batches`).toEqual(expected);
      }
    },
  );

  it("written between batches, at any of them, continues with the same bits", async () => {
    const expected = await undisturbed();
    const scene = makeScene();
    const copies: string[] = [];
    const keep = () => {
      if (!existsSync(path)) return;
      copies.push(join(folder, `copy${copies.length}`));
      copyFileSync(path, copies.at(-1)!);
    };
    const history = await scene.fit({ checkpoint: { path, ...OFTEN }, onBatch: keep, onEpoch: keep });
    expect(outcome(scene, history)).toEqual(expected);
    expect(copies.length).toBeGreaterThan(20);
    for (const [i, copy] of copies.entries()) {
      copyFileSync(copy, path);
      rmSync(`${path}.previous`, { force: true });
      expect(await resumed(), `copy ${i}`).toEqual(expected);
    }
  });

  it("may be interrupted again and again, and in the process that goes on", async () => {
    const expected = await undisturbed();
    for (let round = 0; round < 12; round++) await aborted(2);
    expect(await resumed()).toEqual(expected);

    rmSync(path);
    const scene = makeScene();
    for (;;) {
      const controller = new AbortController();
      let batches = 0;
      const onBatch = () => {
        if (++batches === 3) controller.abort(new Error("enough"));
      };
      const ended = await scene
        .fit({ checkpoint: { path, ...NEVER }, signal: controller.signal, onBatch })
        .catch((error: { history: unknown }) => error.history);
      if (batches < 3) {
        expect(outcome(scene, ended as lg.EpochRecord[])).toEqual(expected);
        return;
      }
    }
  });

  it("of a training that has ended gives its history and its net, and nothing is trained", async () => {
    const expected = await undisturbed();
    await makeScene().fit({ checkpoint: path });
    const before = readFileSync(path);
    const onBatch = () => expect.unreachable();
    expect(await resumed({}, { onBatch, onEpoch: onBatch })).toEqual(expected);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it("goes on when there are more epochs now", async () => {
    const options = { rules: RULES_OF_ONE_STEP };
    const expected = await undisturbed(options, { epochs: 6 });
    await makeScene(options).fit({ checkpoint: path, epochs: 3 });
    expect(await resumed(options, { epochs: 6 })).toEqual(expected);
    expect(((await resumed(options, { epochs: 2 })) as { history: unknown[] }).history).toHaveLength(6);
  });

  it("of a training that a callback or early stopping ended is done, whatever `epochs` is now", async () => {
    for (const end of [
      { onEpoch: () => false },
      { onBatch: () => false },
      { earlyStopping: { patience: 1, minDelta: 1e9 } },
    ]) {
      const scene = makeScene();
      const history = await scene.fit({ checkpoint: path, ...end });
      const expected = outcome(scene, history);
      const onBatch = () => expect.unreachable();
      expect(await resumed({}, { epochs: 9, onBatch })).toEqual(expected);
      rmSync(path);
    }
  });

  it("keeps losses that are not finite, where they are allowed", async () => {
    const loss = (output: lg.Tensor, target: Int32Array) => {
      const result = lg.crossEntropy(output, target);
      return { ...result, loss: result.loss > 1 ? Number.POSITIVE_INFINITY : Number.NaN };
    };
    const rules = { loss, targets: "labels" as const, allowNonFinite: true, test: 0.2 };
    const expected = await undisturbed({ rules });
    await aborted(9, { rules });
    expect(await resumed({ rules })).toEqual(expected);
  });

  it("is written after every so many epochs, or seconds, and otherwise when the training ends", async () => {
    const written = async (checkpoint: object): Promise<string[]> => {
      const seen: string[] = [];
      const look = (when: string) => () => {
        const now = existsSync(path) ? JSON.parse(taken(readFileSync(path)).metadata.checkpoint).place : undefined;
        seen.push(`${when}: ${now && `${now.epoch}.${now.batch}`}`);
      };
      await makeScene({ rules: {} }).fit({
        checkpoint: wrong({ path, ...checkpoint }),
        epochs: 3,
        batchSize: 16,
        onBatch: look("batch"),
        onEpoch: look("epoch"),
      });
      look("end")();
      for (const file of [path, `${path}.previous`]) rmSync(file, { force: true });
      return seen;
    };
    const nothing = [1, 2, 3].flatMap(() => ["batch: undefined", "batch: undefined", "epoch: undefined"]);
    expect(await written({})).toEqual([...nothing, "end: 4.0"]);
    expect(await written({ everyEpochs: 2 })).toEqual([
      ...nothing.slice(0, 6),
      "batch: 3.0",
      "batch: 3.0",
      "epoch: 3.0",
      "end: 4.0",
    ]);
    expect((await written({ everySeconds: 0 })).slice(0, 4)).toEqual([
      "batch: undefined",
      "batch: 1.1",
      "epoch: 1.2",
      "batch: 2.0",
    ]);
  });

  it("takes a URL, and a path that is not absolute", async () => {
    await makeScene().fit({ checkpoint: pathToFileURL(path) });
    vi.spyOn(process, "cwd").mockReturnValue(folder);
    expect(await resumed({}, { checkpoint: "run.safetensors" })).toEqual(await undisturbed());
  });

  describe("of another training is refused, and nothing changes:", () => {
    it.each<[string, SceneOptions, Partial<lg.FitOptions>, RegExp]>([
      ["batch size", {}, { batchSize: 6 }, /its batchSize is 4, here it is 6/],
      ["accumulate", {}, { accumulate: 1 }, /its accumulate is 2, here it is 1/],
      ["seed", {}, { seed: 3 }, /its seed is drawn, here it is 3/],
      ["engine's seed", { seed: 6 }, {}, /its engine's seed is 5, 0, here it is 6, 0/],
      [
        "data size",
        {},
        {
          train: {
            x: [
              [1, 2, 3, 4],
              [2, 3, 4, 5],
              [3, 4, 5, 6],
            ],
            y: [0, 1, 2],
          },
        },
        /its number of samples is 26, here it is 2; its number of test samples is 6, here it is 1/,
      ],
      ["test", {}, { test: 0.5 }, /its number of samples is 26, here it is 16/],
      ["order", {}, { shuffle: false }, /its shuffle is true, here it is false/],
      ["clipping", {}, { clipNorm: 2 }, /its clipNorm is 1, here it is 2/],
      [
        "metric",
        {},
        { earlyStopping: { patience: 2, metric: "accuracy" } },
        /its metric of earlyStopping is testLoss, here it is accuracy/,
      ],
      ["net", { hidden: 8 }, {}, /of the net: 0\.weight is \[7, 4\], expected \[8, 4\]/],
      ["kernel set", { kernels: "js" }, {}, /its kernel set is simd, here it is js/],
      [
        "optimizer",
        { optimizer: (net) => new lg.SGD(net.parameters(), { lr: 0.1 }) },
        {},
        /its optimizer is Adam, here it is SGD; its number of groups is 2, here it is 1/,
      ],
      [
        "lr",
        {
          optimizer: (net) =>
            new lg.Adam([{ params: net.layers[0].parameters() }, { params: net.parameters().slice(2), lr: 0.03 }], {
              lr: 0.01,
              amsgrad: true,
            }),
        },
        {},
        /its lr of group 1 is 0\.02, here it is 0\.03$/,
      ],
    ])("%s", async (_what, options, changes, message) => {
      await aborted(7);
      const before = readFileSync(path);
      const scene = makeScene(options);
      const [state, steps, draws] = [valueBits(scene.net), scene.optimizer.stateDict(), makeScene(options)];
      const error = await refusal(() => scene.fit({ checkpoint: path, ...changes }));
      expectRefusal(error, lg.StateError, message);
      expect((error as Error).message).toContain(`fit: checkpoint: ${path}: the checkpoint is of another training: `);
      expect(valueBits(scene.net)).toEqual(state);
      expect(scene.optimizer.stateDict()).toEqual(steps);
      const next = ({ engine }: typeof scene) => lg.init.kaimingNormal_(engine.zeros([2, 2])).toArray();
      expect(next(scene)).toEqual(next(draws));
      expect(readFileSync(path).equals(before)).toBe(true);
    });

    it("another kernel set is taken where that is allowed", async () => {
      await aborted(7);
      const scene = makeScene({ kernels: "js" });
      const history = await scene.fit({ checkpoint: { path, allowOtherKernels: true } });
      const onSimd = (await undisturbed()) as { history: lg.EpochRecord[] };
      expect(history).toHaveLength(onSimd.history.length);
      history.forEach(({ loss }, i) => {
        expect(loss).toBeCloseTo(onSimd.history[i].loss, 3);
      });
    });
  });

  describe("that is damaged", () => {
    const damages: [string, (file: Buffer) => Uint8Array][] = [
      ["cut", (file) => file.subarray(0, file.length / 2)],
      ["empty", () => new Uint8Array(0)],
      ["longer", (file) => Buffer.concat([file, Buffer.alloc(10)])],
      [
        "wrong in one bit of a weight",
        (file) => {
          file[file.length - 100] ^= 1;
          return file;
        },
      ],
      [
        "wrong in one bit of the text",
        (file) => {
          file[file.indexOf("lossSum") + 12] ^= 1;
          return file;
        },
      ],
    ];
    it.each(damages)(
      "(%s) gives way to the one before, which stays until there is a new one",
      async (_what, damage) => {
        const expected = await undisturbed();
        await aborted(5);
        await aborted(3);
        writeFileSync(path, damage(readFileSync(path)));
        const before = readFileSync(`${path}.previous`);
        let first: lg.BatchInfo | undefined;
        const onBatch = (info: lg.BatchInfo) => {
          first ??= info;
          expect(readFileSync(`${path}.previous`).equals(before)).toBe(true);
        };
        expect(await resumed({}, { onBatch, checkpoint: { path, ...NEVER } })).toEqual(expected);
        expect(first?.batch).toBe(6);
        // the damaged one has not taken the place of the one before
        expect(readFileSync(`${path}.previous`).equals(before)).toBe(true);
        expect(await resumed()).toEqual(expected);
      },
    );

    it("is a FormatError where there is no other, and nothing changes", async () => {
      await aborted(5);
      for (const [, damage] of damages) {
        const whole = readFileSync(path);
        writeFileSync(path, damage(readFileSync(path)));
        const scene = makeScene();
        const before = stateBits(scene.net);
        expectRefusal(
          await refusal(() => scene.fit({ checkpoint: path })),
          lg.FormatError,
          /^fit: checkpoint: .*run\.safetensors: .*; to begin anew take the file away$/,
        );
        expect(stateBits(scene.net)).toEqual(before);
        writeFileSync(path, whole);
      }
    });

    it("and one that is no checkpoint is a FormatError", async () => {
      for (const bytes of [
        lg.save(makeScene().net),
        lg.saveOptimizer(makeScene().optimizer),
        Buffer.from("hello, world"),
      ]) {
        writeFileSync(path, bytes);
        const error = await refusal(() => makeScene().fit({ checkpoint: path }));
        expectRefusal(error, lg.FormatError, /no checkpoint|safetensors: got/);
        expect(readFileSync(path).equals(bytes)).toBe(true);
      }
    });

    it.each<[string, (state: ReturnType<typeof JSON.parse>) => void]>([
      ["no place", (state) => delete state.place],
      [
        "an epoch of 0",
        (state) => {
          state.place.epoch = 0;
        },
      ],
      [
        "more batches than there are",
        (state) => {
          state.place.batch = 1000;
        },
      ],
      [
        "an end that is none",
        (state) => {
          state.place.ended = "maybe";
        },
      ],
      [
        "a loss of text",
        (state) => {
          state.history = [{ epoch: 1, loss: "x", seconds: 1 }];
        },
      ],
      [
        "a history of null",
        (state) => {
          state.history = null;
        },
      ],
      [
        "a generator with one word",
        (state) => {
          state.generator.words = [1];
        },
      ],
      [
        "a counter of -1",
        (state) => {
          state.engineGenerator.counter = -1;
        },
      ],
      [
        "a seed of text",
        (state) => {
          state.seed = "5";
        },
      ],
      [
        "a fractional count",
        (state) => {
          state.waited = 0.5;
        },
      ],
    ])("by a hostile hand is a FormatError: %s", async (_what, change) => {
      await aborted(7);
      writeFileSync(path, rewritten(readFileSync(path), change));
      const scene = makeScene();
      const before = stateBits(scene.net);
      expectRefusal(await refusal(() => scene.fit({ checkpoint: path })), lg.FormatError, /^fit: checkpoint: /);
      expect(stateBits(scene.net)).toEqual(before);
    });
  });

  describe("and the file system", () => {
    it("leaves no other files, and takes away what dead processes left", async () => {
      await aborted(5);
      const mine = `run.safetensors.${process.pid}.tmp`;
      const others = ["run.safetensors.1.tmp", "other.safetensors.999999999.tmp", "run.safetensors.x.tmp"];
      for (const name of ["run.safetensors.999999999.tmp", mine, ...others]) writeFileSync(join(folder, name), "rest");
      await resumed();
      expect(readdirSync(folder).sort()).toEqual([...others, "run.safetensors", "run.safetensors.previous"].sort());
    });

    it.each(["writeSync", "openSync", "fsyncSync", "renameSync"] as const)(
      "a write that fails (%s) is an EngineError, which leaves the file before and what was learned",
      async (name) => {
        await aborted(5);
        const before = readFileSync(path);
        const real = process.getBuiltinModule("node:fs");
        const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
        const broken = {
          ...real,
          [name]: () => {
            throw full;
          },
        };
        const get = process.getBuiltinModule.bind(process);
        vi.spyOn(process, "getBuiltinModule").mockImplementation(((id: string) =>
          id === "node:fs" ? broken : get(id as "fs")) as never);
        const scene = makeScene();
        const error = await refusal(() => scene.fit({ checkpoint: { path, everyEpochs: 1 } }));
        expectRefusal(error, lg.EngineError, /^fit: checkpoint: writing .*run\.safetensors failed: ENOSPC: no space/);
        expect(error).toMatchObject({ cause: full, history: [{ epoch: 1 }] });
        vi.restoreAllMocks();
        expect(readdirSync(folder).filter((file) => file.endsWith(".tmp"))).toEqual([]);
        expect(readFileSync(existsSync(path) ? path : `${path}.previous`).equals(before)).toBe(true);
        expect(scene.net.stateDict()["1.num_batches_tracked"].data[0]).toBe(7);
        // the same objects go on from the file
        const end = outcome(scene, await scene.fit({ checkpoint: path }));
        expect(end).toEqual(await undisturbed());
      },
    );

    it("is an EngineError where there is none", async () => {
      vi.spyOn(process, "getBuiltinModule").mockReturnValue(undefined as never);
      const error = await refusal(() => makeScene().fit({ checkpoint: path }));
      expectRefusal(error, lg.EngineError, /^fit: checkpoint: this runtime has no file system$/);
    });

    it("one file is one training's", async () => {
      const first = makeScene().fit({ checkpoint: path });
      const second = await refusal(() => makeScene().fit({ checkpoint: path }));
      expectRefusal(second, lg.StateError, /is being written by another fit$/);
      await first;
      await makeScene().fit({ checkpoint: path });
    });

    it.each<[string, unknown, RegExp]>([
      ["a folder", "FOLDER", /which is a folder, expected a file$/],
      ["a folder that does not exist", "FOLDER/none/run", /whose folder does not exist$/],
      ["nothing", "", /got "", expected/],
      ["no path", {}, /path: got undefined, expected a path$/],
      ["a number", 3, /got 3, expected an object of options$/],
      ["a URL of the web", new URL("https://example.org/run"), /must be of scheme file/],
      [
        "an unknown option",
        { path: "run", every: 3 },
        /the option "every".* path, everySeconds, everyEpochs, allowOtherKernels$/,
      ],
      ["negative seconds", { path: "run", everySeconds: -1 }, /everySeconds: got -1, expected a finite number >= 0$/],
      ["half an epoch", { path: "run", everyEpochs: 0.5 }, /everyEpochs: got 0\.5, expected an integer >= 1$/],
      ["words", { path: "run", allowOtherKernels: "yes" }, /allowOtherKernels: got "yes", expected true or false$/],
    ])("refuses %s", async (_what, given, message) => {
      const checkpoint = typeof given === "string" ? given.replace("FOLDER", folder) : given;
      const error = await refusal(() => makeScene().fit({ checkpoint: wrong(checkpoint) }));
      expectRefusal(error, lg.ArgumentError, message);
    });

    it("refuses an optimizer whose state it cannot keep", async () => {
      const error = await refusal(() =>
        makeScene({ rules: {} }).fit({ checkpoint: path, optimizer: { step: () => {} } }),
      );
      expectRefusal(error, lg.ArgumentError, /as optimizer, expected one of lanegrad, whose state can be kept$/);
    });
  });
});
