import * as lg from "lanegrad";
import { wrong } from "../support/state.js";
import { describeWrongCalls, MESSAGES, type Row, row, sizeRows } from "../support/wrong-calls.js";

const { ArgumentError, EngineError, MemoryError, ShapeError, StateError } = lg;

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
];

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
    `${message} without a forward`,
    StateError,
    new RegExp(`PReLU\\(\\): ${message} without a remembered forward`),
    ({ engine, x }) => {
      using layer = new lg.PReLU({ engine });
      return layer[message](x);
    },
  ),
]);

describeWrongCalls({
  constructors,
  forward: forwards,
  backward: backwards,
});
