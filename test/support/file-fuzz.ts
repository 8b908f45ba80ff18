import { gunzipSync } from "node:zlib";
import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { costOf, fileOf, gzip, OTHER_FILES } from "./files.js";
import { fuzz, pick } from "./fuzz.js";
import { idxBytes } from "./idx.js";
import type { Random } from "./random.js";
import { bits, stateBits, valueBits } from "./state.js";

const FILES = 300;
const LONGEST_MILLISECONDS = 1000;
const LONGEST_MESSAGE = 2000;
const MOST_MEMORY = 300e6;

const TYPES = { 8: 1, 9: 1, 11: 2, 12: 4, 13: 4, 14: 8 } as const;

/** What JSON, and a header, may have at any place. */
const TOKENS = [
  ...[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "\\",
    " ",
    "\n",
    "\0",
    "\ufeff",
    "//",
    "null",
    "true",
    "NaN",
    "-0",
    "1e3",
    "0.5",
    "01",
    "-1",
  ],
  ...[
    "9007199254740991",
    "9007199254740992",
    "18446744073709551615",
    "9".repeat(500),
    '"a"',
    '"\\u0000"',
    '"\\ud800"',
    '"\\x"',
  ],
  ...[
    '"dtype"',
    '"shape"',
    '"data_offsets"',
    '"__metadata__"',
    '"__proto__":',
    '"F16"',
    '"BF16"',
    '"F64"',
    '"I64"',
    '"U8"',
    '"F4"',
  ],
  ...[
    "{}",
    "[]",
    '{"a":',
    '"__metadata__":{"a":"b"},',
    "[".repeat(3000),
    '{"a":'.repeat(3000),
    "日",
    "é",
    "[1,1,1,1]",
    "4294967296",
  ],
  `"${"x".repeat(1e5)}"`,
];

/** Numbers that lengths and sizes like to be. */
const EDGES = [0, 1, 7, 8, 127, 255, 256, 65535, 2 ** 16, 2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

type Mutation = (random: Random, file: Uint8Array, other: Uint8Array) => Uint8Array;

const place = (random: Random, file: Uint8Array, end = file.length): number => random.integer(0, Math.max(0, end - 1));

const joined = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** The start of a file is where its lengths and types are. */
const nearStart = (random: Random, file: Uint8Array): number =>
  place(random, file, pick(random, [8, 16, 64, file.length]));

/** Another header of the right length: the text is cut at two places, and something put between. */
const withHeader: Mutation = (random, file) => {
  const length = file.length < 8 ? 0 : Number(Buffer.from(file).readBigUInt64LE(0));
  if (!(length <= file.length - 8)) return file;
  let text = Buffer.from(file.subarray(8, 8 + length)).toString("latin1");
  for (let i = random.integer(1, 3); i > 0; i--) {
    // mostly between tokens, where more than the nearest check is reached
    const cuts = [...text.matchAll(/["[\]{},:]|\d+/g)].map(({ index }) => index);
    const at = cuts.length > 0 && random.next() < 0.8 ? pick(random, cuts) : random.integer(0, text.length);
    const removed = pick(random, [
      0,
      0,
      1,
      /^\d+|^"[^"]*"|^./s.exec(text.slice(at))?.[0].length ?? 0,
      random.integer(0, 60),
    ]);
    text =
      text.slice(0, at) +
      Buffer.from(pick(random, [...TOKENS, text.slice(0, 300), ""])).toString("latin1") +
      text.slice(at + removed);
  }
  return new Uint8Array(fileOf(Buffer.from(text, "latin1"), file.subarray(8 + length)));
};

/** One to three times damaged, or not at all. */
export function mutated(random: Random, file: Uint8Array, other: () => Uint8Array): Uint8Array {
  let changed = file;
  for (let i = random.integer(0, 3); i > 0; i--) changed = pick(random, MUTATIONS)(random, changed, other());
  return changed;
}

const MUTATIONS: Mutation[] = [
  (random, file) => {
    const changed = file.slice();
    for (let i = random.integer(1, 8); i > 0 && file.length > 0; i--) {
      changed[nearStart(random, file)] ^= 1 << random.integer(0, 7);
    }
    return changed;
  },
  (random, file) => {
    const changed = Buffer.from(file);
    const at = nearStart(random, file);
    const edge = pick(random, EDGES);
    if (at + 4 <= file.length) random.next() < 0.5 ? changed.writeUInt32BE(edge, at) : changed.writeUInt32LE(edge, at);
    return new Uint8Array(changed);
  },
  (random, file) => file.subarray(0, random.integer(0, file.length)),
  (random, file) => joined(file, new Uint8Array(random.integer(1, 20)).fill(random.integer(0, 255))),
  (random, file) => {
    const at = place(random, file);
    return joined(file.subarray(0, at), file.subarray(Math.min(file.length, at + random.integer(1, 20))));
  },
  (random, file) => {
    const [from, to] = [place(random, file), place(random, file)].sort((a, b) => a - b);
    return joined(file.subarray(0, to), file.subarray(from));
  },
  (random, file, other) => joined(file.subarray(0, place(random, file)), other.subarray(place(random, other))),
  (_, file) => gzip(file),
  (random, file) => joined(gzip(file), gzip(file.subarray(0, random.integer(0, file.length)))),
  withHeader,
  withHeader,
  withHeader,
  withHeader,
];

/** A net with a state of every kind: plain, constrained, running statistics, a counter. */
function makeNet(engine: lg.Engine, random: Random): lg.Sequential {
  const net = new lg.Sequential(
    new lg.Linear(2, 3, { engine }),
    new lg.PReLU({ constraint: "exp", engine }),
    new lg.BatchNorm1d(3, { engine }),
    new lg.Linear(3, 1, { bias: false, engine }),
  );
  for (const { value } of net.parameters()) value.data.set(random.values(value.size));
  net.forward(engine.tensor(random.values(8), [4, 2]));
  return net;
}

const COUNTS = [
  ["I32", 4],
  ["U8", 1],
] as const;
const FLOATS = [
  ["F16", 2],
  ["BF16", 2],
  ["F64", 8],
] as const;

/** The net's state as another program would write it, in any types that load converts. */
function converted(random: Random, net: lg.Layer): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: { "constraint.1.weight": "exp" } };
  const parts: Uint8Array[] = [];
  let end = 0;
  for (const [name, { shape, size }] of Object.entries(net.stateDict())) {
    const isCount = name.endsWith("num_batches_tracked");
    if (isCount && random.next() < 0.3) continue;
    const [dtype, width] = pick<readonly [string, number]>(random, isCount ? COUNTS : FLOATS);
    header[name] = { dtype, shape, data_offsets: [end, end + size * width] };
    parts.push(Uint8Array.from({ length: size * width }, () => random.integer(0, 127)));
    end += size * width;
  }
  return new Uint8Array(fileOf(header, Buffer.concat(parts)));
}

/** An optimizer with a state of every kind. */
function makeOptimizer(random: Random, net: lg.Layer): lg.Adam | lg.SGD {
  const [first, ...rest] = net.parameters();
  const optimizer =
    random.next() < 0.5
      ? new lg.SGD(net.parameters(), { lr: 0.1, momentum: 0.9 })
      : new lg.Adam([{ params: [first] }, { params: rest, lr: 0.02, amsgrad: true }]);
  net.zeroGrad();
  for (const { grad } of rest) grad.data.set(random.values(grad.size));
  optimizer.step();
  return optimizer;
}

function realFile(random: Random, net: lg.Layer, optimizer: lg.Adam | lg.SGD): Uint8Array {
  if (random.next() < 0.3) return lg.saveOptimizer(optimizer);
  if (random.next() < 0.4) return lg.save(net, { metadata: { epoch: "3", note: 'ä \\ "' } });
  if (random.next() < 0.3) return converted(random, net);
  if (random.next() < 0.05) return new Uint8Array(pick(random, Object.values(OTHER_FILES)).bytes);
  const type = Number(pick(random, Object.keys(TYPES)));
  const file = idxBytes([random.integer(0, 3), random.integer(1, 4)].slice(random.integer(0, 1)), [], type);
  const count = promised(file);
  const whole = joined(
    file,
    Uint8Array.from({ length: count * TYPES[type as keyof typeof TYPES] }, () => random.integer(0, 255)),
  );
  return random.next() < 0.5 ? gzip(whole) : whole;
}

/** The number of values that an IDX header promises. */
function promised(file: Uint8Array): number {
  let count = 1;
  for (let axis = 0; axis < file[3]; axis++) count *= Buffer.from(file).readUInt32BE(4 + 4 * axis);
  return count;
}

/** What was thrown is ours and short. */
export function expectTyped(error: unknown, about: string): void {
  if (!(error instanceof lg.LanegradError)) throw new Error(about, { cause: error });
  expect(error.message.length, about).toBeLessThan(LONGEST_MESSAGE);
}

/** What was read is what the file has, byte by byte. */
function expectIdx(file: Uint8Array, { shape, data }: lg.IdxArray<lg.IdxData>): void {
  const content = file[0] === 0x1f ? new Uint8Array(gunzipSync(file)) : file;
  const width = data.BYTES_PER_ELEMENT;
  const values = Buffer.from(new Uint8Array(data.buffer));
  if (width === 2) values.swap16();
  if (width === 4) values.swap32();
  if (width === 8) values.swap64();
  expect(Buffer.concat([idxBytes(shape, [], content[2]), values]).equals(content)).toBe(true);
  expect(width).toBe(TYPES[content[2] as keyof typeof TYPES]);
}

/** What a file that was loaded says, by JSON.parse: plain floats are in the net as they are in the file. */
function expectLoaded(file: Uint8Array, net: lg.Layer, { missing, unexpected, metadata }: lg.LoadResult): void {
  const bytes = Buffer.from(file);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const { __metadata__: texts = {}, ...entries } = JSON.parse(bytes.subarray(8, start).toString());
  expect(metadata).toEqual(texts);
  for (const [name, tensor] of Object.entries(net.stateDict())) {
    const entry = entries[name];
    if (missing.includes(name) || entry?.dtype !== "F32") continue;
    const [from, to] = entry.data_offsets;
    const words = new Uint32Array(Uint8Array.from(bytes.subarray(start + from, start + to)).buffer);
    expect(bits(tensor.data), name).toEqual(words);
  }
  for (const name of unexpected) expect(Object.hasOwn(entries, name), name).toBe(true);
}

/** The test that runs for so many seconds. */
export function runFileFuzz(seconds?: number): void {
  describe("damaged and hostile files", () => {
    it("are read as what they are or refused, at once, and change nothing then", async () => {
      // no kernels take part in reading
      const engine = lg.createEngine({ kernels: "js" });
      let read = 0;
      const rounds = await fuzz((random) => {
        read += fuzzFiles(engine, random);
      }, seconds);
      expect(read).toBeGreaterThan(0);
      console.log(`${rounds * FILES} files, of which ${read} could be read`);
    });
  });
}

/** A few hundred damaged files through both readers; returns how many were read. */
function fuzzFiles(engine: lg.Engine, random: Random): number {
  const [net, twin] = [makeNet(engine, random), makeNet(engine, random)];
  const optimizers = [net, twin].map((layer) => makeOptimizer(random, layer));
  let read = 0;
  const { bytes } = costOf(() => {
    for (let i = 0; i < FILES; i++) read += fuzzFile(random, net, twin, optimizers, `file ${i}`);
  });
  expect(bytes).toBeLessThan(MOST_MEMORY);
  for (const optimizer of optimizers) optimizer.dispose();
  for (const layer of [net, twin]) layer.dispose();
  return read;
}

function fuzzFile(
  random: Random,
  net: lg.Layer,
  twin: lg.Layer,
  [optimizer, other]: (lg.Adam | lg.SGD)[],
  about: string,
): number {
  const real = () => realFile(random, net, random.next() < 0.7 ? optimizer : other);
  const file = mutated(random, real(), real);
  const before = stateBits(net);
  const [copy, strict] = [Buffer.from(file), random.next() < 0.5];
  let read = 0;
  const timed = <T>(call: () => T): T | undefined => {
    const [begin, cpu] = [performance.now(), process.cpuUsage()];
    try {
      return call();
    } catch (error) {
      expectTyped(error, about);
      return undefined;
    } finally {
      const { user, system } = process.cpuUsage(cpu);
      expect(Math.min(performance.now() - begin, (user + system) / 1000), about).toBeLessThan(LONGEST_MILLISECONDS);
    }
  };

  const result = timed(() => lg.load(net, file, { strict }));
  if (result === undefined) expect(stateBits(net), about).toEqual(before);
  else {
    if (strict) expect([...result.missing, ...result.unexpected], about).toEqual([]);
    for (const name of result.missing) expect(valueBits(net)[name], about).toEqual(before[name]);
    expectLoaded(file, net, result);
    expect(lg.load(twin, lg.save(net)).missing, about).toEqual([]);
    expect(valueBits(twin), about).toEqual(valueBits(net));
    expect(Buffer.compare(lg.save(twin), lg.save(net)), about).toBe(0);
    read++;
  }
  const array = timed(() => lg.readIdx<lg.IdxData>(file));
  if (array !== undefined) {
    expectIdx(file, array);
    read++;
  }
  const steps = optimizer.stateDict();
  // what was read has no result to tell it by
  if (timed(() => lg.loadOptimizer(optimizer, file) ?? true)) {
    const saved = lg.saveOptimizer(optimizer);
    lg.loadOptimizer(optimizer, saved);
    expect(Buffer.compare(lg.saveOptimizer(optimizer), saved), about).toBe(0);
    read++;
  } else expect(optimizer.stateDict(), about).toEqual(steps);
  expect(copy.equals(file), about).toBe(true);
  return read;
}
