import * as lg from "lanegrad";
import { wrong } from "../support/state.js";
import { describeWrongCalls, MESSAGES, type Row, row, zerosThrough } from "../support/wrong-calls.js";

const { ArgumentError, EngineError, ShapeError, StateError } = lg;

const constructors: Row[] = [
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

const forwards: Row[] = [
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

const backwards: Row[] = MESSAGES.flatMap((message) => [
  row(
    `${message} of a net, of another shape`,
    ShapeError,
    new RegExp(`LinearPReLU\\(3, 2\\): ${message} got \\[2, 3\\], expected \\[2, 2\\]`),
    (s) => s.net[message](s.a),
  ),
  row(
    `${message} of a net of images, of another shape`,
    ShapeError,
    new RegExp(`Linear\\(8, 2\\): ${message} got \\[2, 3\\], expected \\[2, 2\\]`),
    (s) => s.cnn[message](s.a),
  ),
]);

describeWrongCalls({
  constructors,
  forward: forwards,
  backward: backwards,
});
