import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as lg from "lanegrad";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bitExact, firstDifference, type Limit } from "../support/compare.js";
import { describeEngines } from "../support/engines.js";
import { Random } from "../support/random.js";
import { bits, nested, randomTensor } from "../support/state.js";

const here = fileURLToPath(new URL(".", import.meta.url));

/** The first Python here that has torch: Debian's may stand behind another one in the path. */
const python = ["python3", "/usr/bin/python3"].find((command) => {
  const asks = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)";
  return spawnSync(command, ["-c", asks]).status === 0;
});

/** What the script prints. */
async function script(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(python!, [join(here, "interchange.py"), ...args]);
  return stdout;
}

/** The same nets as in interchange.py, whose forward takes samples of this shape. */
const NETS: Record<string, { readonly sample: number[]; readonly make: (engine: lg.Engine) => lg.Sequential }> = {
  mlp: {
    sample: [5],
    make: (engine) =>
      new lg.Sequential(
        new lg.Linear(5, 7, { engine }),
        new lg.PReLU({ numParameters: 7, engine }),
        new lg.BatchNorm1d(7, { engine }),
        new lg.Linear(7, 6, { bias: false, engine }),
        new lg.ELU({ alpha: 0.7, engine }),
        new lg.Dropout(0.4, { engine }),
        new lg.Linear(6, 6, { engine }),
        new lg.LeakyReLU({ negativeSlope: 0.2, engine }),
        new lg.Linear(6, 3, { engine }),
      ),
  },
  cnn: {
    sample: [2, 9, 8],
    make: (engine) =>
      new lg.Sequential(
        new lg.Conv2d(2, 5, 3, { stride: 2, padding: 1, engine }),
        new lg.PReLU({ numParameters: 5, engine }),
        new lg.BatchNorm2d(5, { momentum: 0.3, engine }),
        new lg.MaxPool2d(3, { stride: 2, padding: 1, engine }),
        new lg.Conv2d(5, 4, [2, 1], { bias: false, engine }),
        new lg.BatchNorm2d(4, { eps: 1e-3, engine }),
        new lg.ELU({ engine }),
        new lg.Flatten({ engine }),
        new lg.Linear(16, 3, { engine }),
      ),
  },
  nested: {
    sample: [4],
    make: (engine) =>
      new lg.Sequential({
        body: new lg.Sequential(new lg.Linear(4, 6, { engine }), new lg.PReLU({ engine })),
        norm: new lg.BatchNorm1d(6, { engine }),
        head: new lg.Sequential({
          hidden: new lg.Linear(6, 5, { engine }),
          act: new lg.ReLU({ engine }),
          out: new lg.Linear(5, 2, { engine }),
        }),
      }),
  },
};
const VARIANTS = ["F32", "F64", "F16", "BF16", "mixed"];
const EDGES = ["F32", "F64", "F16", "BF16"];

const COUNT = /num_batches_tracked$/;

interface Samples {
  readonly shape: number[];
  readonly data: number[];
}

/** Base64 of the tensors' bytes, by name. */
type State = Record<string, string>;

interface Expected {
  readonly nets: Record<string, { x: Samples; files: Record<string, { state: State; y: number[] }> }>;
  readonly edges: Record<string, string>;
}

const bytesOf = (base64: string): ArrayBuffer => Uint8Array.from(Buffer.from(base64, "base64")).buffer;

const floatsOf = (base64: string): Float32Array => new Float32Array(bytesOf(base64));

/** y of a few layers in float32, against double precision. */
function close(want: readonly number[]): Limit {
  const scale = Math.max(...want.map(Math.abs));
  return (got, y) => Math.abs(got - y) <= 2 ** -20 * scale;
}

interface Header {
  readonly [name: string]: { dtype: string; shape: number[]; data_offsets: [number, number] };
}

/** A safetensors file by the specification alone. */
function split(file: Uint8Array): { header: Header; data: Uint8Array } {
  const length = Number(Buffer.from(file).readBigUInt64LE(0));
  const { __metadata__, ...header } = JSON.parse(Buffer.from(file.subarray(8, 8 + length)).toString());
  expect(__metadata__).toEqual({ format: "pt" });
  return { header, data: file.subarray(8 + length) };
}

/** The exact count: as a float32 it may be rounded. */
const count = (net: lg.Layer, name: string): bigint => {
  const { header, data } = split(lg.save(net));
  const [start] = header[name].data_offsets;
  return new DataView(data.buffer, data.byteOffset).getBigInt64(start, true);
};

/** Names, types and shapes, whatever their order. */
const described = (file: Uint8Array): Record<string, unknown> =>
  Object.fromEntries(Object.entries(split(file).header).map(([name, { dtype, shape }]) => [name, { dtype, shape }]));

/** What `write` made in this folder is read as PyTorch itself reads it. */
function reads(folder: () => string): void {
  const fileOf = (name: string): Uint8Array => readFileSync(join(folder(), `${name}.safetensors`));
  const expected = (): Expected => JSON.parse(readFileSync(join(folder(), "expected.json"), "utf8"));

  describe.each(Object.entries(NETS))("%s", (name, { make }) => {
    describeEngines((engine) => {
      it.each(VARIANTS)("from %s: the state to the bit, and forward's values", (variant) => {
        const { x, files } = expected().nets[name];
        const { state, y } = files[variant];
        const net = make(engine());
        expect(lg.load(net, fileOf(`${name}.${variant}`))).toMatchObject({ missing: [], unexpected: [] });
        const tensors = Object.entries(net.stateDict());
        expect(tensors.map(([key]) => key).sort()).toEqual(Object.keys(state).sort());
        for (const [key, { data }] of tensors) {
          if (COUNT.test(key)) expect(count(net, key), key).toBe(new BigInt64Array(bytesOf(state[key]))[0]);
          else expect(bits(data), key).toEqual(bits(floatsOf(state[key])));
        }
        const got = net.eval().forward(engine().tensor(x.data, x.shape));
        expect(firstDifference(got.data, y, close(y))).toBeUndefined();
        net.dispose();
      });

      it("what we write then is what PyTorch wrote: names, types, shapes and bits", () => {
        const file = fileOf(`${name}.F32`);
        const net = make(engine());
        lg.load(net, file);
        const ours = lg.save(net);
        expect(described(ours)).toEqual(described(file));
        const [got, want] = [split(ours), split(file)];
        for (const key of Object.keys(want.header)) {
          expect(got.data.subarray(...got.header[key].data_offsets), key).toEqual(
            new Uint8Array(want.data.subarray(...want.header[key].data_offsets)),
          );
        }
        net.dispose();
      });
    });
  });

  it.each(EDGES)("the edges of %s become float32 as PyTorch rounds them", (dtype) => {
    const want = floatsOf(expected().edges[dtype]);
    const layer = new lg.Linear(want.length, 1, { bias: false });
    lg.load(layer, fileOf(`edges.${dtype}`));
    expect(firstDifference(layer.weight.value.data, want, bitExact)).toBeUndefined();
    layer.dispose();
  });
}

describe("files of PyTorch 1.13", () => reads(() => join(here, "fixtures")));

describe.skipIf(python === undefined)("with PyTorch (skipped where no python3 has torch)", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "lanegrad-pytorch-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  describe("files that it writes now", () => {
    const theirs = (): string => join(folder, "theirs");
    beforeAll(() => script("write", theirs(), "--seed", "2"));
    reads(theirs);
  });

  /** Slopes, statistics and counts as training leaves them. */
  function trained(name: string, engine: lg.Engine): lg.Sequential {
    const { sample, make } = NETS[name];
    const net = make(engine);
    const optimizer = new lg.SGD(net.parameters(), { lr: 0.1, momentum: 0.9 });
    for (let step = 0; step < 5; step++) {
      const y = net.forward(randomTensor(engine, [8, ...sample], step));
      net.zeroGrad();
      net.backwardParams(lg.mseLoss(y, nested(randomTensor(engine, [...y.shape], 100 + step))).grad);
      optimizer.step();
    }
    return net;
  }

  it("PyTorch reads ours strictly, to the bit, and its forward gives our values", async () => {
    const engine = lg.createEngine();
    const nets = Object.keys(NETS).map((name) => [name, trained(name, engine)] as const);
    const samples: Record<string, Samples> = {};
    for (const [name, net] of nets) {
      const shape = [5, ...NETS[name].sample];
      const size = shape.reduce((product, length) => product * length);
      samples[name] = { shape, data: [...new Random(7).values(size, -2, 2)] };
      writeFileSync(join(folder, `${name}.safetensors`), lg.save(net));
    }
    writeFileSync(join(folder, "inputs.json"), JSON.stringify(samples));
    const answer = JSON.parse(await script("read", folder));
    for (const [name, net] of nets) {
      const { state, counts, y } = answer[name];
      const floats = Object.entries(net.stateDict()).filter(([key]) => !COUNT.test(key));
      expect(Object.keys(state).sort()).toEqual(floats.map(([key]) => key).sort());
      for (const [key, { data }] of floats) expect(bits(floatsOf(state[key])), `${name}: ${key}`).toEqual(bits(data));
      expect(Object.keys(counts)).toEqual(Object.keys(net.stateDict()).filter((key) => COUNT.test(key)));
      expect(new Set(Object.values(counts))).toEqual(new Set([5]));
      const { shape, data } = samples[name];
      const got = net.eval().forward(engine.tensor(data, shape));
      expect(firstDifference(got.data, y, close(y)), name).toBeUndefined();
    }
    engine.dispose();
  });
});
