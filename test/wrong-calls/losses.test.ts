import * as lg from "lanegrad";
import { wrong } from "../support/state.js";
import { describeWrongCalls, type Row, row } from "../support/wrong-calls.js";

const { ArgumentError, EngineError, ShapeError, StateError } = lg;

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

describeWrongCalls({
  crossEntropy: losses,
});
