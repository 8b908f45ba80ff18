import { gzipSync } from "node:zlib";
import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { forms, notBytes, OTHER_FILES } from "../support/files.js";
import { idxBytes } from "../support/idx.js";
import { Random } from "../support/random.js";
import { expectRefusal, refusal, wrong } from "../support/state.js";

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

  /** Edges of each type, with bytes that differ. */
  const EVERY_TYPE: [number, Float64Array | Float32Array | Uint8Array | Int8Array | Int16Array | Int32Array][] = [
    [0x08, Uint8Array.of(0, 1, 127, 128, 255)],
    [0x09, Int8Array.of(-128, -1, 0, 1, 127)],
    [0x0b, Int16Array.of(-32768, -2, 258, 0x1234, 32767)],
    [0x0c, Int32Array.of(-(2 ** 31), -2, 0x01020304, 0x12345678, 2 ** 31 - 1)],
    [0x0d, Float32Array.of(-1.5, 2 ** -149, 3.4028234663852886e38, -Infinity, 1 / 3)],
    [0x0e, Float64Array.of(-1.5, Number.MIN_VALUE, Number.MAX_VALUE, Infinity, 1 / 3)],
  ];

  it.each(EVERY_TYPE)("values of the type %i", (type, values) => {
    const bytes = idxBytes([5, 1], values, type);
    for (const file of [bytes, gzip(bytes)]) {
      const { shape, data } = lg.readIdx<lg.IdxData>(file);
      expect(shape).toEqual([5, 1]);
      expect(data).toStrictEqual(values);
      // in memory of its own, which a slice or a transfer takes nothing else along from
      expect(Object.getPrototypeOf(data)).toBe(Object.getPrototypeOf(values));
      expect(data.byteOffset).toBe(0);
      expect(data.buffer.byteLength).toBe(data.byteLength);
      expect(data.slice().buffer).not.toBe(data.buffer);
    }
  });

  it("the bits of a NaN are kept", () => {
    const file = idxBytes([2], [0, 0], 0x0d);
    file.set([0x7f, 0x80, 0x00, 0x01, 0xff, 0xc1, 0x23, 0x45], 8);
    const { data } = lg.readIdx<Float32Array<ArrayBuffer>>(file);
    expect([...new Uint32Array(data.buffer)]).toEqual([0x7f800001, 0xffc12345]);
  });

  it.each(EVERY_TYPE)("of the type %i, cut or surplus anywhere, is refused", async (type, values) => {
    const file = idxBytes([5, 1], values, type);
    for (let length = 4; length < file.length; length++) {
      await expectFormatError(file.subarray(0, length), /readIdx: got .* (bytes|values), expected/);
      await expectFormatError(gzip(file.subarray(0, length)), /readIdx: got .* (bytes|values), expected/);
    }
    await expectFormatError(joined(file, Uint8Array.of(0)), /got [\d.]+ values, expected 5 for \[5, 1\]/);
  });

  describe("takes bytes in any form", () => {
    const packed = gzip(FILE);

    it.each(Object.keys(forms(FILE)))("%s", (form) => {
      for (const bytes of [FILE, packed]) {
        const { shape, data } = lg.readIdx(wrong(forms(bytes)[form]()));
        expect(shape).toEqual([2, 3, 4]);
        expect(data).toEqual(Uint8Array.from(numbers(24)));
        expect(data.constructor).toBe(Uint8Array);
      }
    });

    it("but nothing else", async () => {
      for (const value of notBytes(FILE)) {
        expectRefusal(
          await refusal(() => lg.readIdx(wrong(value))),
          lg.ArgumentError,
          /^readIdx: .*(Uint8Array or ArrayBuffer|detached)/,
        );
      }
    });
  });

  it.each(Object.entries(OTHER_FILES))("%s is said to be one", async (_, { bytes, says }) => {
    await expectFormatError(bytes, says);
    await expectFormatError(gzip(bytes), says);
  });

  it("a safetensors file is said to be one, a file that is gzipped twice too", async () => {
    const file = lg.save(new lg.Linear(2, 2, { engine: lg.createEngine({ kernels: "js" }) }));
    await expectFormatError(file, /readIdx: got a safetensors file: load reads it/);
    await expectFormatError(gzip(gzip(FILE)), /readIdx: got a file that is gzipped twice/);
    await expectFormatError(gzip(gzip(gzip(FILE))), /gzipped twice/);
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
      await expectFormatError(
        gzip(joined(FILE, Uint8Array.of(0))),
        /got more than the 40 bytes that the header promises/,
      );
      await expectFormatError(gzip(joined(FILE, FILE)), /got more than the 40 bytes/);
      await expectFormatError(joined(gzip(FILE), gzip(FILE)), /got more than the 40 bytes/);
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

    it.each([0x00, 0x07, 0x0a, 0x0f, 0xff])("the type %i", async (type) => {
      const shown = type.toString(16).padStart(2, "0");
      await expectFormatError(
        idxBytes([1], [1], type),
        new RegExp(`got the type 0x${shown}, expected 0x08, .* or 0x0e`),
      );
    });

    it("magic bytes that are not zero", async () => {
      for (const at of [0, 1]) {
        const file = FILE.slice();
        file[at] = 1;
        await expectFormatError(file, /magic bytes \d \d, expected 0 0/);
      }
      await expectFormatError(new TextEncoder().encode("hello"), /magic bytes 104 101, expected 0 0/);
      await expectFormatError(Uint8Array.of(0x1f, 0x8b), /^readIdx: /);
    });

    it("more axes than the header holds, or than a tensor has", async () => {
      const file = FILE.slice();
      file[3] = 32;
      await expectFormatError(file, /expected a header of 132 for 32 axes/);
      for (const axes of [33, 255]) {
        await expectFormatError(
          idxBytes(Array(axes).fill(1), [1]),
          new RegExp(`got ${axes} axes, expected at most 32`),
        );
      }
    });

    it("huge sizes, without making room for them", async () => {
      const HUGE = 0xffffffff;
      for (const shape of [[HUGE], [2 ** 20, 2 ** 20], [2 ** 31, 2, 2 ** 20]]) {
        await expectFormatError(idxBytes(shape, [1, 2, 3]), /got 3 values, expected/);
        await expectFormatError(gzip(idxBytes(shape, [1, 2, 3])), /cannot hold/);
      }
      for (const shape of [[HUGE, HUGE], Array(32).fill(HUGE), [HUGE, 0, HUGE]]) {
        await expectFormatError(idxBytes(shape, [1, 2, 3]), /more values than can be counted/);
        await expectFormatError(idxBytes(shape, []), /more values than can be counted/);
      }
      // no values is what one size of 0 asks for
      for (const shape of [
        [HUGE, 0],
        [0, HUGE],
        [0, 0, HUGE],
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
