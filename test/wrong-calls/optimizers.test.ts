import * as lg from "lanegrad";
import { wrong } from "../support/state.js";
import { describeWrongCalls, NO_RATES, type Row, row, type Scene } from "../support/wrong-calls.js";

const { ArgumentError, EngineError, StateError } = lg;

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

describeWrongCalls({
  optimizers,
});
