import * as lg from "lanegrad";
import { wrong } from "../support/state.js";
import { describeWrongCalls, type Row, row } from "../support/wrong-calls.js";

const { ArgumentError, StateError } = lg;

const states: Row[] = [
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

describeWrongCalls({
  "state and reports": states,
});
