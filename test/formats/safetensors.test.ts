import * as lg from "lanegrad";
import { describe, expect, it, test } from "vitest";
import { describeEngines } from "../support/engines.js";
import { fileOf, forms, gzip, notBytes, OTHER_FILES } from "../support/files.js";
import { idxBytes } from "../support/idx.js";
import { Gain } from "../support/layers.js";
import { Random } from "../support/random.js";
import { bits, expectRefusal, randomTensor, refusal, stateBits, valueBits, wrong } from "../support/state.js";

interface Entry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

interface SafeTensorsFile {
  readonly metadata: Record<string, string> | undefined;
  readonly entries: Map<string, Entry>;
  readonly data: Buffer;
}

/**
 * A reader by the specification alone: 8 bytes of header length, little-endian; JSON that starts with "{" and may be padded with
 * spaces; then the data, entirely indexed, without holes. https://github.com/huggingface/safetensors#format
 */
function readFile(file: Uint8Array): SafeTensorsFile {
  const bytes = Buffer.from(file);
  const headerLength = Number(bytes.readBigUInt64LE(0));
  const header = bytes.subarray(8, 8 + headerLength);
  expect(header[0]).toBe(0x7b);
  const { __metadata__: metadata, ...entries } = JSON.parse(header.toString("utf8"));
  const data = bytes.subarray(8 + headerLength);
  let position = 0;
  const ranges = (Object.values(entries) as Entry[]).map(({ data_offsets }) => data_offsets);
  for (const [start, end] of ranges.sort((a, b) => a[0] - b[0])) {
    expect(start).toBe(position);
    position = end;
  }
  expect(data.length).toBe(position);
  return { metadata, entries: new Map(Object.entries(entries as Record<string, Entry>)), data };
}

/** The 32-bit words of a tensor, whatever numbers they stand for. */
function wordsOf({ entries, data }: SafeTensorsFile, name: string): number[] {
  const { dtype, data_offsets } = entries.get(name)!;
  expect(dtype).toBe("F32");
  const [start, end] = data_offsets;
  return Array.from({ length: (end - start) / 4 }, (_, i) => data.readUInt32LE(start + 4 * i));
}

/** The only element of a tensor of 64-bit integers. */
function integerOf({ entries, data }: SafeTensorsFile, name: string): bigint {
  const { dtype, data_offsets } = entries.get(name)!;
  expect(dtype).toBe("I64");
  expect(data_offsets[1] - data_offsets[0]).toBe(8);
  return data.readBigInt64LE(data_offsets[0]);
}

/** The file with another value for such a tensor. */
function withInteger(file: Uint8Array, name: string, value: bigint): Uint8Array {
  const changed = Buffer.from(file);
  const start = readFile(file).entries.get(name)!.data_offsets[0];
  changed.writeBigInt64LE(value, 8 + Number(changed.readBigUInt64LE(0)) + start);
  return changed;
}

/** The four classes of float32 with both signs, quiet and signalling NaN with payloads, the edges of each class. */
const PATTERNS: Record<string, number[]> = {
  zeros: [0x00000000, 0x80000000],
  subnormals: [0x00000001, 0x80000001, 0x007fffff, 0x807fffff, 0x00400000, 0x80012345],
  normals: [0x00800000, 0x80800000, 0x3f800000, 0xbf800000, 0x7f7fffff, 0xff7fffff, 0x3eaaaaab],
  infinities: [0x7f800000, 0xff800000],
  "quiet NaN": [0x7fc00000, 0xffc00000, 0x7fc0dead, 0xffffffff, 0x7fffffff],
  "signalling NaN": [0x7f800001, 0xff800001, 0x7fbfffff, 0xffa5a5a5],
};

function setWords(tensor: lg.Tensor, words: ArrayLike<number>): void {
  const { data } = tensor;
  new Uint32Array(data.buffer, data.byteOffset, data.length).set(words);
}

/** A layer with one parameter of any name. */
class Named extends lg.Layer {
  readonly #parameters: lg.Parameter[];

  constructor(engine: lg.Engine, name: string, size = 2) {
    super();
    this.#parameters = [{ name, value: engine.zeros([size]), grad: engine.zeros([size]) }];
  }

  override parameters(): lg.Parameter[] {
    return this.#parameters;
  }

  override forward(x: lg.Input): lg.Tensor {
    return x as lg.Tensor;
  }

  override backwardInput(dy: lg.Input): lg.Tensor {
    return dy as lg.Tensor;
  }
}

describe("save and load", () => {
  describeEngines((engine) => {
    const makeNet = (seed = 1) => {
      const own = { engine: engine() };
      const net = new lg.Sequential({
        head: new lg.Linear(3, 4, own),
        act: new lg.PReLU({ ...own, numParameters: 4, constraint: "exp" }),
        body: new lg.Sequential(
          new lg.LinearPReLU(4, 3, { ...own, constraint: "square" }),
          new lg.ReLU(own),
          new lg.LinearELU(3, 2, { ...own, bias: false }),
        ),
        out: new lg.PReLU(own),
      });
      const random = new Random(seed);
      for (const { value } of net.parameters()) value.data.set(random.values(value.size));
      return net;
    };

    it("round trip: the same bits, and forward's too", () => {
      const [from, to] = [makeNet(1), makeNet(2)];
      expect(valueBits(to)).not.toEqual(valueBits(from));
      lg.load(to, lg.save(from));
      expect(valueBits(to)).toEqual(valueBits(from));
      const x = [[1, -2, 0.5]];
      expect(bits(to.forward(x).data)).toEqual(bits(from.forward(x).data));
      expect(lg.save(to)).toEqual(lg.save(from));
    });

    test.each(Object.entries(PATTERNS))("%s survive to the bit", (_name, words) => {
      const [from, to] = [0, 1].map(() => new Named(engine(), "p", words.length));
      setWords(from.parameters()[0].value, words);
      const file = lg.save(from);
      expect(wordsOf(readFile(file), "p")).toEqual(words);
      lg.load(to, file);
      expect([...bits(to.parameters()[0].value.data)]).toEqual(words);
      expect([...bits(from.parameters()[0].value.data)]).toEqual(words);
    });

    it("every exponent, with random mantissas and both signs, survives to the bit", () => {
      const random = new Random(81);
      const words = Uint32Array.from(
        { length: 256 * 2 * 16 },
        (_, i) => (((i & 1) << 31) | (((i >>> 1) & 255) << 23) | random.integer(0, 2 ** 23 - 1)) >>> 0,
      );
      const [from, to] = [0, 1].map(() => new Named(engine(), "p", words.length));
      setWords(from.parameters()[0].value, words);
      lg.load(to, lg.save(from));
      expect(bits(to.parameters()[0].value.data)).toEqual(words);
    });

    it("an independent reader finds every tensor with PyTorch's names, row-major", () => {
      const own = { engine: engine() };
      const net = new lg.Sequential(
        new lg.Linear(3, 2, own),
        new lg.PReLU({ ...own, numParameters: 2 }),
        new lg.Linear(2, 4, { ...own, bias: false }),
      );
      const file = readFile(lg.save(net));
      // nn.Sequential(nn.Linear(3, 2), nn.PReLU(2), nn.Linear(2, 4, bias=False)).state_dict()
      const shapes = { "0.weight": [2, 3], "0.bias": [2], "1.weight": [2], "2.weight": [4, 2] };
      expect(Object.fromEntries([...file.entries].map(([name, { shape }]) => [name, shape]))).toEqual(shapes);
      for (const [name, tensor] of Object.entries(net.stateDict())) {
        expect(wordsOf(file, name)).toEqual([...bits(tensor.data)]);
      }
      // what torch's loaders look for; nothing about constraints, since there are none
      expect(file.metadata).toEqual({ format: "pt" });
    });

    it("starts its data at a multiple of 8 bytes, for readers that map the file", () => {
      for (const name of ["p", "pq", "pqr", "pqrs", "ü", "p_____"]) {
        const file = lg.save(new Named(engine(), name));
        expect(Number(Buffer.from(file).readBigUInt64LE(0)) % 8).toBe(0);
      }
    });

    it("saves β, and says in the metadata under which constraint", () => {
      const net = makeNet();
      const file = readFile(lg.save(net));
      expect([...file.entries.keys()]).toEqual(Object.keys(net.stateDict()));
      expect(wordsOf(file, "act.weight")).toEqual([...bits(net.stateDict()["act.weight"].data)]);
      const values = Object.values(file.metadata!);
      expect(values).toContain("exp");
      expect(values).toContain("square");
      expect(values).not.toContain("none");
      for (const value of values) expect(typeof value).toBe("string");
    });

    it("refuses β of another constraint, either way: nothing changes", async () => {
      const make = (constraint: lg.SlopeConstraint) => new lg.PReLU({ constraint, engine: engine() });
      for (const from of ["none", "exp", "square"] as const) {
        for (const to of ["none", "exp", "square"] as const) {
          const target = make(to);
          const before = stateBits(target);
          const error = await refusal(() => lg.load(target, lg.save(make(from))));
          if (from === to) expect(error).toBeUndefined();
          else {
            expectRefusal(error, lg.StateError, new RegExp(`weight .*"${from}", expected "${to}"`));
            expect(stateBits(target)).toEqual(before);
          }
        }
      }
    });

    it("a file of PyTorch's has no metadata, its own order, and is read all the same", () => {
      const net = new lg.Linear(2, 1, { engine: engine() });
      const data = Buffer.alloc(12);
      [3, 1, 2].forEach((value, i) => {
        data.writeFloatLE(value, 4 * i);
      });
      const header = {
        bias: { dtype: "F32", shape: [1], data_offsets: [0, 4] },
        weight: { dtype: "F32", shape: [1, 2], data_offsets: [4, 12] },
      };
      lg.load(net, fileOf(`${JSON.stringify(header)}   `, data));
      expect(net.parameters().map(({ value }) => value.toArray())).toEqual([[[1, 2]], [3]]);
      // names in any order
      const { bias, weight } = header;
      net.parameters()[1].value.fill_(0);
      lg.load(net, fileOf({ weight, bias, __metadata__: { any: "thing" } }, data));
      expect(net.parameters()[1].value.toArray()).toEqual([3]);
    });

    it("takes any Uint8Array: a Buffer, a view in the middle of another", () => {
      const [from, to] = [makeNet(1), makeNet(2)];
      const file = lg.save(from);
      for (const offset of [0, 1, 3, 8]) {
        const large = new Uint8Array(file.length + 20).fill(0xff);
        large.set(file, offset);
        for (const { value } of to.parameters()) value.fill_(0);
        lg.load(to, large.subarray(offset, offset + file.length));
        expect(valueBits(to)).toEqual(valueBits(from));
      }
      lg.load(to, Buffer.from(file));
      // and keeps none of it: neither is the saved file a view of the net
      const before = valueBits(to);
      file.fill(0);
      expect(valueBits(to)).toEqual(before);
      expect(valueBits(from)).toEqual(before);
    });

    it("does not touch gradients, mode and memory", () => {
      const [from, net] = [makeNet(1), makeNet(2)];
      net.backward(net.forward([[1, 2, 3]]));
      net.layers[1].eval();
      const gradients = () => net.parameters().map(({ grad }) => bits(grad.data));
      const [before, { used }] = [gradients(), engine().memory];
      lg.load(net, lg.save(from));
      expect(gradients()).toEqual(before);
      expect(net.layers.map(({ training }) => training)).toEqual([true, false, true, true]);
      expect(engine().memory.used).toBe(used);
    });

    describe("running statistics", () => {
      const makeNet = (own = engine()) =>
        new lg.Sequential(new lg.BatchNorm2d(3, { engine: own }), new lg.Conv2d(3, 2, 1, { engine: own }));
      const images = (seed: number): lg.Tensor => randomTensor(engine(), [2, 3, 2, 2], seed);
      const COUNT = "0.num_batches_tracked";

      it("an independent reader finds them under PyTorch's names, the count as an int64 of no axes", () => {
        const net = makeNet();
        for (let seed = 0; seed < 3; seed++) net.forward(images(seed));
        const file = readFile(lg.save(net));
        expect(Object.fromEntries([...file.entries].map(([name, { dtype, shape }]) => [name, [dtype, shape]]))).toEqual(
          {
            "0.weight": ["F32", [3]],
            "0.bias": ["F32", [3]],
            "0.running_mean": ["F32", [3]],
            "0.running_var": ["F32", [3]],
            [COUNT]: ["I64", []],
            "1.weight": ["F32", [2, 3, 1, 1]],
            "1.bias": ["F32", [2]],
          },
        );
        const { running_mean, running_var } = net.layers[0].stateDict();
        expect(wordsOf(file, "0.running_mean")).toEqual([...bits(running_mean.data)]);
        expect(wordsOf(file, "0.running_var")).toEqual([...bits(running_var.data)]);
        expect(integerOf(file, COUNT)).toBe(3n);
        for (const { dtype, data_offsets } of file.entries.values()) {
          expect(data_offsets[0] % (dtype === "I64" ? 8 : 4)).toBe(0);
        }
      });

      it("round trip: the same bits, and the outputs in eval mode too", () => {
        const [from, to] = [makeNet(), makeNet()];
        for (let seed = 0; seed < 3; seed++) from.forward(images(seed));
        expect(valueBits(to)).not.toEqual(valueBits(from));
        lg.load(to, lg.save(from));
        expect(valueBits(to)).toEqual(valueBits(from));
        expect(lg.save(to)).toEqual(lg.save(from));
        const x = images(9);
        expect(bits(to.eval().forward(x).data)).toEqual(bits(from.eval().forward(x).data));
        // and go on alike
        for (const net of [from, to]) net.train().forward(x);
        expect(lg.save(to)).toEqual(lg.save(from));
      });

      it.each([2n ** 24n - 1n, 2n ** 24n, 2n ** 24n + 1n, 2n ** 31n - 1n, 2n ** 32n + 3n, 2n ** 52n + 1n])(
        "counts exactly from %d on",
        (start) => {
          const net = makeNet();
          lg.load(net, withInteger(lg.save(net), COUNT, start));
          const count = (of: lg.Layer): bigint => integerOf(readFile(lg.save(of)), COUNT);
          expect(count(net)).toBe(start);
          for (let step = 1n; step <= 3n; step++) {
            net.forward(images(1));
            expect(count(net)).toBe(start + step);
            expect(net.stateDict()[COUNT].toArray()).toBe(Math.fround(Number(start + step)));
          }
          // whatever is done with the state in between
          lg.gradCheck(net.layers[0], images(2));
          lg.jacobian(net.layers[0], images(2));
          lg.predict(net, images(2));
          expect(count(net)).toBe(start + 3n);
          const other = lg.createEngine({ kernels: "js" });
          for (const own of [engine(), other]) {
            const state = Object.fromEntries(Object.entries(net.stateDict()).map(([name, t]) => [name, t.clone()]));
            for (const source of [net.stateDict(), state]) {
              const to = makeNet(own);
              to.loadStateDict(source);
              expect(count(to)).toBe(start + 3n);
            }
          }
          other.dispose();
        },
      );

      it("a count that is written takes the place of what was counted", () => {
        const net = makeNet();
        lg.load(net, withInteger(lg.save(net), COUNT, 2n ** 24n + 1n));
        const tensor = net.stateDict()[COUNT];
        tensor.data[0] = 7;
        expect(integerOf(readFile(lg.save(net)), COUNT)).toBe(7n);
        net.forward(images(1));
        expect(integerOf(readFile(lg.save(net)), COUNT)).toBe(8n);
        net.loadStateDict({ ...net.stateDict(), [COUNT]: engine().zeros([]) });
        net.forward(images(1));
        expect(integerOf(readFile(lg.save(net)), COUNT)).toBe(1n);
      });

      it("a count of another type or shape is a StateError, and nothing changes", async () => {
        const layer = new lg.BatchNorm1d(1, { engine: engine() });
        layer.forward([[1], [2]]);
        const before = stateBits(layer);
        const F32 = (start: number) => ({ dtype: "F32", shape: [1], data_offsets: [start, start + 4] });
        const rest = { weight: F32(0), bias: F32(4), running_mean: F32(8), running_var: F32(12) };
        for (const [entry, message] of [
          [{ dtype: "F32", shape: [], data_offsets: [16, 20] }, /num_batches_tracked is F32, expected I64/],
          [{ dtype: "I64", shape: [1], data_offsets: [16, 24] }, /num_batches_tracked is \[1\], expected \[\]/],
        ] as const) {
          const file = fileOf({ ...rest, num_batches_tracked: entry }, new Uint8Array(entry.data_offsets[1]).fill(1));
          expectRefusal(await refusal(() => lg.load(layer, file)), lg.StateError, message);
          expect(stateBits(layer)).toEqual(before);
        }
      });
    });

    it("a net without a state is a file without tensors", () => {
      const relu = new lg.ReLU({ engine: engine() });
      const file = lg.save(relu);
      expect(readFile(file).entries.size).toBe(0);
      lg.load(relu, file);
      lg.load(relu, fileOf({}));
    });

    it.each(["__proto__", "toString", "constructor", "hasOwnProperty", "ä/ö 日本", 'a"b\\c', "0"])(
      "a user's parameter may be called %s",
      (name) => {
        const [from, to] = [0, 1].map(() => new Named(engine(), name));
        from.parameters()[0].value.data.set([1, 2]);
        lg.load(to, lg.save(from));
        expect([...to.parameters()[0].value.data]).toEqual([1, 2]);
      },
    );

    it("a parameter called __metadata__ is no tensor to the format: refused", async () => {
      expect(await refusal(() => lg.save(new Named(engine(), "__metadata__")))).toBeInstanceOf(lg.LanegradError);
    });

    it("wrong calls", async () => {
      const net = makeNet();
      const file = lg.save(net);
      expectRefusal(await refusal(() => lg.save(wrong({}))), lg.ArgumentError, /save: .*Layer/);
      expectRefusal(await refusal(() => lg.load(wrong(null), file)), lg.ArgumentError, /load: got null/);
      for (const bytes of notBytes(file)) {
        const error = await refusal(() => lg.load(net, wrong(bytes)));
        expectRefusal(error, lg.ArgumentError, /^load: .*(Uint8Array or ArrayBuffer|detached)/);
      }
      for (const options of [null, 1, "strict", [], { Strict: false }, { strict: 0 }, { strict: "no" }]) {
        expectRefusal(await refusal(() => lg.load(net, file, wrong(options))), lg.ArgumentError, /^load: /);
      }
      for (const metadata of [null, "text", 1, { a: 1 }, { a: "b", c: null }, { a: undefined }, ["a", 1]]) {
        const error = await refusal(() => lg.save(net, { metadata: wrong(metadata) }));
        expectRefusal(error, lg.ArgumentError, /^save: metadata: .*got .*, expected (a string|an object of strings)/);
      }
      for (const key of ["format", "constraint.weight", "constraint."]) {
        const error = await refusal(() => lg.save(net, { metadata: { [key]: "x" } }));
        expectRefusal(error, lg.ArgumentError, /save: metadata: got the key ".*", which is lanegrad's own/);
      }
      expectRefusal(await refusal(() => lg.save(net, wrong({ meta: {} }))), lg.ArgumentError, /save: .*meta.*metadata/);
      const thrower = {
        get epoch() {
          throw new Error("no");
        },
      };
      expectRefusal(
        await refusal(() => lg.save(net, { metadata: wrong(thrower) })),
        lg.ArgumentError,
        /save: metadata/,
      );
      net.dispose();
      expectRefusal(await refusal(() => lg.save(net)), lg.StateError, /disposed/);
      expectRefusal(await refusal(() => lg.load(net, file)), lg.StateError, /disposed/);
    });

    describe("bytes that are no safetensors file are a FormatError, and nothing changes", () => {
      const F32 = (shape: unknown, data_offsets: unknown, dtype: unknown = "F32") => ({ dtype, shape, data_offsets });
      const bytes = (count: number) => new Uint8Array(count);
      const good = F32([2], [0, 8]);
      const VALID = '{"gain":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';

      const HOSTILE: [name: string, file: Uint8Array][] = [
        ["nothing", bytes(0)],
        ["7 bytes", bytes(7)],
        ["a header of no bytes", bytes(8)],
        ["a header longer than the file", fileOf({ gain: good }, bytes(8), 1000n)],
        ["a header one byte longer than the file", fileOf("{}", bytes(0), 3n)],
        ["a header length of 2^53 + 1", fileOf({ gain: good }, bytes(8), 2n ** 53n + 1n)],
        ["a header length of 2^64 - 1", fileOf({ gain: good }, bytes(8), 2n ** 64n - 1n)],
        ["a header length of 2^32 + 2, which 32 bits would take for 2", fileOf("{}", bytes(0), 2n ** 32n + 2n)],
        ["no JSON", fileOf("{gain}")],
        ["JSON that is cut", fileOf(VALID.slice(0, -1), bytes(8))],
        ["text behind the JSON", fileOf(`${VALID}x`, bytes(8))],
        ["zeros behind the JSON", fileOf(`${VALID}\0\0`, bytes(8))],
        ["bytes that are no UTF-8", fileOf(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))],
        ["a space before the JSON", fileOf(` ${VALID}`, bytes(8))],
        ["a byte order mark before the JSON", fileOf(`\ufeff${VALID}`, bytes(8))],
        ["an array", fileOf([])],
        ["null", fileOf("null")],
        ["a number", fileOf("7")],
        ["a string", fileOf('"gain"')],
        ["an entry that is null", fileOf({ gain: null }, bytes(8))],
        ["an entry that is a number", fileOf({ gain: 8 }, bytes(8))],
        ["an entry that is an array", fileOf({ gain: ["F32", [2], [0, 8]] }, bytes(8))],
        ["no dtype", fileOf({ gain: { shape: [2], data_offsets: [0, 8] } }, bytes(8))],
        ["an unknown dtype", fileOf({ gain: F32([2], [0, 8], "F99") }, bytes(8))],
        ["a dtype in small letters", fileOf({ gain: F32([2], [0, 8], "f32") }, bytes(8))],
        ["a dtype by a name that objects have", fileOf({ gain: F32([2], [0, 8], "toString") }, bytes(8))],
        ["a dtype that is a number", fileOf({ gain: F32([2], [0, 8], 32) }, bytes(8))],
        ["no shape", fileOf({ gain: { dtype: "F32", data_offsets: [0, 8] } }, bytes(8))],
        ["a shape that is a number", fileOf({ gain: F32(2, [0, 8]) }, bytes(8))],
        ["a shape of text", fileOf({ gain: F32(["2"], [0, 8]) }, bytes(8))],
        ["a negative shape", fileOf({ gain: F32([-1, -2], [0, 8]) }, bytes(8))],
        ["a fractional shape", fileOf({ gain: F32([0.5, 4], [0, 8]) }, bytes(8))],
        ["a nested shape", fileOf({ gain: F32([[2]], [0, 8]) }, bytes(8))],
        [
          "a shape beyond exact integers",
          fileOf('{"gain":{"dtype":"F32","shape":[1e300],"data_offsets":[0,8]}}', bytes(8)),
        ],
        ["a shape whose size overflows", fileOf({ gain: F32([2 ** 32, 2 ** 32], [0, 8]) }, bytes(8))],
        ["a shape of more values than bytes", fileOf({ gain: F32([3], [0, 8]) }, bytes(8))],
        ["a shape of fewer values than bytes", fileOf({ gain: F32([1], [0, 8]) }, bytes(8))],
        ["no offsets", fileOf({ gain: { dtype: "F32", shape: [2] } }, bytes(8))],
        ["one offset", fileOf({ gain: F32([2], [8]) }, bytes(8))],
        ["three offsets", fileOf({ gain: F32([2], [0, 8, 8]) }, bytes(8))],
        ["offsets backwards", fileOf({ gain: F32([2], [8, 0]) }, bytes(8))],
        ["a negative offset", fileOf({ gain: F32([2], [-8, 0]) }, bytes(8))],
        ["a fractional offset", fileOf({ gain: F32([2], [0.5, 8.5]) }, bytes(9))],
        ["offsets of text", fileOf({ gain: F32([2], ["0", "8"]) }, bytes(8))],
        ["offsets beyond the file", fileOf({ gain: F32([2], [8, 16]) }, bytes(8))],
        ["offsets far beyond the file", fileOf({ gain: F32([2], [2 ** 40, 2 ** 40 + 8]) }, bytes(8))],
        ["data that is cut", fileOf({ gain: good }, bytes(7))],
        ["surplus data", fileOf({ gain: good }, bytes(9))],
        ["surplus data without tensors", fileOf({}, bytes(1))],
        ["a hole at the start", fileOf({ gain: F32([2], [4, 12]) }, bytes(12))],
        ["a hole in the middle", fileOf({ gain: good, other: F32([1], [12, 16]) }, bytes(16))],
        ["overlapping ranges", fileOf({ gain: good, other: F32([2], [4, 12]) }, bytes(12))],
        ["the same range twice", fileOf({ gain: good, other: good }, bytes(8))],
        ["a range inside another", fileOf({ gain: good, other: F32([1], [4, 8]) }, bytes(8))],
        ["an empty tensor in the middle of another", fileOf({ gain: good, other: F32([0], [4, 4]) }, bytes(8))],
        ["a tensor twice", fileOf(`${VALID.slice(0, -1)},${VALID.slice(1)}`, bytes(8))],
        [
          "a tensor twice, at two places",
          fileOf(`${VALID.slice(0, -1)},"gain":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}`, bytes(16)),
        ],
        ["metadata that is null", fileOf({ __metadata__: null, gain: good }, bytes(8))],
        ["metadata that is an array", fileOf({ __metadata__: ["a"], gain: good }, bytes(8))],
        ["metadata that is text", fileOf({ __metadata__: "a", gain: good }, bytes(8))],
        ["metadata with a number", fileOf({ __metadata__: { epoch: 3 }, gain: good }, bytes(8))],
        ["metadata with an object", fileOf({ __metadata__: { a: {} }, gain: good }, bytes(8))],
        ["metadata with null", fileOf({ __metadata__: { a: null }, gain: good }, bytes(8))],
        ["metadata twice", fileOf(`{"__metadata__":{},"__metadata__":{},${VALID.slice(1)}`, bytes(8))],
        ["a key of the metadata twice", fileOf(`{"__metadata__":{"a":"1","a":"1"},${VALID.slice(1)}`, bytes(8))],
        [
          "a tensor twice, once with an escape",
          fileOf(`${VALID.slice(0, -1)},${VALID.slice(1).replace("gain", "\\u0067ain")}`, bytes(8)),
        ],
        ["a dtype twice", fileOf(VALID.replace('"dtype"', '"dtype":"F32","dtype"'), bytes(8))],
        ["a shape twice", fileOf(VALID.replace('"shape"', '"shape":[2],"shape"'), bytes(8))],
        ["a field that the format does not have", fileOf(VALID.replace('"shape"', '"order":"C","shape"'), bytes(8))],
        ["a shape that overflows beside an axis of 0", fileOf({ gain: F32([2 ** 40, 2 ** 40, 0], [0, 0]) })],
        ["a shape of 33 axes", fileOf({ gain: F32([...Array(32).fill(1), 2], [0, 8]) }, bytes(8))],
        ["a number that is padded with zeros", fileOf(VALID.replace("[2]", "[02]"), bytes(8))],
        ["a number with a sign", fileOf(VALID.replace("[2]", "[+2]"), bytes(8))],
        ["a number with an exponent", fileOf(VALID.replace("[2]", "[2e0]"), bytes(8))],
        ["a number that is minus nothing", fileOf(VALID.replace("[0,8]", "[-0,8]"), bytes(8))],
        ["an integer of 400 digits", fileOf(VALID.replace("[2]", `[${"9".repeat(400)}]`), bytes(8))],
        ["a comma too many", fileOf(VALID.replace("[2]", "[2,]"), bytes(8))],
        ["a comma too many in the object", fileOf(`${VALID.slice(0, -1)},}`, bytes(8))],
        ["a comment", fileOf(`${VALID}/* */`, bytes(8))],
        ["a name in single quotes", fileOf(VALID.replaceAll('"', "'"), bytes(8))],
        ["a line break in a name", fileOf(VALID.replace("gain", "ga\nin"), bytes(8))],
        ["an escape that JSON has not", fileOf(VALID.replace("gain", "\\x67ain"), bytes(8))],
        ["half a character", fileOf(VALID.replace("gain", "\\ud800"), bytes(8))],
        ["an overlong encoding", fileOf(Buffer.from(VALID.replace("gain", "\xc0\x80"), "latin1"), bytes(8))],
        ["a surrogate in UTF-8", fileOf(Buffer.from(VALID.replace("gain", "\xed\xa0\x80"), "latin1"), bytes(8))],
        ["a string that the header cuts", fileOf('{"gain')],
        ["an escape that the header cuts", fileOf('{"gain\\')],
        ["half a byte of 4-bit floats", fileOf({ gain: F32([3], [0, 2], "F4") }, bytes(2))],
        ["a net's files joined", fileOf(VALID, Buffer.concat([bytes(8), fileOf(VALID, bytes(8))]))],
      ];

      const subject = () => {
        const layer = new Gain(engine(), 2);
        layer.gain.value.data.set([5, 6]);
        return layer;
      };

      it("and the file that they are made from is one", () => {
        const layer = subject();
        lg.load(layer, fileOf(VALID, bytes(8)));
        expect([...layer.gain.value.data]).toEqual([0, 0]);
      });

      test.each(HOSTILE)("%s", async (_name, file) => {
        const layer = subject();
        const before = stateBits(layer);
        const { used } = engine().memory;
        expectRefusal(await refusal(() => lg.load(layer, file)), lg.FormatError, /safetensors: ./);
        expect(stateBits(layer)).toEqual(before);
        expect(engine().memory.used).toBe(used);
      });

      it("a file cut anywhere", async () => {
        const net = makeNet();
        const file = lg.save(net);
        const before = stateBits(net);
        for (let length = 0; length < file.length; length++) {
          const error = await refusal(() => lg.load(net, file.subarray(0, length)));
          if (!(error instanceof lg.FormatError)) expect.fail(`cut to ${length} bytes: ${error}`);
        }
        expect(stateBits(net)).toEqual(before);
      });

      it("a file with any byte of its header changed is read or refused, never a crash", async () => {
        const layer = subject();
        const file = lg.save(layer);
        const end = 8 + Number(Buffer.from(file).readBigUInt64LE(0));
        for (let position = 0; position < end; position++) {
          for (const change of [0x01, 0x20, 0x80, 0xff]) {
            const broken = file.slice();
            broken[position] ^= change;
            const error = await refusal(() => lg.load(layer, broken));
            const isTyped = error === undefined || error instanceof lg.FormatError || error instanceof lg.StateError;
            if (!isTyped) expect.fail(`byte ${position} ^ ${change}: ${error}`);
          }
        }
      });
    });

    test.each(Object.entries(OTHER_FILES))("%s is said to be one", async (_name, { bytes, says }) => {
      const layer = new Gain(engine(), 2);
      expectRefusal(await refusal(() => lg.load(layer, bytes)), lg.FormatError, says);
    });

    it("gzip data and IDX files are said to be that", async () => {
      const layer = new Gain(engine(), 2);
      const file = lg.save(layer);
      // one that is so large that its first bytes pass for the length of a header
      const large = gzip(Uint8Array.from({ length: 2 ** 20 }, (_, i) => (i * i * 7919) >>> 8));
      for (const packed of [gzip(file), large, Buffer.concat([large, Buffer.alloc(2 ** 20)])]) {
        expectRefusal(await refusal(() => lg.load(layer, packed)), lg.FormatError, /got gzip data: unpack them first/);
      }
      const images = idxBytes([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
      expectRefusal(await refusal(() => lg.load(layer, images)), lg.FormatError, /got an IDX file: readIdx reads it/);
    });

    it.each(Object.keys(forms(new Uint8Array(0))))("takes %s", (form) => {
      const [from, to] = [makeNet(1), makeNet(2)];
      lg.load(to, wrong(forms(lg.save(from))[form]()));
      expect(valueBits(to)).toEqual(valueBits(from));
    });

    describe("other types are converted as PyTorch's load_state_dict does", () => {
      /** A layer of one parameter that was loaded from such a file. */
      const loaded = (dtype: string, count: number, data: Uint8Array): Float32Array => {
        const layer = new Named(engine(), "p", count);
        lg.load(layer, fileOf({ p: { dtype, shape: [count], data_offsets: [0, data.length] } }, data));
        return layer.parameters()[0].value.data.slice();
      };

      it("every F16, by its definition", () => {
        const halves = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);
        const values = loaded("F16", halves.length, new Uint8Array(halves.buffer));
        const words = bits(values);
        for (let half = 0; half < 2 ** 16; half++) {
          const sign = half >>> 15 === 1 ? -1 : 1;
          const exponent = (half >>> 10) & 31;
          const mantissa = half & 1023;
          if (exponent === 31 && mantissa !== 0) {
            // the sign and the payload stay
            expect(words[half]).toBe((((half & 0x8000) << 16) | 0x7f800000 | (mantissa << 13)) >>> 0);
            continue;
          }
          const finite = exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25);
          const expected = sign * (exponent === 31 ? Infinity : finite);
          if (!Object.is(values[half], expected)) expect.fail(`${half}: ${values[half]}, expected ${expected}`);
        }
      });

      it("every BF16: the upper half of a float32", () => {
        const halves = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);
        const words = bits(loaded("BF16", halves.length, new Uint8Array(halves.buffer)));
        expect(words).toEqual(Uint32Array.from(halves, (half) => (half << 16) >>> 0));
      });

      it("F64, rounded to the nearest float32, ties to even", () => {
        const given = Float64Array.of(
          ...[0, -0, 1 / 3, -Math.PI, 16777217, 16777219, 1e300, -1e300, 2 ** -149, 2 ** -150, 1.1 * 2 ** -150, 1e-320],
          ...[3.4028235677973366e38, 3.4028235677973362e38, Infinity, NaN],
        );
        const values = loaded("F64", given.length, new Uint8Array(given.buffer));
        const expected = [0, -0, 0.3333333432674408, -3.1415927410125732, 16777216, 16777220, Infinity, -Infinity];
        expected.push(2 ** -149, 0, 2 ** -149, 0, Infinity, 3.4028234663852886e38, Infinity, NaN);
        expect([...values]).toEqual(expected);
      });

      it.each(["BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "I16", "U16", "I32", "U32", "I64", "U64", "C64"])(
        "%s is no type of a parameter, and one of an unexpected tensor",
        async (dtype) => {
          const size = { BOOL: 1, C64: 8 }[dtype] ?? Number(/^.(\d+)/.exec(dtype)![1]) / 8;
          const header = { gain: { dtype, shape: [2], data_offsets: [0, 2 * size] } };
          const layer = new Gain(engine(), 2);
          const before = stateBits(layer);
          const error = await refusal(() => lg.load(layer, fileOf(header, new Uint8Array(2 * size))));
          expectRefusal(error, lg.StateError, new RegExp(`gain is ${dtype}, expected F32, F64, F16 or BF16`));
          const other = { ...header, gain: { dtype: "F32", shape: [2], data_offsets: [2 * size, 2 * size + 8] } };
          const file = fileOf({ ...other, other: header.gain }, new Uint8Array(2 * size + 8));
          expectRefusal(await refusal(() => lg.load(layer, file)), lg.StateError, /^load: other is unexpected$/);
          expect(stateBits(layer)).toEqual(before);
        },
      );
    });

    describe("not strict", () => {
      const trained = () =>
        new lg.Sequential({
          body: new lg.Linear(3, 4, { engine: engine() }),
          act: new lg.PReLU({ constraint: "exp", engine: engine() }),
          norm: new lg.BatchNorm1d(4, { engine: engine() }),
          head: new lg.Linear(4, 2, { engine: engine() }),
        });

      it("takes what fits by name and shape, and says what does not", () => {
        const from = trained();
        from.forward([
          [1, 2, 3],
          [4, 5, 7],
        ]);
        const to = new lg.Sequential({
          body: new lg.Linear(3, 4, { engine: engine() }),
          act: new lg.PReLU({ constraint: "square", engine: engine() }),
          norm: new lg.BatchNorm1d(4, { engine: engine() }),
          head: new lg.Linear(4, 5, { engine: engine() }),
          more: new lg.Linear(5, 5, { engine: engine(), bias: false }),
        });
        const before = stateBits(to);
        const result = lg.load(to, lg.save(from, { metadata: { epoch: "3" } }), { strict: false });
        expect(result).toEqual({
          metadata: { format: "pt", "constraint.act.weight": "exp", epoch: "3" },
          missing: ["act.weight", "head.weight", "head.bias", "more.weight"],
          unexpected: expect.arrayContaining(["act.weight", "head.weight", "head.bias"]),
        });
        expect(result.unexpected).toHaveLength(3);
        const [after, source] = [stateBits(to), stateBits(from)];
        for (const name of Object.keys(after)) {
          const isTaken = /^(body|norm)\.[^.]+$/.test(name);
          expect(after[name], name).toEqual(isTaken ? source[name] : before[name]);
        }
        expect([...to.stateDict()["norm.num_batches_tracked"].data]).toEqual([1]);
      });

      it("a file of nothing that fits changes nothing, and one that is none is refused all the same", async () => {
        const net = trained();
        const before = stateBits(net);
        const names = Object.keys(net.stateDict());
        expect(lg.load(net, fileOf({}), { strict: false })).toEqual({ metadata: {}, missing: names, unexpected: [] });
        const error = await refusal(() => lg.load(net, fileOf("{"), { strict: false }));
        expectRefusal(error, lg.FormatError, /safetensors/);
        expect(stateBits(net)).toEqual(before);
      });

      it("a file that fits leaves nothing, strict or not", () => {
        const metadata = { format: "pt", "constraint.act.weight": "exp" };
        for (const options of [undefined, {}, { strict: true }, { strict: false }]) {
          expect(lg.load(trained(), lg.save(trained()), options)).toEqual({ metadata, missing: [], unexpected: [] });
        }
      });
    });

    it("metadata of any text come back", () => {
      const metadata = Object.fromEntries([
        ["", ""],
        ["__proto__", "own"],
        ["7", "seven"],
        ["a key with spaces", 'quotes " and \\ and \n and \0'],
        ["日本", "ä\u{1f600}\u2028"],
        ["constraint", "not a prefix"],
        ["long", "x".repeat(1e5)],
      ]);
      const layer = new lg.ReLU({ engine: engine() });
      const file = lg.save(layer, { metadata });
      expect(readFile(file).metadata).toEqual({ format: "pt", ...JSON.parse(JSON.stringify(metadata)) });
      const { metadata: got } = lg.load(layer, file);
      expect(Object.entries(got).sort()).toEqual([["format", "pt"], ...Object.entries(metadata)].sort());
      expect(lg.save(layer, { metadata: undefined })).toEqual(lg.save(layer));
    });

    it("names and metadata that no reader would take are refused before they are written", async () => {
      const half = await refusal(() => lg.save(new Named(engine(), "a\ud800")));
      expectRefusal(half, lg.ArgumentError, /save: got .*half a character/);
      const text = await refusal(() => lg.save(new lg.ReLU({ engine: engine() }), { metadata: { a: "\udc00" } }));
      expectRefusal(text, lg.ArgumentError, /save: got .*half a character/);
      const much = { metadata: { a: "x".repeat(4e7) } };
      const long = await refusal(() => lg.save(new lg.ReLU({ engine: engine() }), much));
      expectRefusal(long, lg.ArgumentError, /save: got .* bytes, expected at most/);
    });

    describe("a count of batches", () => {
      const F32 = (start: number) => ({ dtype: "F32", shape: [1], data_offsets: [start, start + 4] });
      const rest = { weight: F32(0), bias: F32(4), running_mean: F32(8), running_var: F32(12) };
      const counted = () => {
        const layer = new lg.BatchNorm1d(1, { engine: engine() });
        layer.forward([[1], [2]]);
        return layer;
      };
      const countOf = (layer: lg.Layer) => integerOf(readFile(lg.save(layer)), "num_batches_tracked");

      it("that a file leaves out beside the statistics is 0", () => {
        for (const options of [undefined, { strict: false }]) {
          const layer = counted();
          expect(lg.load(layer, fileOf(rest, new Uint8Array(16)), options)).toEqual({
            metadata: {},
            missing: [],
            unexpected: [],
          });
          expect(countOf(layer)).toBe(0n);
        }
      });

      it("that a file leaves out with the statistics is missing, and stays", async () => {
        const { weight, bias } = rest;
        const file = fileOf({ weight, bias }, new Uint8Array(8));
        const layer = counted();
        const error = await refusal(() => lg.load(layer, file));
        expectRefusal(
          error,
          lg.StateError,
          /running_mean is missing; running_var is missing; num_batches_tracked is missing/,
        );
        const { missing } = lg.load(layer, file, { strict: false });
        expect(missing).toEqual(["running_mean", "running_var", "num_batches_tracked"]);
        expect(countOf(layer)).toBe(1n);
      });

      it("is 0 too where a state for loadStateDict leaves it out, inside a net also", async () => {
        const net = new lg.Sequential(counted());
        const { "0.num_batches_tracked": count, ...state } = net.stateDict();
        expect([...count.data]).toEqual([1]);
        net.loadStateDict(state);
        expect(countOf(net.layers[0])).toBe(0n);
        const { "0.running_mean": _, ...less } = state;
        const error = await refusal(() => net.loadStateDict(less));
        expectRefusal(error, lg.StateError, /0\.running_mean is missing; 0\.num_batches_tracked is missing/);
      });

      it.each<[string, number, (data: DataView) => void, bigint]>([
        ["U8", 1, (data) => data.setUint8(0, 200), 200n],
        ["I8", 1, (data) => data.setInt8(0, -3), -3n],
        ["U16", 2, (data) => data.setUint16(0, 65535, true), 65535n],
        ["I16", 2, (data) => data.setInt16(0, 300, true), 300n],
        ["U32", 4, (data) => data.setUint32(0, 4294967295, true), 4294967295n],
        ["I32", 4, (data) => data.setInt32(0, 70000, true), 70000n],
        ["U64", 8, (data) => data.setBigUint64(0, 2n ** 53n - 1n, true), 2n ** 53n - 1n],
        ["I64", 8, (data) => data.setBigInt64(0, 1n - 2n ** 53n, true), 1n - 2n ** 53n],
      ])("may be %s", (dtype, size, write, expected) => {
        const data = new Uint8Array(16 + size);
        write(new DataView(data.buffer, 16));
        const layer = counted();
        const entry = { dtype, shape: [], data_offsets: [16, 16 + size] };
        lg.load(layer, fileOf({ ...rest, num_batches_tracked: entry }, data));
        expect(countOf(layer)).toBe(expected);
      });

      it.each([2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)])("that cannot be kept, %d, is refused", async (value) => {
        const layer = counted();
        const file = withInteger(lg.save(layer), "num_batches_tracked", value);
        const error = await refusal(() => lg.load(layer, file));
        expectRefusal(error, lg.StateError, /num_batches_tracked is beyond what can be counted/);
        expect(countOf(layer)).toBe(1n);
      });
    });

    describe("a file that does not fit is one StateError that lists all, and nothing changes", () => {
      it("missing, unexpected, of another shape and type", async () => {
        const net = new lg.Sequential(new lg.Linear(2, 2, { engine: engine() }), new lg.PReLU({ engine: engine() }));
        const before = stateBits(net);
        const file = fileOf(
          {
            "0.weight": { dtype: "F32", shape: [4], data_offsets: [0, 16] },
            "1.weight": { dtype: "I64", shape: [1], data_offsets: [16, 24] },
            "2.weight": { dtype: "F32", shape: [], data_offsets: [24, 28] },
            "0.running_mean": { dtype: "F32", shape: [0], data_offsets: [28, 28] },
          },
          new Uint8Array(28),
        );
        const error = await refusal(() => lg.load(net, file));
        expectRefusal(error, lg.StateError, /^load: /);
        for (const part of [
          /0\.weight is \[4\], expected \[2, 2\]/,
          /0\.bias is missing/,
          /1\.weight is I64, expected F32/,
          /2\.weight is unexpected/,
          /0\.running_mean is unexpected/,
        ]) {
          expect((error as Error).message).toMatch(part);
        }
        expect(stateBits(net)).toEqual(before);
      });

      it("lists the first ten of many, and long or odd names as they can be read", async () => {
        const names = ["x".repeat(1e5), "\u001b[31m", "a b", ...Array.from({ length: 500 }, (_, i) => `surplus${i}`)];
        const header = names.map((name) => [name, { dtype: "F32", shape: [0], data_offsets: [0, 0] }]);
        const error = await refusal(() => lg.load(new Gain(engine(), 2), fileOf(Object.fromEntries(header))));
        expectRefusal(error, lg.StateError, /gain is missing; "x+\.\.\. \(100000 characters\)" is unexpected/);
        const { message } = error as Error;
        expect(message).toMatch(
          /"\\u001b\[31m" is unexpected; "a b" is unexpected; .*surplus5 is unexpected; and 494 more$/,
        );
        expect(message.length).toBeLessThan(1000);
      });

      it.each(["__proto__", "toString", "constructor"])("a surplus tensor called %s is unexpected", async (name) => {
        const layer = new Gain(engine(), 2);
        const before = stateBits(layer);
        const entry = (start: number) => `{"dtype":"F32","shape":[2],"data_offsets":[${start},${start + 8}]}`;
        const file = fileOf(`{"gain":${entry(0)},"${name}":${entry(8)}}`, new Uint8Array(16).fill(1));
        expectRefusal(await refusal(() => lg.load(layer, file)), lg.StateError, new RegExp(`${name} is unexpected`));
        expect(stateBits(layer)).toEqual(before);
        // instead of the right one: that is missing
        const only = fileOf(`{"${name}":${entry(0)}}`, new Uint8Array(8));
        expectRefusal(await refusal(() => lg.load(layer, only)), lg.StateError, /gain is missing.*unexpected/);
      });

      it("names are strict: a net and the same net nested", async () => {
        const make = () => new lg.Linear(2, 2, { engine: engine() });
        const [flat, net] = [make(), new lg.Sequential(make())];
        const error = await refusal(() => lg.load(net, lg.save(flat)));
        expectRefusal(error, lg.StateError, /0\.weight is missing.*0\.bias is missing.*weight is unexpected/);
      });
    });
  });
});
