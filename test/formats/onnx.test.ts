import { readFileSync } from "node:fs";
import fc from "fast-check";
import * as lg from "lanegrad";
import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import { nets, samples, trainALittle } from "../support/nets.js";

/** Read by another library than the one that writes. */
const Model = protobuf
  .parse(readFileSync(new URL("../../scripts/onnx.proto", import.meta.url), "utf8"), { keepCase: true })
  .root.lookupType("onnx.ModelProto");

interface Attribute {
  readonly name: string;
  readonly f?: number;
  readonly i?: number;
  readonly ints: number[];
}

interface Node {
  readonly name: string;
  readonly op_type: string;
  readonly input: string[];
  readonly output: string[];
  readonly attribute: Attribute[];
}

interface Value {
  readonly name: string;
  readonly type: { tensor_type: { elem_type: number; shape: { dim: { dim_value?: number; dim_param?: string }[] } } };
}

interface Graph {
  readonly node: Node[];
  readonly initializer: { name: string; dims: number[]; data_type: number; raw_data: Uint8Array }[];
  readonly input: Value[];
  readonly output: Value[];
}

interface ModelFile {
  readonly ir_version: number;
  /** No domain: ONNX's own. */
  readonly opset_import: { version: number }[];
  readonly graph: Graph;
}

const read = (bytes: Uint8Array): ModelFile =>
  Model.toObject(Model.decode(bytes), { longs: Number, arrays: true }) as unknown as ModelFile;

interface Doubles {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, length) => size * length, 1);
const floats = (bytes: Uint8Array): Float32Array => new Float32Array(bytes.slice().buffer);
const mapped = (x: Doubles, f: (value: number, i: number) => number): Doubles => ({ ...x, data: x.data.map(f) });
/** The channel of element i, on axis 1. */
const channelOf = ({ shape }: Doubles, i: number): number => Math.floor(i / sizeOf(shape.slice(2))) % shape[1];

/** Each operation as https://onnx.ai/onnx/operators describes it, in double precision. */
const OPERATIONS: Record<string, (inputs: Doubles[], attributes: Map<string, Attribute>) => Doubles> = {
  Identity: ([x]) => x,
  Gemm([x, w, b], attributes) {
    expect(attributes.get("transB")?.i).toBe(1);
    const [rows, n] = x.shape;
    const [k] = w.shape;
    const data = Float64Array.from({ length: rows * k }, (_, i) => {
      let sum = b?.data[i % k] ?? 0;
      for (let j = 0; j < n; j++) sum += x.data[Math.floor(i / k) * n + j] * w.data[(i % k) * n + j];
      return sum;
    });
    return { shape: [rows, k], data };
  },
  Conv: ([x, w, b], attributes) =>
    overWindows(x, w.shape[0], attributes, (o, visit) => {
      let sum = b?.data[o] ?? 0;
      visit((value, c, u, v, [kh, kw]) => {
        sum += value * w.data[((o * x.shape[1] + c) * kh + u) * kw + v];
      });
      return sum;
    }),
  MaxPool: ([x], attributes) =>
    overWindows(x, x.shape[1], attributes, (o, visit) => {
      let most = Number.NEGATIVE_INFINITY;
      visit((value, c) => {
        if (c === o) most = Math.max(most, value);
      });
      return most;
    }),
  PRelu([x, slope]) {
    const { shape } = slope;
    // from the last axis on, each of the slope's sizes is 1 or x's
    const tail = x.shape.slice(x.shape.length - shape.length);
    expect(shape.every((length, i) => length === 1 || length === tail[i])).toBe(true);
    const isShared = slope.data.length === 1;
    return mapped(x, (value, i) => (value < 0 ? value * slope.data[isShared ? 0 : channelOf(x, i)] : value));
  },
  Elu: ([x], attributes) => mapped(x, (value) => (value < 0 ? attributes.get("alpha")!.f! * Math.expm1(value) : value)),
  LeakyRelu: ([x], attributes) => mapped(x, (value) => (value < 0 ? attributes.get("alpha")!.f! * value : value)),
  Relu: ([x]) => mapped(x, (value) => Math.max(0, value)),
  BatchNormalization: ([x, scale, bias, mean, variance], attributes) =>
    mapped(x, (value, i) => {
      const c = channelOf(x, i);
      const deviation = (value - mean.data[c]) / Math.sqrt(variance.data[c] + attributes.get("epsilon")!.f!);
      return deviation * scale.data[c] + bias.data[c];
    }),
  Flatten([x], attributes) {
    expect(attributes.get("axis")?.i).toBe(1);
    return { shape: [x.shape[0], sizeOf(x.shape.slice(1))], data: x.data };
  },
};

type Visit = (see: (value: number, c: number, u: number, v: number, kernel: number[]) => void) => void;

function overWindows(
  { shape: [count, channels, height, width], data }: Doubles,
  outChannels: number,
  attributes: Map<string, Attribute>,
  outputAt: (o: number, visit: Visit) => number,
): Doubles {
  const [kernel, stride, pads] = ["kernel_shape", "strides", "pads"].map((name) => attributes.get(name)!.ints);
  const [rows, columns] = [height, width].map((side, i) =>
    Math.floor((side + pads[i] + pads[i + 2] - kernel[i]) / stride[i] + 1),
  );
  const results: number[] = [];
  for (let n = 0; n < count; n++) {
    for (let o = 0; o < outChannels; o++) {
      for (let place = 0; place < rows * columns; place++) {
        const top = Math.floor(place / columns) * stride[0] - pads[0];
        const left = (place % columns) * stride[1] - pads[1];
        const visit: Visit = (see) => {
          for (let at = 0; at < channels * kernel[0] * kernel[1]; at++) {
            const v = at % kernel[1];
            const u = Math.floor(at / kernel[1]) % kernel[0];
            const c = Math.floor(at / kernel[0] / kernel[1]);
            const [y, x] = [top + u, left + v];
            if (y < 0 || x < 0 || y >= height || x >= width) continue;
            see(data[((n * channels + c) * height + y) * width + x], c, u, v, kernel);
          }
        };
        results.push(outputAt(o, visit));
      }
    }
  }
  return { shape: [count, outChannels, rows, columns], data: Float64Array.from(results) };
}

/** Runs the graph, whose nodes have to be in an order in which they can run. */
function evaluate({ graph }: ModelFile, x: lg.Tensor): Doubles {
  const values = new Map<string, Doubles>([["input", { shape: x.shape, data: Float64Array.from(x.data) }]]);
  for (const { name, dims, data_type, raw_data } of graph.initializer) {
    expect(data_type).toBe(1);
    expect(values.has(name)).toBe(false);
    values.set(name, { shape: dims, data: Float64Array.from(floats(raw_data)) });
  }
  for (const { op_type, input, output, attribute } of graph.node) {
    const inputs = input.map((name) => values.get(name)!);
    expect(inputs).not.toContain(undefined);
    expect(values.has(output[0])).toBe(false);
    values.set(output[0], OPERATIONS[op_type](inputs, new Map(attribute.map((each) => [each.name, each]))));
  }
  return values.get("output")!;
}

const shapeOf = ({ type }: Value): (number | string)[] =>
  type.tensor_type.shape.dim.map(({ dim_value, dim_param }) => dim_param ?? dim_value!);

describe("toONNX", () => {
  test("random nets compute in the file what they compute here", () => {
    fc.assert(
      fc.property(nets, fc.integer({ min: 0, max: 4 }), (make, count) => {
        const sample = make();
        trainALittle(sample);
        const { net, inputShape } = sample;
        const file = read(lg.toONNX(net, { inputShape }));
        const x = samples(count, inputShape);
        const y = net.eval().forward(x);
        const output = evaluate(file, x);
        expect(output.shape).toEqual(y.shape);
        const scale = 1 + Math.max(...output.data.map(Math.abs), 0);
        const worst = y.data.reduce((most, value, i) => Math.max(most, Math.abs(value - output.data[i])), 0);
        expect(worst).toBeLessThan(2e-5 * scale);
        expect(shapeOf(file.graph.input[0])).toEqual(["N", ...inputShape]);
        expect(shapeOf(file.graph.output[0])).toEqual(["N", ...y.shape.slice(1)]);
        net.dispose();
      }),
      { numRuns: 60 },
    );
  });

  test("constants have the state's names, and slopes are those in effect", () => {
    const net = new lg.Sequential({
      body: new lg.Sequential(new lg.LinearPReLU(3, 2, { constraint: "exp", init: 0.5 })),
      norm: new lg.BatchNorm1d(2),
      head: new lg.Linear(2, 1),
    });
    const { graph, opset_import, ir_version } = read(lg.toONNX(net, { inputShape: [3] }));
    const state = Object.keys(net.stateDict()).filter((name) => !name.endsWith("num_batches_tracked"));
    expect(graph.initializer.map(({ name }) => name).sort()).toEqual(state.sort());
    const slope = graph.initializer.find(({ name }) => name === "body.0.slope")!;
    expect(floats(slope.raw_data)).toEqual(Float32Array.of(0.5, 0.5));
    expect(graph.node.map(({ op_type }) => op_type)).toEqual(["Gemm", "PRelu", "BatchNormalization", "Gemm"]);
    expect(opset_import).toEqual([{ version: 21 }]);
    expect(ir_version).toBe(10);
  });

  test("the net stays as it is: modes, statistics, what it remembers", () => {
    const net = new lg.Sequential(new lg.Linear(3, 2), new lg.BatchNorm1d(2));
    const y = net.forward(samples(4, [3]));
    const before = lg.save(net);
    lg.toONNX(net, { inputShape: [3] });
    expect(lg.save(net)).toEqual(before);
    expect(net.training).toBe(true);
    expect(net.backward(lg.defaultEngine().zeros(y.shape)).shape).toEqual([4, 3]);
  });

  test("a net that only passes on, and a layer by itself", () => {
    const x = samples(2, [3]);
    const through = read(lg.toONNX(new lg.Sequential(new lg.Dropout()), { inputShape: [3] }));
    expect(evaluate(through, x).data).toEqual(Float64Array.from(x.data));
    const alone = read(lg.toONNX(new lg.Linear(3, 2), { inputShape: [3] }));
    expect(alone.graph.initializer.map(({ name }) => name)).toEqual(["weight", "bias"]);
  });

  test("a value of 0 is written, too", () => {
    const net = new lg.Sequential(new lg.BatchNorm1d(2, { eps: 0 }), new lg.ELU({ alpha: 0 }));
    const nodes = read(lg.toONNX(net, { inputShape: [2] })).graph.node;
    expect(nodes.map(({ attribute }) => attribute[0].f)).toEqual([0, 0]);
  });

  class Doubled extends lg.Layer {
    forward(x: lg.Input): lg.Tensor {
      return (x as lg.Tensor).clone().add_(x as lg.Tensor);
    }
    backwardInput(dy: lg.Input): lg.Tensor {
      return this.forward(dy);
    }
  }
  class Other extends lg.Linear {}

  test.each([
    [
      "a layer of one's own",
      () => new lg.Sequential(new lg.Linear(2, 2), new Doubled()),
      { inputShape: [2] },
      lg.ArgumentError,
      /"1" is a Doubled/,
    ],
    ["a subclass", () => new Other(2, 2), { inputShape: [2] }, lg.ArgumentError, /the net is a/],
    ["another shape", () => new lg.Linear(2, 2), { inputShape: [3] }, lg.ShapeError, /expected \[N, 2\]/],
    ["less than a sample", () => new lg.Conv2d(1, 1, 1), { inputShape: [3, 3] }, lg.ShapeError, /less than one sample/],
    ["no shape", () => new lg.Linear(2, 2), {}, lg.ArgumentError, /inputShape: got undefined/],
    ["a scalar", () => new lg.Linear(2, 2), { inputShape: [] }, lg.ArgumentError, /integers >= 1/],
    ["no options", () => new lg.Linear(2, 2), undefined, lg.ArgumentError, /inputShape/],
    [
      "an unknown option",
      () => new lg.Linear(2, 2),
      { inputShape: [2], opset: 9 },
      lg.ArgumentError,
      /the options are inputShape/,
    ],
  ])("%s is refused", (_, make, options, type, message) => {
    const call = () => lg.toONNX(make(), options as lg.ToONNXOptions);
    expect(call).toThrow(type);
    expect(call).toThrow(message);
  });

  test("a net that was disposed is refused", () => {
    const net = new lg.Linear(2, 2);
    net.dispose();
    expect(() => lg.toONNX(net, { inputShape: [2] })).toThrow(lg.StateError);
  });
});
