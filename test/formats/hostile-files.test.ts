import * as lg from "lanegrad";
import { describe, expect, it, test } from "vitest";
import { costOf, fileOf, gzip } from "../support/files.js";
import { Gain } from "../support/layers.js";
import { expectRefusal, refusal, stateBits } from "../support/state.js";

// files that claim, nest or repeat: no kernels take part in reading them
const engine = lg.createEngine({ kernels: "js" });

describe("safetensors: what the format allows but no net needs is refused at once, in little memory and few words", () => {
  const M = 1_000_000;
  const entries = (count: number, entry: (i: number) => string) =>
    `{${Array.from({ length: count }, (_, i) => entry(i))}}`;
  const filled = (start: string, part: string, times: number, end = "") =>
    Buffer.concat([Buffer.from(start), Buffer.alloc(part.length * times, part), Buffer.from(end)]);
  const ONE = '":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
  const CASES: [string, () => Buffer | string][] = [
    ["90 MB of [", () => filled("", "[", 90 * M)],
    ["90 MB of [ as a tensor", () => filled('{"gain":', "[", 90 * M)],
    ["objects in objects, 90 MB", () => filled("", '{"a":', 18 * M)],
    ["a header nested 5,000 deep", () => `{"gain":${"[".repeat(5000)}${"]".repeat(5000)}}`],
    ["objects nested 5,000 deep", () => `${'{"gain":'.repeat(5000)}1${"}".repeat(5000)}`],
    ["a name of 90 MB", () => filled('{"', "x", 90 * M, ONE)],
    ["a name of 8 million characters", () => filled('{"', "x", 8 * M, ONE)],
    ["a dtype of 8 million characters", () => filled('{"gain":{"dtype":"', "x", 8 * M, '"}}')],
    ["a field of 8 million characters", () => filled('{"gain":{"', "x", 8 * M, '":1}}')],
    ["90 MB of backslashes", () => filled('{"', "\\", 90 * M)],
    ["90 MB of spaces", () => filled("{", " ", 90 * M)],
    ["90 MB of digits", () => filled('{"gain":{"shape":[', "9", 90 * M)],
    ["90 MB of axes", () => filled('{"gain":{"shape":[1', ",1", 45 * M)],
    ["90 MB of zeros", () => filled("{", "\0", 90 * M)],
    ["metadata of 60 MB", () => filled('{"__metadata__":{"a":"', "ab", 30 * M, '"}}')],
    [
      "half a million tensors",
      () => entries(500_000, (i) => `"${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`),
    ],
    ["half a million texts", () => `{"__metadata__":${entries(500_000, (i) => `"${i}":""`)}}`],
    [
      "100,000 tensors that the net does not have",
      () =>
        entries(
          100_000,
          (i) =>
            `"layers.${i}.a_name_like_that_of_a_large_net.weight":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`,
        ),
    ],
  ];

  test.each(CASES)("%s", async (_name, header) => {
    const layer = new Gain(engine, 2);
    const before = stateBits(layer);
    const file = fileOf(Buffer.from(header()), new Uint8Array(8));
    let error: unknown;
    const { milliseconds, bytes } = costOf(() => {
      try {
        lg.load(layer, file);
      } catch (thrown) {
        error = thrown;
      }
    });
    expect(error instanceof lg.FormatError || error instanceof lg.StateError).toBe(true);
    expect((error as Error).message.length).toBeLessThan(2000);
    expect(milliseconds).toBeLessThan(1000);
    expect(bytes).toBeLessThan(200e6);
    expect(stateBits(layer)).toEqual(before);
  });

  it("a header of more than 100 MB, even where it is there", async () => {
    const file = fileOf("{}", new Uint8Array(100_000_100), 100_000_001n);
    const error = await refusal(() => lg.load(new Gain(engine, 2), file));
    expectRefusal(error, lg.FormatError, /claims 100000001 bytes.* 100000000 allowed/);
  });

  it("while a header of 100,000 tensors and metadata of a megabyte are read", () => {
    const value = "texts ä 日 ".repeat(60_000);
    const header = entries(
      100_000,
      (i) =>
        `"model.layers.${i}.self_attn.a_name_as_long_as_those_of_the_largest_models_are.weight":{"dtype":"BF16","shape":[1,2],"data_offsets":[${4 * i + 8},${4 * i + 12}]}`,
    );
    const all = `{"__metadata__":{"a":${JSON.stringify(value)}},"gain":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},${header.slice(1)}`;
    const file = fileOf(all, new Uint8Array(8 + 400_000));
    const result = lg.load(new Gain(engine, 2), file, { strict: false });
    expect(result.metadata).toEqual({ a: value });
    expect(result.missing).toEqual([]);
    expect(result.unexpected).toHaveLength(100_000);
  });
});

describe("gzip data that unpack to much more than they are", () => {
  const M = 1_000_000;
  // members one behind the other are one file: the zeros need to be packed only once
  const ZEROS = gzip(new Uint8Array(200 * M));
  const zeros = (...start: number[]) => Buffer.concat([gzip(Uint8Array.from(start)), ZEROS]);
  const empty = gzip(new Uint8Array(0));
  const named = (packed: Uint8Array, length: number) => {
    const file = Buffer.concat([packed.subarray(0, 10), Buffer.alloc(length, "n"), Buffer.of(0), packed.subarray(10)]);
    file[3] = 0x08;
    return file;
  };
  const CASES: [string, () => Uint8Array, RegExp][] = [
    ["zeros", () => ZEROS, /the type 0x00/],
    ["an IDX file of one value, and zeros", () => zeros(0, 0, 8, 1, 0, 0, 0, 1), /more than the 9 bytes/],
    ["an IDX file of no values, and zeros", () => zeros(0, 0, 8, 0), /more than the 5 bytes/],
    ["a header that promises 4 GB", () => zeros(0, 0, 8, 1, 255, 255, 255, 255), /cannot hold the 4294967303/],
    ["a file name of a megabyte before the data", () => named(ZEROS, M), /the type 0x00/],
    ["thousands of empty members before it", () => Buffer.concat([...Array(5000).fill(empty), ZEROS]), /0x00/],
    ["empty members alone", () => Buffer.concat(Array(20_000).fill(empty)), /got 0 bytes/],
    ["gzip in gzip in gzip", () => gzip(ZEROS), /gzipped twice/],
  ];

  test.each(CASES)("%s", (_name, make, message) => {
    const file = Uint8Array.from(make());
    let error: unknown;
    const { milliseconds, bytes } = costOf(() => {
      try {
        lg.readIdx(file);
      } catch (thrown) {
        error = thrown;
      }
    });
    expectRefusal(error, lg.FormatError, message);
    expect(milliseconds).toBeLessThan(1000);
    expect(bytes).toBeLessThan(100e6);
  });

  it("while a file that keeps such a promise is read, in twice its size", () => {
    const content = new Uint8Array(50 * M + 8);
    content.set([0, 0, 8, 1, 0x02, 0xfa, 0xf0, 0x80]);
    const file = gzip(content);
    const { bytes } = costOf(() => expect(lg.readIdx(file).data).toHaveLength(50 * M));
    expect(bytes).toBeLessThan(130e6);
  });
});
