import * as lg from "lanegrad";
import { wrong } from "../support/state.js";
import { describeWrongCalls, type Row, row, type Scene, sizeRows } from "../support/wrong-calls.js";

const { ArgumentError, EngineError, ShapeError } = lg;

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

describeWrongCalls({
  "fit, evaluate, predict": training,
});
