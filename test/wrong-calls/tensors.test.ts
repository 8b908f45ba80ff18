import * as lg from "lanegrad";
import { wrong } from "../support/state.js";
import { describeWrongCalls, type Row, row, sizeRows } from "../support/wrong-calls.js";

const { ArgumentError, EngineError, MemoryError, ShapeError, StateError } = lg;

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

describeWrongCalls({
  tensors,
  matmul: products,
  init: inits,
});
