import { isDeepStrictEqual } from "node:util";
import * as lg from "lanegrad";
import { beforeAll, describe, expect, it } from "vitest";
import { describeEngines } from "./support/engines.js";
import { bits, expectRefusal, randomTensor, refusal, stateBits, valueBits, wrong } from "./support/state.js";

/**
 * Layers, a net, optimizers and tensors in the middle of training: every layer has run forward and backward, so that gradients
 * are not zero and a forward is remembered. On engines of its own, so that a row cannot disturb another.
 */
class Scene {
  readonly engine: lg.Engine;
  readonly other = lg.createEngine({ kernels: "js" });
  readonly linear: lg.Linear;
  readonly fused: lg.LinearPReLU;
  readonly prelu: lg.PReLU;
  readonly relu: lg.ReLU;
  readonly net: lg.Sequential;
  readonly reluFirst: lg.Sequential;
  readonly conv: lg.Conv2d;
  readonly norm1d: lg.BatchNorm1d;
  readonly norm2d: lg.BatchNorm2d;
  readonly pool: lg.MaxPool2d;
  readonly flatten: lg.Flatten;
  readonly dropout: lg.Dropout;
  readonly cnn: lg.Sequential;
  readonly sgd: lg.SGD;
  readonly adam: lg.Adam;
  readonly x: lg.Tensor;
  readonly a: lg.Tensor;
  readonly b: lg.Tensor;
  readonly foreign: lg.Tensor;
  /** [2, 3, 4, 5], for the layers of images, and the same shape on another engine. */
  readonly images: lg.Tensor;
  readonly foreignImages: lg.Tensor;
  readonly #inputs: Map<lg.Layer, lg.Tensor>;
  readonly #outputShapes: (readonly number[])[];

  constructor(kernels: lg.Engine["kernels"]) {
    const engine = lg.createEngine({ kernels, seed: 5 });
    this.engine = engine;
    this.linear = new lg.Linear(4, 3, { engine });
    this.fused = new lg.LinearPReLU(4, 3, { engine });
    this.prelu = new lg.PReLU({ numParameters: 4, engine });
    this.relu = new lg.ReLU({ engine });
    this.net = new lg.Sequential(
      new lg.Linear(4, 3, { engine }),
      new lg.PReLU({ numParameters: 3, engine }),
      new lg.LinearPReLU(3, 2, { engine }),
    );
    this.reluFirst = new lg.Sequential(new lg.ReLU({ engine }), new lg.Linear(4, 3, { engine }));
    this.conv = new lg.Conv2d(3, 2, [3, 2], { padding: [1, 0], engine });
    this.norm1d = new lg.BatchNorm1d(4, { engine });
    this.norm2d = new lg.BatchNorm2d(3, { engine });
    this.pool = new lg.MaxPool2d(2, { engine });
    this.flatten = new lg.Flatten({ engine });
    this.dropout = new lg.Dropout(0.5, { engine });
    // normalises before it can know whether the last layer takes the plane
    this.cnn = new lg.Sequential(
      new lg.BatchNorm2d(3, { engine }),
      new lg.Conv2d(3, 2, 3, { padding: 1, engine }),
      new lg.PReLU({ numParameters: 2, engine }),
      new lg.Dropout(0.25, { engine }),
      new lg.MaxPool2d(2, { engine }),
      new lg.Flatten({ engine }),
      new lg.Linear(8, 2, { engine }),
    );
    this.sgd = new lg.SGD(this.linear.parameters(), { lr: 0.1, momentum: 0.9 });
    this.adam = new lg.Adam(this.net.parameters());
    this.x = randomTensor(engine, [2, 4], 1);
    this.a = randomTensor(engine, [2, 3], 2);
    this.b = randomTensor(engine, [3, 2], 3);
    this.foreign = randomTensor(this.other, [2, 4], 4);
    this.images = randomTensor(engine, [2, 3, 4, 5], 6);
    this.foreignImages = randomTensor(this.other, [2, 3, 4, 5], 7);
    const dense = [this.linear, this.fused, this.prelu, this.relu, this.net, this.reluFirst, this.norm1d];
    const spatial = [this.conv, this.norm2d, this.pool, this.flatten, this.dropout, this.cnn];
    this.#inputs = new Map<lg.Layer, lg.Tensor>([
      ...dense.map((layer) => [layer, this.x] as const),
      ...spatial.map((layer) => [layer, this.images] as const),
    ]);
    const send = (): (readonly number[])[] =>
      [...this.#inputs].map(([layer, x]) => {
        const y = layer.forward(x);
        layer.backward(y);
        return y.shape;
      });
    send();
    lg.crossEntropy(this.net.forward(this.x), [0, 1]);
    this.sgd.step();
    this.adam.step();
    this.#outputShapes = send();
  }

  /** Bytes in use on every engine that a call may reach. */
  memory(): number[] {
    return [this.engine, this.other, lg.defaultEngine()].map(({ memory }) => memory.used);
  }

  /** Parameters, gradients and tensors, then what the remembered forwards, the optimizers and the generator give from here. */
  witness(): unknown {
    const { engine, x, a, b, foreign, images, foreignImages } = this;
    const layers = [...this.#inputs.keys()];
    const states = layers.map(stateBits);
    const tensors = [x, a, b, foreign, images, foreignImages].map(({ data }) => bits(data));
    const modes = layers.map(({ training }) => training);
    const rates = [this.sgd, this.adam].map(({ lr, groups }) => [lr, groups.length]);
    const messages = layers.map((layer, i) => {
      const dy = randomTensor(engine, [...this.#outputShapes[i]], 9);
      return bits(layer.backward(dy).data);
    });
    const after = layers.map(stateBits);
    this.sgd.step();
    this.adam.step();
    const trained = layers.map(valueBits);
    const draws = valueBits(new lg.Linear(2, 2, { engine }));
    return { states, tensors, modes, rates, messages, after, trained, draws };
  }

  dispose(): void {
    this.engine.dispose();
    this.other.dispose();
  }
}

interface Row {
  readonly name: string;
  readonly call: (scene: Scene) => unknown;
  readonly error: new (message: string) => lg.LanegradError;
  readonly message: RegExp;
}

const row = (name: string, error: Row["error"], message: RegExp, call: Row["call"]): Row => ({
  name,
  call,
  error,
  message,
});

const { ArgumentError, EngineError, FormatError, MemoryError, ShapeError, StateError } = lg;

/** Sizes are integers >= 1; each of these is none, and the message shows it. */
const NO_SIZES: [unknown, string][] = [
  [0, "0"],
  [-3, "-3"],
  [1.5, "1\\.5"],
  [Number.NaN, "NaN"],
  [Number.POSITIVE_INFINITY, "Infinity"],
  ["4", '"4"'],
  [null, "null"],
  [4n, "4n"],
];

const sizeRows = (what: string, pattern: string, call: (scene: Scene, size: never) => unknown): Row[] =>
  NO_SIZES.map(([size, shown]) =>
    row(`${what} ${shown.replaceAll("\\", "")}`, ArgumentError, new RegExp(`${pattern}.*got ${shown}, expected`), (s) =>
      call(s, wrong(size)),
    ),
  );

const constructors: Row[] = [
  ...sizeRows("Linear inFeatures", "Linear: inFeatures", ({ engine }, n) => new lg.Linear(n, 3, { engine })),
  ...sizeRows("Linear outFeatures", "Linear: outFeatures", ({ engine }, k) => new lg.Linear(4, k, { engine })),
  ...sizeRows(
    "LinearPReLU inFeatures",
    "LinearPReLU: inFeatures",
    ({ engine }, n) => new lg.LinearPReLU(n, 3, { engine }),
  ),
  ...sizeRows(
    "LinearPReLU outFeatures",
    "LinearPReLU: outFeatures",
    ({ engine }, k) => new lg.LinearPReLU(4, k, { engine }),
  ),
  ...sizeRows(
    "PReLU numParameters",
    "PReLU: numParameters",
    ({ engine }, numParameters) => new lg.PReLU({ numParameters, engine }),
  ),
  ...sizeRows(
    "LinearPReLU numParameters",
    "LinearPReLU: numParameters",
    ({ engine }, numParameters) => new lg.LinearPReLU(4, 3, { numParameters, engine }),
  ),
  row(
    "LinearPReLU numParameters neither 1 nor K",
    ArgumentError,
    /LinearPReLU: numParameters: got 2, expected 1 or 3/,
    ({ engine }) => new lg.LinearPReLU(4, 3, { numParameters: 2, engine }),
  ),
  row("Linear without sizes", ArgumentError, /inFeatures: got undefined, expected an integer >= 1/, () =>
    Reflect.construct(lg.Linear, []),
  ),
  row(
    "Linear bias of another type",
    ArgumentError,
    /Linear: bias: got 1, expected true or false/,
    ({ engine }) => new lg.Linear(4, 3, { bias: wrong(1), engine }),
  ),
  row(
    "Linear bias null: only undefined is the default",
    ArgumentError,
    /Linear: bias: got null, expected true or false/,
    ({ engine }) => new lg.Linear(4, 3, { bias: wrong(null), engine }),
  ),
  row(
    "LinearPReLU bias null: only undefined is the default",
    ArgumentError,
    /LinearPReLU: bias: got null, expected true or false/,
    ({ engine }) => new lg.LinearPReLU(4, 3, { bias: wrong(null), engine }),
  ),
  row(
    "LinearPReLU bias of another type",
    ArgumentError,
    /LinearPReLU: bias: got "no", expected true or false/,
    ({ engine }) => new lg.LinearPReLU(4, 3, { bias: wrong("no"), engine }),
  ),
  row(
    "PReLU init NaN",
    ArgumentError,
    /PReLU: init: got NaN, expected a finite number/,
    ({ engine }) => new lg.PReLU({ init: Number.NaN, engine }),
  ),
  row(
    "LinearPReLU init of another type",
    ArgumentError,
    /LinearPReLU: init: got "0\.25", expected a finite number/,
    ({ engine }) => new lg.LinearPReLU(4, 3, { init: wrong("0.25"), engine }),
  ),
  row(
    "options that are none",
    ArgumentError,
    /Linear: got false, expected an object of options/,
    () => new lg.Linear(4, 3, wrong(false)),
  ),
  row(
    "ReLU options that are none",
    ArgumentError,
    /ReLU: got 0\.01, expected an object of options/,
    () => new lg.ReLU(wrong(0.01)),
  ),
  row(
    "PReLU by a number, as PyTorch takes it",
    ArgumentError,
    /PReLU: got 3, expected an object of options/,
    () => new lg.PReLU(wrong(3)),
  ),
  row("an engine that is none", ArgumentError, /engine: got an object \(Object\), expected an Engine/, () =>
    Reflect.construct(lg.Linear, [4, 3, { engine: {} }]),
  ),
  row("an engine null", ArgumentError, /engine: got null, expected an Engine/, () =>
    Reflect.construct(lg.PReLU, [{ engine: null }]),
  ),
  row("a disposed engine", EngineError, /engine was disposed/, () => {
    const engine = lg.createEngine({ kernels: "js" });
    engine.dispose();
    return new lg.Linear(4, 3, { engine });
  }),
  row(
    "a layer that does not fit the memory",
    MemoryError,
    /\d+ bytes were asked for, \d+ are in use, \d+ are allowed/,
    ({ engine }) => new lg.Linear(2 ** 15, 2 ** 15, { engine }),
  ),
  row(
    "Sequential of nothing",
    ArgumentError,
    /Sequential: got no layers, expected at least one/,
    () => new lg.Sequential(),
  ),
  row(
    "Sequential of no names",
    ArgumentError,
    /Sequential: got no layers, expected at least one/,
    () => new lg.Sequential({}),
  ),
  row(
    "Sequential of what is no layer",
    ArgumentError,
    /Sequential: 1: got function relu, expected a Layer/,
    ({ engine }) =>
      new lg.Sequential(
        new lg.ReLU({ engine }),
        wrong(function relu() {}),
      ),
  ),
  row(
    "Sequential of null",
    ArgumentError,
    /Sequential: 0: got null, expected a Layer/,
    () => new lg.Sequential(wrong(null)),
  ),
  row(
    "Sequential with a name of no layer",
    ArgumentError,
    /Sequential: act: got undefined, expected a Layer/,
    () => new lg.Sequential(wrong({ act: undefined })),
  ),
  row(
    "Sequential with a dot in a name",
    ArgumentError,
    /Sequential: got the name "a\.b", expected .* no dot/,
    ({ relu }) => new lg.Sequential({ "a.b": relu }),
  ),
  row(
    "Sequential with an empty name",
    ArgumentError,
    /Sequential: got the name "", expected .* not empty/,
    ({ relu }) => new lg.Sequential({ "": relu }),
  ),
  row(
    "the same layer twice",
    StateError,
    /ReLU\(\) is in the net twice/,
    ({ relu, linear }) => new lg.Sequential(relu, linear, relu),
  ),
  row(
    "the same layer twice, once nested",
    StateError,
    /Linear\(4, 3\) is in the net twice/,
    ({ linear, prelu }) => new lg.Sequential(new lg.Sequential(prelu, linear), linear),
  ),
  row(
    "layers of two engines",
    EngineError,
    /Sequential: got layers of different engines, expected one/,
    ({ linear, other }) => new lg.Sequential(linear, new lg.ReLU({ engine: other })),
  ),
];

const engines: Row[] = [
  row("unknown kernels", ArgumentError, /kernels: got "avx", expected "auto" or "relaxed-simd" or "simd" or "js"/, () =>
    lg.createEngine({ kernels: wrong("avx") }),
  ),
  row("kernels null", ArgumentError, /kernels: got null, expected "auto"/, () =>
    lg.createEngine({ kernels: wrong(null) }),
  ),
  ...sizeRows("threads", "createEngine: threads", (_, threads) => lg.createEngine({ threads })),
  ...sizeRows("maximumMemory", "createEngine: maximumMemory", (_, maximumMemory) => lg.createEngine({ maximumMemory })),
  row("more memory than there are addresses", ArgumentError, /maximumMemory: got 4294967297, expected at most/, () =>
    lg.createEngine({ maximumMemory: 2 ** 32 + 1 }),
  ),
  row("memory for nothing", MemoryError, /maximumMemory: got 1000 bytes, expected more than \d+/, () =>
    lg.createEngine({ maximumMemory: 1000 }),
  ),
  row("wide of another type", ArgumentError, /wide: got "yes", expected true or false/, () =>
    lg.createEngine({ wide: wrong("yes") }),
  ),
  row("a seed with a fraction", ArgumentError, /seed: got 0\.5, expected a safe integer/, () =>
    lg.createEngine({ seed: 0.5 }),
  ),
  row("a seed beyond the safe integers", ArgumentError, /seed: got 9007199254740992, expected a safe integer/, () =>
    lg.createEngine({ seed: 2 ** 53 }),
  ),
  row("a module that is none", ArgumentError, /module: got a Uint8Array, expected a WebAssembly\.Module/, () =>
    lg.createEngine({ module: wrong(new Uint8Array(8)) }),
  ),
  row("a module of something else", EngineError, /createEngine: .*(module|kernels)/, () => {
    const empty = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    return lg.createEngine({ kernels: "simd", module: empty });
  }),
  row("options that are none", ArgumentError, /createEngine: got "simd", expected an object of options/, () =>
    lg.createEngine(wrong("simd")),
  ),
  row("warm-up of a disposed engine", EngineError, /engine was disposed/, () => {
    const engine = lg.createEngine({ kernels: "js" });
    engine.dispose();
    engine.warmUp();
  }),
];

const tensors: Row[] = [
  row("tensor of nothing", ArgumentError, /tensor: got undefined, expected a Float32Array or .*arrays/, ({ engine }) =>
    engine.tensor(wrong(undefined)),
  ),
  row("tensor of a string", ArgumentError, /tensor: got "123", expected/, ({ engine }) => engine.tensor(wrong("123"))),
  row("tensor of another typed array", ArgumentError, /tensor: got an Int16Array, expected a Float32Array/, (s) =>
    s.engine.tensor(wrong(new Int16Array(2))),
  ),
  row("tensor of strings", ArgumentError, /tensor: got "1" as a value, expected numbers/, ({ engine }) =>
    engine.tensor(wrong([["1", "2"]])),
  ),
  row("tensor of holes", ArgumentError, /tensor: got undefined as a value, expected numbers/, ({ engine }) =>
    engine.tensor(wrong(new Array(3))),
  ),
  row("tensor of big integers", ArgumentError, /tensor: got 2n as a value, expected numbers/, ({ engine }) =>
    engine.tensor(wrong([1, 2n])),
  ),
  row("ragged tensor", ShapeError, /tensor: got ragged arrays, expected \[2, 2\]/, ({ engine }) =>
    engine.tensor([[1, 2], [3]]),
  ),
  row("tensor with a number among rows", ShapeError, /tensor: got ragged arrays, expected \[2\]/, ({ engine }) =>
    engine.tensor([1, [2]]),
  ),
  row("tensor of too few values", ShapeError, /tensor: got data of shape \[3\], expected \[2, 2\]/, ({ engine }) =>
    engine.tensor(new Float32Array(3), [2, 2]),
  ),
  row("tensor of rows in another shape", ShapeError, /shape \[2, 2\], expected \[4\] or 4 values/, ({ engine }) =>
    engine.tensor(
      [
        [1, 2],
        [3, 4],
      ],
      [4],
    ),
  ),
  row("a size of -1", ShapeError, /tensor: got the shape \[2, -1\], expected integers >= 0/, ({ engine }) =>
    engine.tensor(new Float32Array(4), [2, -1]),
  ),
  row("a shape that is none", ArgumentError, /zeros: got 4 as a shape, expected an array of sizes/, ({ engine }) =>
    engine.zeros(wrong(4)),
  ),
  row("a fraction as a size", ShapeError, /zeros: got the shape \[1\.5\], expected integers >= 0/, ({ engine }) =>
    engine.zeros([1.5]),
  ),
  row("more zeros than fit", MemoryError, /\d+ bytes were asked for, \d+ are in use, \d+ are allowed/, ({ engine }) =>
    engine.zeros([2 ** 30]),
  ),
  row("more zeros than there are addresses", MemoryError, /bytes were asked for/, ({ engine }) =>
    engine.zeros([2 ** 31, 2 ** 31]),
  ),
  row("reshape to another size", ShapeError, /reshape: got \[3, 3\] \(9 values\), expected 8 values .*\[2, 4\]/, (s) =>
    s.x.reshape([3, 3]),
  ),
  row("reshape with -1", ShapeError, /reshape: got the shape \[-1, 2\], expected integers >= 0/, ({ x }) =>
    x.reshape([-1, 2]),
  ),
  row("reshape to nothing", ArgumentError, /reshape: got undefined as a shape, expected/, ({ x }) =>
    x.reshape(wrong(undefined)),
  ),
  row("fill_ with a string", ArgumentError, /fill_: got "0", expected a number/, ({ x }) => x.fill_(wrong("0"))),
  row("fill_ with nothing", ArgumentError, /fill_: got undefined, expected a number/, ({ x }) =>
    x.fill_(wrong(undefined)),
  ),
  row("add_ of a number", ArgumentError, /add_: got 1, expected a Tensor/, ({ x }) => x.add_(wrong(1))),
  row("add_ of another shape", ShapeError, /add_: got \[2, 3\], expected \[2, 4\]/, ({ x, a }) => x.add_(a)),
  row("add_ of as many values in another shape", ShapeError, /add_: got \[8\], expected \[2, 4\]/, ({ x }) => {
    using flat = x.reshape([8]);
    x.add_(flat);
  }),
  row("add_ with a scale of another type", ArgumentError, /add_: scale: got null, expected a number/, ({ x }) =>
    x.add_(x, wrong(null)),
  ),
  row("add_ over two engines", EngineError, /add_: got a tensor of another engine/, ({ x, foreign }) =>
    x.add_(foreign),
  ),
  row("add_ of a disposed tensor", StateError, /tensor \[2, 4\] was disposed/, ({ engine, x }) => {
    const gone = engine.zeros([2, 4]);
    gone.dispose();
    x.add_(gone);
  }),
  row("disposing a parameter", StateError, /\[3, 4\] belongs to a layer; dispose the layer/, ({ linear }) =>
    linear.weight.value.dispose(),
  ),
];

const products: Row[] = [
  row("matmul of arrays", ArgumentError, /matmul: a: got \[\[1\]\], expected a Tensor/, ({ b }) =>
    lg.matmul(wrong([[1]]), b),
  ),
  row("matmul without b", ArgumentError, /matmul: b: got undefined, expected a Tensor/, ({ a }) =>
    lg.matmul(a, wrong(undefined)),
  ),
  row("matmul of sizes that differ", ShapeError, /got \[2, 3\] by \[2, 4\]: the inner sizes 3 and 2 differ/, (s) =>
    lg.matmul(s.a, s.x),
  ),
  row("matmul of a transpose that differs", ShapeError, /\[2, 3\] by \[3, 2\] transposed: .* 3 and 2 differ/, (s) =>
    lg.matmul(s.a, s.b, { transposeB: true }),
  ),
  row("matmul of a vector", ShapeError, /matmul: b: got \[8\], expected two axes/, ({ a, x }) => {
    using flat = x.reshape([8]);
    return lg.matmul(a, flat);
  }),
  row("matmul into another shape", ShapeError, /matmul: out: got \[2, 4\], expected \[2, 2\]/, ({ a, b, x }) =>
    lg.matmul(a, b, { out: x }),
  ),
  row("matmul into its operand", ArgumentError, /out: got a tensor that shares memory with a or b/, ({ engine }) => {
    using square = engine.zeros([2, 2]);
    return lg.matmul(square, square, { out: square });
  }),
  row("matmul into what is no tensor", ArgumentError, /matmul: out: got a Float32Array, expected a Tensor/, (s) =>
    lg.matmul(s.a, s.b, { out: wrong(new Float32Array(4)) }),
  ),
  row("matmul adding to nothing", ArgumentError, /accumulate: got no out to add to/, ({ a, b }) =>
    lg.matmul(a, b, { accumulate: true }),
  ),
  row("matmul with an option of another type", ArgumentError, /transposeA: got 1, expected true or false/, (s) =>
    lg.matmul(s.a, s.b, { transposeA: wrong(1) }),
  ),
  row("matmul over two engines", EngineError, /matmul: got a tensor of another engine/, ({ a, foreign }) =>
    lg.matmul(a, foreign),
  ),
  row("matmul into another engine", EngineError, /matmul: got a tensor of another engine/, ({ a, b, other }) => {
    using out = other.zeros([2, 2]);
    return lg.matmul(a, b, { out });
  }),
];

const forwards: Row[] = [
  row(
    "Linear of another width",
    ShapeError,
    /^Linear\(4, 3\): forward got \[2, 3\], expected \[N, 4\] or \[4\]$/,
    (s) => s.linear.forward(s.a),
  ),
  row(
    "LinearPReLU of another width",
    ShapeError,
    /^LinearPReLU\(4, 3\): forward got \[2, 3\], expected \[N, 4\] or \[4\]$/,
    ({ fused, a }) => fused.forward(a),
  ),
  row("a sample of another width", ShapeError, /forward got \[3\], expected \[N, 4\] or \[4\]/, ({ linear }) =>
    linear.forward([1, 2, 3]),
  ),
  row("three axes", ShapeError, /forward got \[1, 2, 4\], expected \[N, 4\] or \[4\]/, ({ linear, x }) => {
    using cube = x.reshape([1, 2, 4]);
    return linear.forward(cube);
  }),
  row("no axes", ShapeError, /forward got \[\], expected \[N, 4\] or \[4\]/, ({ linear, engine }) => {
    using scalar = engine.tensor(1);
    return linear.forward(scalar);
  }),
  row("a Float32Array of another length", ShapeError, /forward got 7 values, expected a multiple of 4/, ({ linear }) =>
    linear.forward(new Float32Array(7)),
  ),
  row("a Float32Array for PReLU", ShapeError, /PReLU.*Float32Array of 8.*engine\.tensor\(data, shape\)/, ({ prelu }) =>
    prelu.forward(new Float32Array(8)),
  ),
  row("a Float32Array for ReLU", ShapeError, /ReLU.*Float32Array of 8.*engine\.tensor\(data, shape\)/, ({ relu }) =>
    relu.forward(new Float32Array(8)),
  ),
  row(
    "PReLU of other channels",
    ShapeError,
    /PReLU\(4\): forward got \[2, 3\], expected \[N, 4, \.\.\.\] or \[4\]/,
    (s) => s.prelu.forward(s.a),
  ),
  row("PReLU of a sample of other channels", ShapeError, /PReLU\(4\): forward got \[3\], expected/, ({ prelu }) =>
    prelu.forward([1, 2, 3]),
  ),
  row("PReLU of no axes", ShapeError, /PReLU\(4\): forward got \[\], expected/, ({ prelu, engine }) => {
    using scalar = engine.tensor(1);
    return prelu.forward(scalar);
  }),
  row("ragged rows", ShapeError, /Linear\(4, 3\): forward: got ragged arrays, expected \[2, 4\]|ragged/, ({ linear }) =>
    linear.forward([
      [1, 2, 3, 4],
      [1, 2, 3],
    ]),
  ),
  row("words", ArgumentError, /Linear\(4, 3\): forward.*got "a" as a value, expected numbers/, ({ linear }) =>
    linear.forward(wrong([["a", 1, 2, 3]])),
  ),
  row("nothing", ArgumentError, /Linear\(4, 3\): forward got undefined, expected a Tensor/, ({ linear }) =>
    linear.forward(wrong(undefined)),
  ),
  row("null", ArgumentError, /ReLU\(\): forward got null, expected a Tensor/, ({ relu }) => relu.forward(wrong(null))),
  row("a number", ArgumentError, /forward got 1, expected a Tensor/, ({ linear }) => linear.forward(wrong(1))),
  row("integers", ArgumentError, /forward got an Int32Array, expected a Tensor/, ({ linear }) =>
    linear.forward(wrong(new Int32Array(4))),
  ),
  row("a promise", ArgumentError, /forward got an object \(Promise\), expected a Tensor/, ({ linear }) =>
    linear.forward(wrong(Promise.resolve())),
  ),
  row(
    "a tensor of another engine",
    EngineError,
    /Linear\(4, 3\): forward: got a tensor of another engine|another engine/,
    (s) => s.linear.forward(s.foreign),
  ),
  row("a disposed tensor", StateError, /tensor \[2, 4\] was disposed/, ({ linear, engine }) => {
    const gone = engine.zeros([2, 4]);
    gone.dispose();
    linear.forward(gone);
  }),
  row("a net's first layer", ShapeError, /^Linear\(4, 3\): forward got \[2, 3\], expected \[N, 4\] or \[4\]/, (s) =>
    s.net.forward(s.a),
  ),
  row("a net's Float32Array", ShapeError, /^Linear\(4, 3\): forward got 6 values, expected a multiple of 4/, (s) =>
    s.net.forward(new Float32Array(6)),
  ),
  row("a net's second layer", ShapeError, /^Linear\(4, 3\): forward got \[2, 3\], expected \[N, 4\] or \[4\]/, (s) =>
    s.reluFirst.forward(s.a),
  ),
  row("a net's fused activation", ShapeError, /^PReLU\(2\): forward got \[2, 3\], expected \[N, 2, \.\.\.\]/, (s) => {
    const misfit = new lg.Sequential(s.linear, new lg.PReLU({ numParameters: 2, engine: s.engine }));
    try {
      return misfit.forward(s.x);
    } finally {
      misfit.layers[1].dispose();
    }
  }),
  row("a net of another engine's tensor", EngineError, /tensor of another engine/, ({ net, foreign }) =>
    net.forward(foreign),
  ),
  row("a net of nothing", ArgumentError, /Linear\(4, 3\): forward got undefined, expected/, ({ net }) =>
    net.forward(wrong(undefined)),
  ),
];

const MESSAGES = ["backward", "backwardInput", "backwardParams"] as const;

const backwards: Row[] = MESSAGES.flatMap((message) => [
  row(
    `${message} of another shape`,
    ShapeError,
    new RegExp(`Linear\\(4, 3\\): ${message} got \\[2, 4\\], expected \\[2, 3\\]`),
    (s) => s.linear[message](s.x),
  ),
  row(
    `${message} of one row`,
    ShapeError,
    new RegExp(`LinearPReLU\\(4, 3\\): ${message} got \\[3\\], expected \\[2, 3\\]`),
    (s) => s.fused[message]([1, 2, 3]),
  ),
  row(
    `${message} of too few values`,
    ShapeError,
    new RegExp(`${message} got 5 values, expected a multiple of 3`),
    (s) => s.fused[message](new Float32Array(5)),
  ),
  row(`${message} of a Float32Array for PReLU`, ShapeError, /Float32Array of 8.*engine\.tensor\(data, shape\)/, (s) =>
    s.prelu[message](new Float32Array(8)),
  ),
  row(`${message} of ReLU, ragged`, ShapeError, /ragged arrays, expected \[2, 4\]/, ({ relu }) =>
    relu[message]([
      [1, 2, 3, 4],
      [1, 2],
    ]),
  ),
  row(
    `${message} of nothing`,
    ArgumentError,
    new RegExp(`PReLU\\(4\\): ${message} got undefined, expected a Tensor`),
    (s) => s.prelu[message](wrong(undefined)),
  ),
  row(`${message} of another engine's tensor`, EngineError, /tensor of another engine/, ({ relu, foreign }) =>
    relu[message](foreign),
  ),
  row(
    `${message} of a net, of another shape`,
    ShapeError,
    new RegExp(`LinearPReLU\\(3, 2\\): ${message} got \\[2, 3\\], expected \\[2, 2\\]`),
    (s) => s.net[message](s.a),
  ),
  row(
    `${message} without a forward`,
    StateError,
    new RegExp(`PReLU\\(\\): ${message} without a remembered forward`),
    ({ engine, x }) => {
      using layer = new lg.PReLU({ engine });
      return layer[message](x);
    },
  ),
]);

const losses: Row[] = [
  row("logits of nothing", ArgumentError, /got undefined, expected/, () => lg.crossEntropy(wrong(undefined), [0])),
  row("logits as a Float32Array", ShapeError, /crossEntropy.*Float32Array of 6.*engine\.tensor\(data, shape\)/, () =>
    lg.crossEntropy(wrong(new Float32Array(6)), [0, 1]),
  ),
  row("logits of three axes", ShapeError, /logits of shape \[1, 2, 4\], expected \[N, K\] or \[K\]/, ({ x }) => {
    using cube = x.reshape([1, 2, 4]);
    return lg.crossEntropy(cube, [0]);
  }),
  row("logits of no class", ShapeError, /\[2, 0\], expected at least one class/, ({ engine }) => {
    using empty = engine.zeros([2, 0]);
    return lg.crossEntropy(empty, [0, 0]);
  }),
  row("the mean of no samples", ShapeError, /no samples, whose mean is not defined/, ({ engine }) => {
    using empty = engine.zeros([0, 3]);
    return lg.crossEntropy(empty, []);
  }),
  row("too few labels", ShapeError, /crossEntropy: got 1 labels, expected 2/, ({ a }) => lg.crossEntropy(a, [0])),
  row("too many labels", ShapeError, /crossEntropy: got 3 labels, expected 2/, ({ a }) =>
    lg.crossEntropy(a, Uint8Array.of(0, 1, 2)),
  ),
  row("a label beyond the classes", ArgumentError, /label 3 at 1, expected an integer in 0\.\.2/, ({ a }) =>
    lg.crossEntropy(a, [0, 3]),
  ),
  row("a negative label", ArgumentError, /label -100 at 0, expected an integer in 0\.\.2/, ({ a }) =>
    lg.crossEntropy(a, [-100, 0]),
  ),
  row("a fractional label", ArgumentError, /label 0\.5 at 0, expected an integer in 0\.\.2/, ({ a }) =>
    lg.crossEntropy(a, [0.5, 0]),
  ),
  row("a label that is NaN", ArgumentError, /label NaN at 1, expected an integer/, ({ a }) =>
    lg.crossEntropy(a, Float32Array.of(0, Number.NaN)),
  ),
  row("a label in words", ArgumentError, /label "1" at 0, expected an integer/, ({ a }) =>
    lg.crossEntropy(a, wrong(["1", 0])),
  ),
  row("labels of nothing", ArgumentError, /got undefined as labels, expected/, ({ a }) =>
    lg.crossEntropy(a, wrong(undefined)),
  ),
  row("labels as a set", ArgumentError, /got an object \(Set\) as labels, expected an array/, ({ a }) =>
    lg.crossEntropy(a, wrong(new Set([0, 1]))),
  ),
  row("labels of arrays that do not fit nested logits", ShapeError, /got 1 labels, expected 2/, () =>
    lg.crossEntropy(
      [
        [1, 2],
        [3, 4],
      ],
      [0],
    ),
  ),
  row("labels in a disposed tensor", StateError, /tensor \[2\] was disposed/, ({ a, engine }) => {
    const gone = engine.zeros([2]);
    gone.dispose();
    return lg.crossEntropy(a, gone);
  }),
  row("labels in a tensor of another engine", EngineError, /tensor of another engine/, ({ a, other }) => {
    using labels = other.zeros([2]);
    return lg.crossEntropy(a, labels);
  }),
  row("an unknown reduction", ArgumentError, /reduction: got "none", expected "mean" or "sum"/, ({ a }) =>
    lg.crossEntropy(a, [0, 1], { reduction: wrong("none") }),
  ),
  row("smoothing beyond 1", ArgumentError, /labelSmoothing: got 1\.5, expected a number in 0\.\.1/, ({ a }) =>
    lg.crossEntropy(a, [0, 1], { labelSmoothing: 1.5 }),
  ),
  row("smoothing NaN", ArgumentError, /labelSmoothing: got NaN, expected a number in 0\.\.1/, ({ a }) =>
    lg.crossEntropy(a, [0, 1], { labelSmoothing: Number.NaN }),
  ),
  row("options that are none", ArgumentError, /crossEntropy: got "sum", expected an object of options/, ({ a }) =>
    lg.crossEntropy(a, [0, 1], wrong("sum")),
  ),
];

/** What is not finite and >= 0. */
const NO_RATES: [unknown, string][] = [
  [-0.1, "-0\\.1"],
  [Number.NaN, "NaN"],
  [Number.POSITIVE_INFINITY, "Infinity"],
  ["0.1", '"0\\.1"'],
  [null, "null"],
];

const rateRows = (
  type: "SGD" | "Adam",
  options: readonly string[],
  build: (scene: Scene, settings: never) => unknown,
): Row[] =>
  options.flatMap((option) =>
    NO_RATES.map(([value, shown]) =>
      row(
        `${type} ${option} ${shown.replaceAll("\\", "")}`,
        ArgumentError,
        new RegExp(`${type}: ${option}: got ${shown}, expected a finite number >= 0`),
        (s) => build(s, wrong({ lr: 0.1, [option]: value })),
      ),
    ),
  );

const betasRow = (shown: string, betas: unknown): Row =>
  row(`Adam betas ${shown}`, ArgumentError, /Adam: betas: got .*, expected two numbers in \[0, 1\)/, ({ linear }) =>
    Reflect.construct(lg.Adam, [linear.parameters(), { betas }]),
  );

/** What is no size of a kernel or a stride; padding may be 0. */
const NO_SIZES_2D: [unknown, string][] = [
  ...NO_SIZES.filter(([size]) => size !== 0),
  [[3], "\\[3\\]"],
  [[3, 2, 1], "\\[3, 2, 1\\]"],
  [[], "\\[\\]"],
  [[2, 1.5], "\\[2, 1\\.5\\]"],
  [[-1, 2], "\\[-1, 2\\]"],
  [[2, "2"], '\\[2, "2"\\]'],
  [2 ** 29, "536870912"],
];

const size2dRows = (what: string, least: 0 | 1, call: (scene: Scene, size: never) => unknown): Row[] =>
  [
    ...NO_SIZES_2D,
    ...(least === 1
      ? ([
          [0, "0"],
          [[2, 0], "\\[2, 0\\]"],
        ] as [unknown, string][])
      : []),
  ].map(([size, shown]) =>
    row(`${what} ${shown.replaceAll("\\", "")}`, ArgumentError, new RegExp(`^${what}: got ${shown}, expected`), (s) =>
      call(s, wrong(size)),
    ),
  );

/** What is no probability. */
const NO_SHARES: [unknown, string][] = [
  [-0.1, "-0\\.1"],
  [1.0001, "1\\.0001"],
  [Number.NaN, "NaN"],
  [Number.POSITIVE_INFINITY, "Infinity"],
  ["0.5", '"0\\.5"'],
  [null, "null"],
];

const normRows = (type: string, Norm: typeof lg.BatchNorm1d | typeof lg.BatchNorm2d): Row[] => [
  ...sizeRows(`${type} C`, `${type}: C`, ({ engine }, c) => new Norm(c, { engine })),
  ...["eps", "momentum"].flatMap((option) =>
    NO_RATES.map(([value, shown]) =>
      row(
        `${type} ${option} ${shown.replaceAll("\\", "")}`,
        ArgumentError,
        new RegExp(`^${type}: ${option}: got ${shown}, expected a finite number >= 0`),
        ({ engine }) => new Norm(3, { engine, [option]: value }),
      ),
    ),
  ),
  row(`${type} with eps as its options`, ArgumentError, /got 0\.001, expected an object of options/, () =>
    Reflect.construct(Norm, [3, 0.001]),
  ),
];

const imageConstructors: Row[] = [
  ...sizeRows("Conv2d inChannels", "Conv2d: inChannels", ({ engine }, c) => new lg.Conv2d(c, 2, 3, { engine })),
  ...sizeRows("Conv2d outChannels", "Conv2d: outChannels", ({ engine }, o) => new lg.Conv2d(3, o, 3, { engine })),
  ...size2dRows("Conv2d: kernelSize", 1, ({ engine }, kernel) => new lg.Conv2d(3, 2, kernel, { engine })),
  ...size2dRows("Conv2d: stride", 1, ({ engine }, stride) => new lg.Conv2d(3, 2, 3, { stride, engine })),
  ...size2dRows("Conv2d: padding", 0, ({ engine }, padding) => new lg.Conv2d(3, 2, 3, { padding, engine })),
  row("Conv2d padding in words", ArgumentError, /Conv2d: padding: got "same", expected an integer >= 0/, (s) =>
    Reflect.construct(lg.Conv2d, [3, 2, 3, { padding: "same", engine: s.engine }]),
  ),
  row("Conv2d without a kernel", ArgumentError, /Conv2d: kernelSize: got undefined, expected an integer >= 1/, () =>
    Reflect.construct(lg.Conv2d, [3, 2]),
  ),
  row(
    "Conv2d bias null: only undefined is the default",
    ArgumentError,
    /Conv2d: bias: got null, expected true or false/,
    ({ engine }) => new lg.Conv2d(3, 2, 3, { bias: wrong(null), engine }),
  ),
  row("Conv2d with stride as its options", ArgumentError, /Conv2d: got 2, expected an object of options/, () =>
    Reflect.construct(lg.Conv2d, [3, 2, 3, 2]),
  ),
  row(
    "Conv2d that does not fit the memory",
    MemoryError,
    /\d+ bytes were asked for, \d+ are in use, \d+ are allowed/,
    ({ engine }) => new lg.Conv2d(2 ** 12, 2 ** 12, 7, { engine }),
  ),
  ...size2dRows("MaxPool2d: kernelSize", 1, ({ engine }, kernel) => new lg.MaxPool2d(kernel, { engine })),
  ...size2dRows("MaxPool2d: stride", 1, ({ engine }, stride) => new lg.MaxPool2d(3, { stride, engine })),
  ...size2dRows("MaxPool2d: padding", 0, ({ engine }, padding) => new lg.MaxPool2d(3, { padding, engine })),
  row(
    "MaxPool2d padding of more than half the kernel",
    ArgumentError,
    /MaxPool2d: padding: got .*2.*, expected at most half of the kernel/,
    ({ engine }) => new lg.MaxPool2d(3, { padding: 2, engine }),
  ),
  row(
    "MaxPool2d padding of more than half the kernel in one direction",
    ArgumentError,
    /MaxPool2d: padding: got 1, expected at most half of the kernel \[2, 1\]/,
    ({ engine }) => new lg.MaxPool2d([2, 1], { padding: 1, engine }),
  ),
  ...normRows("BatchNorm1d", lg.BatchNorm1d),
  ...normRows("BatchNorm2d", lg.BatchNorm2d),
  row("a BatchNorm that does not fit the memory", MemoryError, /bytes were asked for/, (s) => {
    // four of its seven tensors fit
    const engine = lg.createEngine({ kernels: s.engine.kernels, maximumMemory: 2 ** 20 });
    const { used } = engine.memory;
    try {
      return new lg.BatchNorm1d(50_000, { engine });
    } finally {
      const left = engine.memory.used - used;
      engine.dispose();
      expect(left).toBe(0);
    }
  }),
  ...NO_SHARES.map(([p, shown]) =>
    row(
      `Dropout p ${shown.replaceAll("\\", "")}`,
      ArgumentError,
      new RegExp(`^Dropout: p: got ${shown}, expected a number from 0 to 1`),
      ({ engine }) => new lg.Dropout(wrong(p), { engine }),
    ),
  ),
  row("Dropout with options in place of p", ArgumentError, /Dropout: p: got .*Object.*, expected a number/, (s) =>
    Reflect.construct(lg.Dropout, [{ engine: s.engine }]),
  ),
  row("Dropout options that are none", ArgumentError, /Dropout: got true, expected an object of options/, () =>
    Reflect.construct(lg.Dropout, [0.5, true]),
  ),
  row("Flatten options that are none", ArgumentError, /Flatten: got 1, expected an object of options/, () =>
    Reflect.construct(lg.Flatten, [1]),
  ),
  ...(
    [
      [lg.Conv2d, [3, 2, 3]],
      [lg.BatchNorm1d, [3]],
      [lg.BatchNorm2d, [3]],
      [lg.MaxPool2d, [2]],
      [lg.Flatten, []],
      [lg.Dropout, [0.5]],
    ] as const
  ).flatMap(([type, args]) => [
    row(`${type.name} of an engine null`, ArgumentError, /engine: got null, expected an Engine/, () =>
      Reflect.construct(type, [...args, { engine: null }]),
    ),
    row(`${type.name} of a disposed engine`, EngineError, /engine was disposed/, () => {
      const engine = lg.createEngine({ kernels: "js" });
      engine.dispose();
      return Reflect.construct(type, [...args, { engine }]);
    }),
  ]),
];

/** A forward of zeros in this shape. */
const zerosThrough = (pick: (scene: Scene) => lg.Layer, shape: number[]) => (scene: Scene) => {
  using zeros = scene.engine.zeros(shape);
  return pick(scene).forward(zeros);
};

const refusedShapes = (
  name: string,
  pick: (scene: Scene) => lg.Layer,
  expected: string,
  shapes: readonly number[][],
): Row[] =>
  shapes.map((shape) =>
    row(
      `${name} of ${JSON.stringify(shape)}`,
      ShapeError,
      new RegExp(`^${name}\\(.*\\): forward got \\[${shape.join(", ")}\\], expected ${expected}`),
      zerosThrough(pick, shape),
    ),
  );

const TWO_VALUES = "at least two values a channel in training mode$";

const imageForwards: Row[] = [
  ...refusedShapes("Conv2d", ({ conv }) => conv, "\\[N, 3, H, W\\] or \\[3, H, W\\]$", [
    [],
    [3],
    [4, 5],
    [1, 2, 3, 4, 5],
    [2, 4, 5],
    [4, 3, 5],
    [2, 2, 4, 5],
    [2, 4, 5, 3],
    [0, 2, 4, 5],
  ]),
  ...refusedShapes("Conv2d", ({ conv }) => conv, "planes that are not empty$", [
    [2, 3, 0, 5],
    [2, 3, 4, 0],
    [3, 0, 0],
    [0, 3, 0, 5],
  ]),
  ...refusedShapes("Conv2d", ({ conv }) => conv, "planes of at least the kernel's \\[3, 2\\]", [
    [2, 3, 4, 1],
    [3, 4, 1],
    [0, 3, 4, 1],
  ]),
  ...refusedShapes("MaxPool2d", ({ pool }) => pool, "\\[N, C, H, W\\] or \\[C, H, W\\]$", [
    [],
    [4],
    [4, 5],
    [1, 2, 3, 4, 5],
  ]),
  ...refusedShapes("MaxPool2d", ({ pool }) => pool, "planes that are not empty$", [
    [2, 3, 0, 5],
    [2, 4, 0],
  ]),
  ...refusedShapes("MaxPool2d", ({ pool }) => pool, "planes of at least the kernel's \\[2, 2\\]", [
    [2, 3, 1, 5],
    [2, 3, 5, 1],
    [3, 1, 1],
  ]),
  ...refusedShapes("BatchNorm1d", ({ norm1d }) => norm1d, "\\[N, 4\\] or \\[N, 4, L\\]$", [
    [],
    [3],
    [4, 3],
    [2, 3, 4],
    [2, 4, 3, 1],
    [0, 3],
  ]),
  ...refusedShapes("BatchNorm2d", ({ norm2d }) => norm2d, "\\[N, 3, H, W\\]$", [
    [],
    [3],
    [2, 3],
    [3, 4, 5],
    [2, 4, 5, 3],
    [1, 2, 3, 4, 5],
  ]),
  ...refusedShapes("BatchNorm1d", ({ norm1d }) => norm1d, TWO_VALUES, [
    [4],
    [1, 4],
    [0, 4],
    [1, 4, 1],
    [2, 4, 0],
    [0, 4, 3],
  ]),
  ...refusedShapes("BatchNorm2d", ({ norm2d }) => norm2d, TWO_VALUES, [
    [1, 3, 1, 1],
    [0, 3, 2, 2],
    [2, 3, 0, 2],
  ]),
  row("Flatten of no axes", ShapeError, /^Flatten\(\): forward got \[\], expected \[N, \.\.\.\]/, (s) =>
    zerosThrough(({ flatten }) => flatten, [])(s),
  ),
  ...(["conv", "norm1d", "norm2d", "pool", "flatten", "dropout", "cnn"] as const).flatMap((key) => [
    row(`${key} of a Float32Array`, ShapeError, /Float32Array of 120.*engine\.tensor\(data, shape\)/, (s) =>
      s[key].forward(new Float32Array(120)),
    ),
    row(`${key} of nothing`, ArgumentError, /forward got undefined, expected a Tensor/, (s) =>
      s[key].forward(wrong(undefined)),
    ),
    row(`${key} of bytes`, ArgumentError, /forward got a Uint8Array, expected a Tensor/, (s) =>
      s[key].forward(wrong(new Uint8Array(120))),
    ),
    row(`${key} of ragged arrays`, ShapeError, /ragged arrays, expected \[1, 2, 2, 1\]/, (s) =>
      s[key].forward([[[[1], [2]], [[3]]]]),
    ),
    row(`${key} of another engine's tensor`, EngineError, /tensor of another engine/, (s) =>
      s[key].forward(s.foreignImages),
    ),
    row(`${key} of a disposed tensor`, StateError, /tensor \[2, 3, 4, 5\] was disposed/, (s) => {
      const gone = s.images.clone();
      gone.dispose();
      return s[key].forward(gone);
    }),
  ]),
  row(
    "BatchNorm at the end of a net, of one value a channel",
    ShapeError,
    /^BatchNorm1d\(3\): forward got \[1, 3\], expected at least two values/,
    (s) => {
      const { engine } = s;
      const behind = [new lg.MaxPool2d(2, { engine }), new lg.Flatten({ engine }), new lg.BatchNorm1d(3, { engine })];
      const net = new lg.Sequential(s.norm2d, ...behind);
      try {
        // four values a channel for the first BatchNorm, one for the second
        using zeros = s.engine.zeros([1, 3, 2, 2]);
        return net.forward(zeros);
      } finally {
        for (const layer of behind) layer.dispose();
      }
    },
  ),
  // BatchNorm, Conv2d, Dropout and MaxPool2d take it, the Linear layer at the end does not
  row(
    "a net whose last layer refuses what the first ones take",
    ShapeError,
    /^Linear\(8, 2\): forward got \[2, 16\], expected \[N, 8\] or \[8\]$/,
    zerosThrough(({ cnn }) => cnn, [2, 3, 4, 8]),
  ),
  row(
    "a net whose pool refuses what its convolution gives",
    ShapeError,
    /^MaxPool2d\(2\): forward got \[2, 2, 4, 1\], expected planes of at least/,
    zerosThrough(({ cnn }) => cnn, [2, 3, 4, 1]),
  ),
  row(
    "a net of channels that do not fit",
    ShapeError,
    /^BatchNorm2d\(3\): forward got \[2, 4, 4, 5\], expected \[N, 3, H, W\]/,
    zerosThrough(({ cnn }) => cnn, [2, 4, 4, 5]),
  ),
  row(
    "a net with a disposed layer behind its BatchNorm",
    StateError,
    /^BatchNorm1d\(60\): the layer was disposed/,
    (s) => {
      const { engine } = s;
      const behind = [new lg.Flatten({ engine }), new lg.BatchNorm1d(60, { engine })];
      const net = new lg.Sequential(s.norm2d, ...behind);
      behind[1].dispose();
      try {
        return net.forward(s.images);
      } finally {
        behind[0].dispose();
      }
    },
  ),
];

const IMAGE_LAYERS = ["conv", "norm1d", "norm2d", "pool", "flatten", "dropout"] as const;

const imageBackwards: Row[] = MESSAGES.flatMap((message) => [
  ...IMAGE_LAYERS.flatMap((key) => [
    row(
      `${message} of ${key}, of another shape`,
      ShapeError,
      new RegExp(`: ${message} got \\[2, 3\\], expected \\[2, `),
      (s) => s[key][message](s.a),
    ),
    row(
      `${message} of ${key}, of a Float32Array`,
      ShapeError,
      /Float32Array of 8.*engine\.tensor\(data, shape\)/,
      (s) => s[key][message](new Float32Array(8)),
    ),
    row(`${message} of ${key}, of nothing`, ArgumentError, new RegExp(`${message} got null, expected a Tensor`), (s) =>
      s[key][message](wrong(null)),
    ),
    row(`${message} of ${key}, of another engine's tensor`, EngineError, /tensor of another engine/, (s) =>
      s[key][message](s.foreignImages),
    ),
  ]),
  row(
    `${message} of a net of images, of another shape`,
    ShapeError,
    new RegExp(`Linear\\(8, 2\\): ${message} got \\[2, 3\\], expected \\[2, 2\\]`),
    (s) => s.cnn[message](s.a),
  ),
]);

const optimizers: Row[] = [
  ...rateRows("SGD", ["lr", "momentum", "weightDecay"], (s, settings) => new lg.SGD(s.linear.parameters(), settings)),
  ...rateRows("Adam", ["lr", "eps", "weightDecay"], (s, settings) => new lg.Adam(s.linear.parameters(), settings)),
  row(
    "SGD without lr",
    ArgumentError,
    /SGD: lr: got undefined, expected a finite number >= 0/,
    (s) => new lg.SGD(s.linear.parameters(), wrong({})),
  ),
  row(
    "SGD without options",
    ArgumentError,
    /SGD: lr: got undefined, expected/,
    (s) => new lg.SGD(s.linear.parameters(), wrong(undefined)),
  ),
  row(
    "SGD with lr as its options",
    ArgumentError,
    /SGD: got 0\.1, expected an object of options/,
    (s) => new lg.SGD(s.linear.parameters(), wrong(0.1)),
  ),
  row(
    "SGD dampening NaN",
    ArgumentError,
    /SGD: dampening: got NaN, expected a finite number/,
    (s) => new lg.SGD(s.linear.parameters(), { lr: 1, momentum: 0.9, dampening: Number.NaN }),
  ),
  row(
    "nesterov without momentum",
    ArgumentError,
    /nesterov: got momentum 0 and dampening 0, expected momentum > 0 and no dampening/,
    (s) => new lg.SGD(s.linear.parameters(), { lr: 1, nesterov: true }),
  ),
  row(
    "nesterov with dampening",
    ArgumentError,
    /nesterov: got momentum 0\.9 and dampening 0\.1, expected/,
    (s) => new lg.SGD(s.linear.parameters(), { lr: 1, momentum: 0.9, dampening: 0.1, nesterov: true }),
  ),
  row(
    "nesterov of another type",
    ArgumentError,
    /SGD: nesterov: got 1, expected true or false/,
    (s) => new lg.SGD(s.linear.parameters(), { lr: 1, momentum: 0.9, nesterov: wrong(1) }),
  ),
  betasRow("of 1", [0.9, 1]),
  betasRow("negative", [-0.1, 0.999]),
  betasRow("NaN", [Number.NaN, 0.999]),
  betasRow("one of them", [0.9]),
  betasRow("a number", 0.9),
  betasRow("null", null),
  betasRow("in words", ["0.9", "0.999"]),
  betasRow("that are null", [null, 0.999]),
  row(
    "amsgrad of another type",
    ArgumentError,
    /Adam: amsgrad: got "true", expected true or false/,
    (s) => new lg.Adam(s.linear.parameters(), { amsgrad: wrong("true") }),
  ),
  row("no parameters", ArgumentError, /Adam: got no parameters, expected at least one/, () => new lg.Adam([])),
  row(
    "groups without parameters",
    ArgumentError,
    /SGD: got no parameters, expected at least one/,
    () => new lg.SGD([{ params: [] }], { lr: 1 }),
  ),
  row(
    "a net in place of its parameters",
    ArgumentError,
    /Adam: got an object \(Sequential\), expected parameters or groups/,
    ({ net }) => new lg.Adam(wrong(net)),
  ),
  row(
    "tensors in place of parameters",
    ArgumentError,
    /SGD: got an object \(Tensor\), expected parameters \{ name, value, grad \}/,
    ({ x }) => new lg.SGD(wrong([x]), { lr: 1 }),
  ),
  row(
    "groups among parameters",
    ArgumentError,
    /expected parameters \{ name, value, grad \}/,
    ({ linear }) => new lg.SGD(wrong([...linear.parameters(), { params: [] }]), { lr: 1 }),
  ),
  row(
    "parameters among groups",
    ArgumentError,
    /expected a group \{ params: \[\.\.\.\] \}/,
    ({ linear }) => new lg.SGD(wrong([{ params: [] }, ...linear.parameters()]), { lr: 1 }),
  ),
  row(
    "a gradient of another shape",
    ArgumentError,
    /with tensors of one shape/,
    ({ x, a }) => new lg.SGD([{ name: "w", value: x, grad: a }], { lr: 1 }),
  ),
  row(
    "a group's own lr",
    ArgumentError,
    /SGD: lr: got -1, expected a finite number >= 0/,
    ({ linear }) => new lg.SGD([{ params: linear.parameters(), lr: -1 }], { lr: 1 }),
  ),
  row(
    "a parameter twice",
    StateError,
    /the parameter weight is there twice/,
    ({ linear }) => new lg.SGD([...linear.parameters(), linear.weight], { lr: 1 }),
  ),
  row(
    "a parameter in two groups",
    StateError,
    /Adam: the parameter bias is there twice/,
    ({ linear }) => new lg.Adam([{ params: [linear.bias!] }, { params: linear.parameters() }]),
  ),
  row(
    "a value and a gradient of two engines",
    EngineError,
    /w: value and grad are of different engines/,
    ({ x, foreign }) => new lg.SGD([{ name: "w", value: x, grad: foreign }], { lr: 1 }),
  ),
  row("parameters of two engines", EngineError, /different engines|another engine/, ({ linear, other }) => {
    using stranger = new lg.PReLU({ engine: other });
    return new lg.SGD([...linear.parameters(), ...stranger.parameters()], { lr: 1 });
  }),
  row("parameters of a disposed layer", StateError, /was disposed/, ({ engine }) => {
    const layer = new lg.PReLU({ engine });
    const parameters = layer.parameters();
    layer.dispose();
    return new lg.Adam(parameters);
  }),
  row("setting lr to NaN", ArgumentError, /SGD: lr: got NaN, expected a finite number >= 0/, ({ sgd }) => {
    sgd.lr = Number.NaN;
  }),
  row("a step of a group with a bad setting", ArgumentError, /Adam: eps: got -1, expected/, ({ adam }) => {
    const { eps } = adam.groups[0];
    adam.groups[0].eps = -1;
    try {
      adam.step();
    } finally {
      adam.groups[0].eps = eps;
    }
  }),
];

const inits: Row[] = [
  row("init of an array", ArgumentError, /kaimingNormal_: got \[1\], expected a Tensor/, () =>
    lg.init.kaimingNormal_(wrong([1])),
  ),
  row("zeros_ of a parameter", ArgumentError, /zeros_: got an object \(Object\), expected a Tensor/, ({ linear }) =>
    lg.init.zeros_(wrong({ ...linear.weight })),
  ),
  row("constant_ of nothing", ArgumentError, /constant_: got undefined, expected a number/, ({ x }) =>
    lg.init.constant_(x, wrong(undefined)),
  ),
  row("fans of a vector", ShapeError, /kaimingNormal_: got \[2\], expected at least 2 axes/, ({ engine }) => {
    using vector = engine.zeros([2]);
    return lg.init.kaimingNormal_(vector);
  }),
  row("both fans of a vector", ShapeError, /xavierUniform_: got \[2\], expected at least 2 axes/, ({ engine }) => {
    using vector = engine.zeros([2]);
    return lg.init.xavierUniform_(vector, { fanIn: 2 });
  }),
  row("a slope of another type", ArgumentError, /kaimingUniform_: a: got "0", expected a finite number/, ({ x }) =>
    lg.init.kaimingUniform_(x, { a: wrong("0") }),
  ),
  ...sizeRows("fanIn", "kaimingNormal_: fanIn", ({ x }, fanIn) => lg.init.kaimingNormal_(x, { fanIn })),
  row("fanOut", ArgumentError, /xavierNormal_: fanOut: got 0, expected an integer >= 1/, ({ x }) =>
    lg.init.xavierNormal_(x, { fanOut: 0 }),
  ),
  row("a seed of another type", ArgumentError, /xavierNormal_: seed: got "7", expected a safe integer/, ({ x }) =>
    lg.init.xavierNormal_(x, { seed: wrong("7") }),
  ),
  row("a disposed tensor", StateError, /tensor \[2\] was disposed/, ({ engine }) => {
    const gone = engine.zeros([2]);
    gone.dispose();
    lg.init.zeros_(gone);
  }),
];

const X = [
  [1, 2, 3, 4],
  [4, 3, 2, 1],
];

/** fit of the scene's net with one thing changed. */
const fitWith = ({ net, adam }: Scene, changes: object): Promise<unknown> =>
  lg.fit(net, { train: { x: X, y: [0, 1] }, epochs: 1, batchSize: 1, shuffle: false, optimizer: adam, ...changes });

const training: Row[] = [
  row("fit of no net", ArgumentError, /fit: got null, expected a Layer/, () => lg.fit(wrong(null), wrong({}))),
  row("fit of a constructor", ArgumentError, /fit: got function Linear, expected a Layer/, () =>
    lg.fit(wrong(lg.Linear), wrong({})),
  ),
  row("fit without options", ArgumentError, /fit: .*got undefined, expected/, ({ net }) =>
    lg.fit(net, wrong(undefined)),
  ),
  ...sizeRows("fit epochs", "fit: epochs", (s, epochs) => fitWith(s, { epochs })),
  ...sizeRows("fit batchSize", "fit: batchSize", (s, batchSize) => fitWith(s, { batchSize })),
  row("fit shuffle", ArgumentError, /fit: shuffle: got 1, expected true or false/, (s) => fitWith(s, { shuffle: 1 })),
  row("fit seed", ArgumentError, /fit: seed: got 1\.5, expected a safe integer/, (s) => fitWith(s, { seed: 1.5 })),
  row("fit optimizer", ArgumentError, /fit: optimizer: got "adam", expected an optimizer/, (s) =>
    fitWith(s, { optimizer: "adam" }),
  ),
  row("fit without optimizer", ArgumentError, /fit: optimizer: got undefined, expected an optimizer/, (s) =>
    fitWith(s, { optimizer: undefined }),
  ),
  row("fit loss", ArgumentError, /fit: loss: got "crossEntropy", expected a function/, (s) =>
    fitWith(s, { loss: "crossEntropy" }),
  ),
  row("fit onBatch", ArgumentError, /fit: onBatch: got true, expected a function/, (s) =>
    fitWith(s, { onBatch: true }),
  ),
  row("fit onEpoch", ArgumentError, /fit: onEpoch: got null, expected a function/, (s) =>
    fitWith(s, { onEpoch: null }),
  ),
  row("fit signal", ArgumentError, /fit: signal: got an object \(Object\), expected an AbortSignal/, (s) =>
    fitWith(s, { signal: {} }),
  ),
  row("fit without data", ArgumentError, /fit: train: got undefined, expected \{ x, y \}/, (s) =>
    fitWith(s, { train: undefined }),
  ),
  row("fit without x", ArgumentError, /fit: train: x: got undefined, expected a Tensor/, (s) =>
    fitWith(s, { train: { y: [0] } }),
  ),
  row("fit without y", ArgumentError, /fit: train: y: got undefined, expected/, (s) => fitWith(s, { train: { x: X } })),
  row("fit of no samples", ShapeError, /fit: train: got no samples, expected at least one/, (s) =>
    fitWith(s, { train: { x: new Float32Array(0), y: [] } }),
  ),
  row("fit of flat values that do not fit", ShapeError, /fit: train: x: got 7 values, expected a multiple of 4/, (s) =>
    fitWith(s, { train: { x: new Float32Array(7), y: [0, 1] } }),
  ),
  row("fit of a flat list", ShapeError, /fit: train: x: got \[4\], expected \[N, \.\.\.\]/, (s) =>
    fitWith(s, { train: { x: [1, 2, 3, 4], y: [0] } }),
  ),
  row("fit of ragged rows", ShapeError, /fit: train: x.*ragged arrays, expected \[2, 4\]/, (s) =>
    fitWith(s, { train: { x: [[1, 2, 3, 4], [1]], y: [0, 1] } }),
  ),
  row("fit of too few labels", ShapeError, /fit: train: y: got 1 labels, expected 2/, (s) =>
    fitWith(s, { train: { x: X, y: [0] } }),
  ),
  row("fit of too many targets", ShapeError, /fit: train: y: got 3 targets, expected 2/, (s) =>
    fitWith(s, { train: { x: X, y: [[1], [2], [3]] }, loss: () => {} }),
  ),
  row("fit of a sampleShape that is none", ArgumentError, /sampleShape: got 4 as a shape, expected an array/, (s) =>
    fitWith(s, { train: { x: new Float32Array(8), y: [0, 1], sampleShape: 4 } }),
  ),
  row("fit of an empty sample", ArgumentError, /sampleShape: got 0, expected an integer >= 1/, (s) =>
    fitWith(s, { train: { x: new Float32Array(8), y: [0, 1], sampleShape: [0] } }),
  ),
  row("fit of test data without labels", ArgumentError, /fit: test: y: got undefined, expected/, (s) =>
    fitWith(s, { test: { x: X } }),
  ),
  row("fit of no test data", ShapeError, /fit: test: got no samples, expected at least one/, (s) =>
    fitWith(s, { test: { x: new Float32Array(0), y: [] } }),
  ),
  row("fit of another engine's samples", EngineError, /another engine/, (s) =>
    fitWith(s, { train: { x: s.foreign, y: [0, 1] } }),
  ),
  row("evaluate of no net", ArgumentError, /evaluate: got an object \(Object\), expected a Layer/, () =>
    lg.evaluate(wrong({}), { x: X, y: [0, 1] }),
  ),
  row("evaluate of no data", ArgumentError, /evaluate: got null, expected \{ x, y \}/, ({ net }) =>
    lg.evaluate(net, wrong(null)),
  ),
  row("evaluate of no samples", ShapeError, /evaluate: got no samples, expected at least one/, ({ net }) =>
    lg.evaluate(net, { x: new Float32Array(0), y: [] }),
  ),
  row("evaluate of too few labels", ShapeError, /evaluate: y: got 1 labels, expected 2/, ({ net }) =>
    lg.evaluate(net, { x: X, y: [1] }),
  ),
  ...sizeRows("evaluate batchSize", "evaluate: batchSize", ({ net }, batchSize) =>
    lg.evaluate(net, { x: X, y: [0, 1] }, { batchSize }),
  ),
  row("evaluate loss", ArgumentError, /evaluate: loss: got 1, expected a function/, ({ net }) =>
    lg.evaluate(net, { x: X, y: [0, 1] }, { loss: wrong(1) }),
  ),
  row("evaluate of another engine's samples", EngineError, /another engine/, ({ net, foreign }) =>
    lg.evaluate(net, { x: foreign, y: [0, 1] }),
  ),
  row("predict of no net", ArgumentError, /predict: got undefined, expected a Layer/, () =>
    lg.predict(wrong(undefined), X),
  ),
  row("predict of nothing", ArgumentError, /predict: x: got undefined, expected a Tensor/, ({ net }) =>
    lg.predict(net, wrong(undefined)),
  ),
  row("predict of integers", ArgumentError, /predict: x: got an Int32Array, expected a Tensor/, ({ net }) =>
    lg.predict(net, wrong(new Int32Array(4))),
  ),
  row("predict of values that do not fit", ShapeError, /predict: x: got 5 values, expected a multiple of 4/, (s) =>
    lg.predict(s.net, new Float32Array(5)),
  ),
  row("predict of a flat array without a width", ShapeError, /predict.*engine\.tensor\(data, shape\)/, ({ prelu }) =>
    lg.predict(prelu, new Float32Array(8)),
  ),
  row("predict of another engine's samples", EngineError, /another engine/, ({ net, foreign }) =>
    lg.predict(net, foreign),
  ),
];

const others: Row[] = [
  row("readIdx of nothing", ArgumentError, /readIdx: got undefined, expected a Uint8Array/, () =>
    lg.readIdx(wrong(undefined)),
  ),
  row("readIdx of a path", ArgumentError, /readIdx: got "train-images", expected a Uint8Array/, () =>
    lg.readIdx(wrong("train-images")),
  ),
  row("readIdx of no bytes", FormatError, /readIdx: got 0 bytes, expected a header/, () =>
    lg.readIdx(new Uint8Array()),
  ),
  row("readIdx of a text", FormatError, /readIdx: got the magic bytes 110 97, expected 0 0/, () =>
    lg.readIdx(new TextEncoder().encode("name,value")),
  ),
  row("loadStateDict of nothing", ArgumentError, /Linear\(4, 3\): loadStateDict got null, expected/, ({ linear }) =>
    linear.loadStateDict(wrong(null)),
  ),
  row(
    "loadStateDict that misses, has more and other shapes",
    StateError,
    /loadStateDict: weight is \[2, 4\], expected \[3, 4\]; bias is missing; slope is unexpected/,
    ({ linear, x, a }) => linear.loadStateDict({ weight: x, slope: a }),
  ),
  row("loadStateDict of arrays", StateError, /bias is \[1, 2, 3\], not a Tensor/, ({ linear }) =>
    linear.loadStateDict(wrong({ ...linear.stateDict(), bias: [1, 2, 3] })),
  ),
  row("loadStateDict of a disposed tensor", StateError, /tensor \[3\] was disposed/, ({ linear, engine }) => {
    const bias = engine.zeros([3]);
    const weight = engine.zeros([3, 4]);
    bias.dispose();
    try {
      linear.loadStateDict({ weight, bias });
    } finally {
      weight.dispose();
    }
  }),
  row("loadStateDict of another net's names", StateError, /0\.weight is missing.*weight is unexpected/, (s) =>
    s.net.loadStateDict(s.linear.stateDict()),
  ),
  row("loadStateDict with a name that every object has", StateError, /toString is unexpected/, ({ linear, x }) =>
    linear.loadStateDict({ ...linear.stateDict(), toString: x }),
  ),
  row("slopeStats of nothing", ArgumentError, /got undefined, expected a Layer/, () => lg.slopeStats(wrong(undefined))),
  row("summary of parameters", ArgumentError, /got \[.*\], expected a Layer/, ({ linear }) =>
    lg.summary(wrong(linear.parameters())),
  ),
];

const TABLE: [group: string, rows: Row[]][] = [
  ["constructors", constructors],
  ["engines", engines],
  ["tensors", tensors],
  ["matmul", products],
  ["forward", forwards],
  ["backward", backwards],
  ["losses", losses],
  ["constructors of layers of images", imageConstructors],
  ["forward of images", imageForwards],
  ["backward of images", imageBackwards],
  ["optimizers", optimizers],
  ["init", inits],
  ["fit, evaluate, predict", training],
  ["files, state, reports", others],
];

describe("a wrong call says what is wrong and leaves everything as it was", () => {
  describeEngines((engine) => {
    let untouched: unknown;
    beforeAll(() => {
      const scene = new Scene(engine().kernels);
      untouched = scene.witness();
      scene.dispose();
    });

    describe.each(TABLE)("%s", (_, rows) => {
      it.each(rows)("$name", async ({ call, error, message }) => {
        const scene = new Scene(engine().kernels);
        try {
          const memory = scene.memory();
          expectRefusal(await refusal(() => call(scene)), error, message);
          expect(scene.memory()).toEqual(memory);
          const witness = scene.witness();
          // Vitest says what differs, but takes ten times as long to say that nothing does
          if (!isDeepStrictEqual(witness, untouched)) expect(witness).toStrictEqual(untouched);
        } finally {
          scene.dispose();
        }
      });
    });
  });
});
