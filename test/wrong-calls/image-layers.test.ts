import * as lg from "lanegrad";
import { expect } from "vitest";
import { wrong } from "../support/state.js";
import {
  describeWrongCalls,
  MESSAGES,
  NO_RATES,
  NO_SIZES,
  type Row,
  row,
  type Scene,
  sizeRows,
  zerosThrough,
} from "../support/wrong-calls.js";

const { ArgumentError, EngineError, MemoryError, ShapeError, StateError } = lg;

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

const constructors: Row[] = [
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

const forwards: Row[] = [
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
];

const IMAGE_LAYERS = ["conv", "norm1d", "norm2d", "pool", "flatten", "dropout"] as const;

const backwards: Row[] = MESSAGES.flatMap((message) => [
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
]);

describeWrongCalls({
  constructors,
  forward: forwards,
  backward: backwards,
});
