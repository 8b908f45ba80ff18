import { gzipSync } from "node:zlib";
import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { idxBytes } from "./support/idx.js";
import { Random } from "./support/random.js";
import { expectRefusal, refusal } from "./support/state.js";

const count = (shape: number[]): number => shape.reduce((size, length) => size * length, 1);
const numbers = (length: number): number[] => Array.from({ length }, (_, i) => (i * 37) % 256);
const FILE = idxBytes([2, 3, 4], numbers(24));

const joined = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const gzip = (bytes: Uint8Array): Uint8Array => new Uint8Array(gzipSync(bytes));

async function expectFormatError(bytes: Uint8Array, message: RegExp): Promise<void> {
  const before = bytes.slice();
  expectRefusal(await refusal(() => lg.readIdx(bytes)), lg.FormatError, message);
  expect(bytes).toEqual(before);
}

describe("readIdx", () => {
  it.each<[string, number[]]>([
    ["labels", [5]],
    ["images", [2, 3, 4]],
    ["one value", [1]],
    ["many axes", Array(20).fill(1)],
    ["no items", [0]],
    ["no images of 28x28", [0, 28, 28]],
    ["images of no rows", [3, 0, 28]],
    ["a scalar, which has no axes", []],
  ])("%s, plain and gzipped", (_, shape) => {
    const values = numbers(count(shape));
    for (const bytes of [idxBytes(shape, values), gzip(idxBytes(shape, values))]) {
      const { shape: got, data } = lg.readIdx(bytes);
      expect(got).toEqual(shape);
      expect(data).toBeInstanceOf(Uint8Array);
      expect([...data]).toEqual(values);
    }
  });

  it("a Buffer, a part of a larger array, an odd offset", () => {
    expect(lg.readIdx(Buffer.from(FILE)).shape).toEqual([2, 3, 4]);
    const larger = new Uint8Array(FILE.length + 10).fill(255);
    larger.set(FILE, 3);
    const { shape, data } = lg.readIdx(larger.subarray(3, 3 + FILE.length));
    expect(shape).toEqual([2, 3, 4]);
    expect([...data]).toEqual(numbers(24));
  });

  it("the result is a copy: the file's bytes may be reused", () => {
    const bytes = FILE.slice();
    const { data } = lg.readIdx(bytes);
    bytes.fill(0);
    expect([...data]).toEqual(numbers(24));
    // a Buffer's own slice is a view
    const buffer = Buffer.from(FILE);
    const fromBuffer = lg.readIdx(buffer).data;
    buffer.fill(0);
    expect([...fromBuffer]).toEqual(numbers(24));
  });

  it("every level of gzip's compression, with a name and a comment in its header", () => {
    const values = [...new Random(1).values(5000, 0, 256)].map(Math.floor);
    const file = idxBytes([50, 100], values);
    for (const level of [0, 1, 6, 9]) {
      expect([...lg.readIdx(new Uint8Array(gzipSync(file, { level }))).data]).toEqual(values);
    }
    const plain = gzip(file);
    const named = joined(plain.subarray(0, 10), new TextEncoder().encode("train\0note\0"), plain.subarray(10));
    named[3] = 0x08 | 0x10;
    expect([...lg.readIdx(named).data]).toEqual(values);
  });

  it("a gzip file of several members, as `cat a.gz b.gz` and some tools write it", () => {
    const file = joined(gzip(FILE.subarray(0, 20)), gzip(FILE.subarray(20)));
    expect([...lg.readIdx(file).data]).toEqual(numbers(24));
  });

  describe("refuses", () => {
    it("a file cut anywhere", async () => {
      for (let length = 0; length < FILE.length; length++) {
        await expectFormatError(FILE.subarray(0, length), /readIdx: got \d+ (bytes|values), expected/);
      }
    });

    it("surplus data, a byte or many", async () => {
      await expectFormatError(joined(FILE, Uint8Array.of(0)), /got 25 values, expected 24 for \[2, 3, 4\]/);
      await expectFormatError(joined(FILE, FILE), /got \d+ values, expected 24/);
      await expectFormatError(gzip(joined(FILE, Uint8Array.of(0))), /got 25 values, expected 24/);
    });

    it("a gzip file cut anywhere", async () => {
      const file = gzip(idxBytes([300], numbers(300)));
      for (let length = 2; length < file.length; length++) {
        await expectFormatError(file.subarray(0, length), /^readIdx: /);
      }
    });

    it("data behind a gzip file", async () => {
      await expectFormatError(joined(gzip(FILE), Uint8Array.of(1, 2, 3)), /^readIdx: /);
      await expectFormatError(joined(gzip(FILE), new Uint8Array(100).fill(7)), /^readIdx: /);
      await expectFormatError(joined(gzip(FILE), FILE), /^readIdx: /);
    });

    it("a gzip file with a wrong checksum or length", async () => {
      for (const fromEnd of [8, 5, 4, 1]) {
        const file = gzip(FILE);
        file[file.length - fromEnd] ^= 0x55;
        await expectFormatError(file, /^readIdx: /);
      }
    });

    it("a gzip file whose values were changed", async () => {
      // stored, not compressed: the bytes are there as they are
      const file = new Uint8Array(gzipSync(FILE, { level: 0 }));
      const at = file.length - 8 - 5;
      file[at] ^= 0xff;
      await expectFormatError(file, /^readIdx: /);
    });

    it("a gzip file of damaged bits, never with anything but a FormatError or the right values", async () => {
      const values = [...new Random(2).values(400, 0, 16)].map(Math.floor);
      const file = gzip(idxBytes([400], values));
      const random = new Random(3);
      for (let i = 0; i < 300; i++) {
        const damaged = file.slice();
        // the header's time, flags and system say nothing about the content
        damaged[random.integer(10, file.length - 1)] ^= 1 << random.integer(0, 7);
        const error = await refusal(() => expect([...lg.readIdx(damaged).data]).toEqual(values));
        if (error !== undefined) expect(error).toBeInstanceOf(lg.FormatError);
      }
    });

    it.each([
      [0x09, "0x09"],
      [0x0b, "0x0b"],
      [0x0c, "0x0c"],
      [0x0d, "0x0d"],
      [0x0e, "0x0e"],
      [0x00, "0x00"],
      [0xff, "0xff"],
    ])("the type %i", async (type, shown) => {
      await expectFormatError(idxBytes([1], [1], type), new RegExp(`got the type ${shown}, expected 0x08`));
    });

    it("magic bytes that are not zero", async () => {
      for (const at of [0, 1]) {
        const file = FILE.slice();
        file[at] = 1;
        await expectFormatError(file, /magic bytes \d \d, expected 0 0/);
      }
      await expectFormatError(new TextEncoder().encode("<!DOCTYPE html>"), /magic bytes 60 33, expected 0 0/);
      await expectFormatError(Uint8Array.of(0x1f, 0x8b), /^readIdx: /);
    });

    it("more axes than the header holds", async () => {
      const file = FILE.slice();
      file[3] = 255;
      await expectFormatError(file, /expected a header of 1024 for 255 axes/);
    });

    it("huge sizes, without making room for them", async () => {
      const HUGE = 0xffffffff;
      for (const shape of [
        [HUGE],
        [HUGE, HUGE],
        Array(40).fill(HUGE),
        Array(255).fill(HUGE),
        [2 ** 31, 2, 0x80000000],
      ]) {
        await expectFormatError(idxBytes(shape, [1, 2, 3]), /got 3 values, expected/);
      }
      // no values is what one size of 0 asks for, whatever the others are
      for (const shape of [
        [HUGE, 0],
        [0, ...Array(40).fill(HUGE)],
        [...Array(40).fill(HUGE), 0],
      ]) {
        expect(lg.readIdx(idxBytes(shape, []))).toEqual({ shape, data: new Uint8Array(0) });
        await expectFormatError(idxBytes(shape, [1]), /got 1 values, expected 0/);
      }
    });

    it("a gzip file that claims to unpack to 4 GiB, without making room for it", async () => {
      const file = gzip(FILE);
      file.fill(0xff, file.length - 4);
      const { arrayBuffers, external } = process.memoryUsage();
      await expectFormatError(file, /^readIdx: /);
      const after = process.memoryUsage();
      expect(after.arrayBuffers - arrayBuffers).toBeLessThan(2 ** 28);
      expect(after.external - external).toBeLessThan(2 ** 28);
    });
  });
});
