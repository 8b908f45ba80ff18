import * as lg from "lanegrad";
import { afterAll, describe, expect, it } from "vitest";
import { KERNEL_SETS } from "../support/engines.js";
import { fuzz, pick } from "../support/fuzz.js";
import { hostile } from "../support/hostile.js";
import type { Random } from "../support/random.js";
import { stateBits } from "../support/state.js";

const CALLS = 400;
const LONGEST_MILLISECONDS = 1000;
const LONGEST_MESSAGE = 4000;

/** What a callback of the user's throws passes through; nothing else does. */
class UsersError extends Error {}

class UsersLayer extends lg.Layer {
  constructor(readonly fails: () => unknown) {
    super();
  }
  override forward(x: lg.Input): lg.Tensor {
    return this.fails() === undefined ? (x as lg.Tensor) : (this.fails() as lg.Tensor);
  }
  override backwardInput(dy: lg.Input): lg.Tensor {
    return this.fails() === undefined ? (dy as lg.Tensor) : (this.fails() as lg.Tensor);
  }
}

/** A net in the middle of training and what programs have around it: what a call that fails must leave as it is. */
class World {
  readonly engine: lg.Engine;
  readonly other: lg.Engine;
  readonly net: lg.Sequential;
  readonly images: lg.Sequential;
  readonly optimizer: lg.Adam;
  /** What a layer returned, which it overwrites. */
  readonly output: lg.Tensor;
  readonly gone: lg.Tensor;
  readonly goneLayer: lg.Linear;
  readonly goneEngine: lg.Engine;
  readonly made: { dispose(): void }[] = [];

  constructor(
    readonly random: Random,
    kernels: lg.Engine["kernels"],
  ) {
    this.engine = lg.createEngine({ kernels, maximumMemory: 2 ** 27, seed: random.integer(0, 1000) });
    this.other = lg.createEngine({ kernels, maximumMemory: 2 ** 24 });
    const { engine } = this;
    this.net = new lg.Sequential(
      new lg.Linear(4, 6, { engine }),
      new lg.PReLU({ numParameters: 6, constraint: "exp", penalty: 0.1, engine }),
      new lg.Sequential(new lg.BatchNorm1d(6, { engine }), new lg.Dropout(0.5, { engine })),
      new lg.LinearELU(6, 3, { engine }),
    );
    this.images = new lg.Sequential(
      new lg.Conv2d(1, 2, 3, { engine }),
      new lg.BatchNorm2d(2, { engine }),
      new lg.MaxPool2d(2, { engine }),
      new lg.Flatten({ engine }),
    );
    this.optimizer = new lg.Adam(this.net.parameters());
    this.gone = engine.tensor([1, 2, 3, 4]);
    this.gone.dispose();
    this.goneLayer = new lg.Linear(4, 3, { engine });
    this.goneLayer.dispose();
    this.goneEngine = lg.createEngine({ kernels, maximumMemory: 2 ** 22 });
    this.goneEngine.dispose();
    this.net.backward(lg.crossEntropy(this.net.forward(this.tensor([5, 4])), [0, 1, 2, 0, 1]).grad);
    this.optimizer.step();
    this.output = this.net.forward(this.tensor([3, 4]));
    this.images.backward(this.images.forward(this.tensor([2, 1, 8, 8])).clone());
  }

  tensor(shape: number[]): lg.Tensor {
    const made = this.engine.tensor(this.random.values(shape.reduce((product, length) => product * length, 1)), shape);
    this.made.push(made);
    return made;
  }

  bits(): unknown {
    return [
      stateBits(this.net),
      stateBits(this.images),
      this.net.training,
      this.net.layers.map(({ training }) => training),
      this.images.training,
      this.optimizer.groups.map(({ params, ...settings }) => [params.length, settings]),
    ];
  }

  dispose(): void {
    for (const engine of [this.engine, this.other]) engine.dispose();
  }
}

/** A right value most of the time, a hostile one otherwise. */
const either = (world: World, right: () => unknown): unknown =>
  world.random.next() < 0.65 ? right() : stranger(world);

/** A function that the library calls: what it throws is the user's own. */
const called = (value: unknown): unknown =>
  typeof value === "function"
    ? (...given: unknown[]) => {
        try {
          return value(...given);
        } catch (cause) {
          throw new UsersError("called", { cause });
        }
      }
    : value;

/** Hostile values, and objects that are what they should be but gone, or another engine's. */
function stranger(world: World): unknown {
  const { random } = world;
  if (random.next() < 0.75) return hostile(random);
  return pick<() => unknown>(random, [
    () => world.gone,
    () => world.goneLayer,
    () => world.goneEngine,
    () => world.engine,
    () => world.net,
    () => world.optimizer,
    () => world.other.tensor([[1, 2, 3, 4]]),
    () => new lg.Linear(4, 3, { engine: world.other }),
    () => new Proxy(world.tensor([2, 4]), {}),
    () => new Proxy(world.net, {}),
    () => world.net.parameters()[0],
    () => world.net.stateDict(),
  ])();
}

const inputs = (world: World): unknown => {
  const rows = world.random.integer(0, 5);
  const values = () => world.random.values(4);
  return pick<() => unknown>(world.random, [
    () => world.tensor([rows, 4]),
    () => world.random.values(4 * rows),
    () => Float64Array.from(values()),
    () => Array.from({ length: rows }, values),
    () => Array.from({ length: rows }, () => Array.from(values())),
    () => Array.from(values()),
    () => world.output,
  ])();
};

const gradients = (world: World): unknown =>
  pick<() => unknown>(world.random, [
    () => world.tensor([5, 3]),
    () => world.random.values(15),
    () => Array.from({ length: 5 }, () => Array.from(world.random.values(3))),
  ])();

const labels = (world: World): unknown => {
  const values = Array.from({ length: 5 }, () => world.random.integer(0, 2));
  return pick<() => unknown>(world.random, [
    () => values,
    () => Int32Array.from(values),
    () => Uint8Array.from(values),
  ])();
};

/** Options of which some are right, some wrong and some unknown. */
function options(world: World, known: Record<string, () => unknown>): unknown {
  const { random } = world;
  if (random.next() < 0.3) return undefined;
  const entries = Object.entries(known).filter(() => random.next() < 0.6);
  const result = Object.fromEntries(
    entries.map(([key, right]) => [key, key === "loss" ? called(either(world, right)) : either(world, right)]),
  );
  if (random.next() < 0.1) result[pick(random, ["x", "", "learningRate"])] = hostile(random);
  return random.next() < 0.1 ? hostile(random) : result;
}

const size = (world: World) => () => world.random.integer(1, 5);
const engineOf = (world: World) => ({ engine: () => world.engine });
const targetsOf = (world: World): unknown => pick(world.random, ["labels", "values"]);
const lossOf = (world: World): unknown =>
  pick<unknown>(world.random, [
    lg.crossEntropy,
    lg.mseLoss,
    () => {
      throw new UsersError("loss");
    },
    () => hostile(world.random),
    (output: lg.Tensor) => ({ loss: 1, grad: output.clone() }),
  ]);

const layers = (world: World): unknown =>
  pick<() => unknown>(world.random, [
    () => new lg.Linear(4, 4, { engine: world.engine }),
    () => new lg.ReLU({ engine: world.engine }),
    () => world.net,
    () => new UsersLayer(() => undefined),
    () => new UsersLayer(() => hostile(world.random)),
    () =>
      new UsersLayer(() => {
        throw new UsersError("layer");
      }),
  ])();

type Call = (world: World, value: (right: () => unknown) => never) => unknown;

const METHODS = ["forward", "backward", "backwardInput", "backwardParams"] as const;

/** The public surface; `value` makes an argument right or wrong. */
const CALLS_BY_NAME: Record<string, Call> = {
  createEngine: (world) => {
    const made = lg.createEngine(
      options(world, {
        kernels: () => "js",
        threads: () => 1,
        maximumMemory: () => 2 ** 22,
        seed: () => 3,
        wide: () => false,
        module: () => undefined,
      }) as never,
    );
    made.dispose();
  },
  tensor: (world, value) =>
    world.engine.tensor(
      value(() => inputs(world)),
      value(() => undefined),
    ),
  zeros: (world, value) => world.engine.zeros(value(() => [world.random.integer(0, 4), value(() => 3)])),
  reshape: (world, value) => world.tensor([2, 4]).reshape(value(() => [4, value(() => 2)])),
  fill_: (world, value) => world.tensor([2]).fill_(value(() => 1)),
  add_: (world, value) =>
    world.tensor([2, 4]).add_(
      value(() => world.tensor([2, 4])),
      value(() => 2),
    ),
  print: (world) => String(pick<unknown>(world.random, [world.tensor([3, 2]), world.gone, world.net, world.goneLayer])),
  matmul: (world, value) =>
    lg.matmul(
      value(() => world.tensor([3, 4])),
      value(() => world.tensor([4, 2])),
      options(world, {
        transposeA: () => false,
        transposeB: () => false,
        out: () => world.tensor([3, 2]),
        accumulate: () => true,
      }) as never,
    ),
  softmax: (world, value) => lg.softmax(value(() => world.tensor([3, 2]))),
  argmax: (world, value) => lg.argmax(value(() => world.random.values(4))),
  linear: (world, value) =>
    new lg.Linear(
      value(size(world)),
      value(size(world)),
      options(world, { bias: () => false, ...engineOf(world) }) as never,
    ),
  linearPReLU: (world, value) =>
    new lg.LinearPReLU(
      value(() => 4),
      value(() => 3),
      options(world, {
        numParameters: () => 3,
        init: () => 0.1,
        constraint: () => "square",
        penalty: () => 0.1,
        ...engineOf(world),
      }) as never,
    ),
  linearELU: (world, value) =>
    new lg.LinearELU(
      value(() => 4),
      value(() => 3),
      options(world, { alpha: () => 2, ...engineOf(world) }) as never,
    ),
  activations: (world) =>
    [
      () => new lg.PReLU(options(world, { numParameters: () => 4, init: () => 0.1, ...engineOf(world) }) as never),
      () => new lg.ELU(options(world, { alpha: () => 2, ...engineOf(world) }) as never),
      () => new lg.LeakyReLU(options(world, { negativeSlope: () => 2, ...engineOf(world) }) as never),
      () => new lg.ReLU(options(world, engineOf(world)) as never),
      () => new lg.Flatten(options(world, engineOf(world)) as never),
    ][world.random.integer(0, 4)](),
  conv2d: (world, value) =>
    new lg.Conv2d(
      value(() => 1),
      value(() => 2),
      value(() => pick<unknown>(world.random, [2, [1, 3]])),
      options(world, { stride: () => 2, padding: () => [0, 1], bias: () => true, ...engineOf(world) }) as never,
    ),
  maxPool2d: (world, value) =>
    new lg.MaxPool2d(
      value(() => 2),
      options(world, { stride: () => 2, padding: () => 1, ...engineOf(world) }) as never,
    ),
  batchNorm: (world, value) =>
    new lg.BatchNorm1d(
      value(() => 4),
      options(world, { eps: () => 1e-3, momentum: () => 0.2, ...engineOf(world) }) as never,
    ),
  dropout: (world, value) =>
    new lg.Dropout(
      value(() => 0.3),
      options(world, engineOf(world)) as never,
    ),
  sequential: (world, value) =>
    world.random.next() < 0.5
      ? new lg.Sequential(
          value(() => layers(world)),
          value(() => layers(world)),
        )
      : new lg.Sequential(value(() => ({ a: value(() => layers(world)), b: value(() => layers(world)) }))),
  messages: (world, value) => {
    const method = pick(world.random, METHODS);
    return world.net[method](value(() => (method === "forward" ? inputs(world) : gradients(world))));
  },
  imageMessages: (world, value) => world.images.forward(value(() => world.tensor([2, 1, 8, 8]))),
  usersNet: (world, value) => {
    const net = new lg.Sequential(
      new lg.Linear(4, 4, { engine: world.engine }),
      layers(world) as lg.Layer,
      new lg.Linear(4, 2, { engine: world.engine }),
    );
    net.forward(value(() => inputs(world)));
    net.backward(value(() => [[1, 2]]));
  },
  loadStateDict: (world, value) =>
    world.net.loadStateDict(
      value(() => ({ ...world.net.stateDict(), ...(world.random.next() < 0.5 ? { "0.bias": stranger(world) } : {}) })),
    ),
  crossEntropy: (world, value) =>
    lg.crossEntropy(
      value(() => world.tensor([5, 3])),
      value(() => labels(world)),
      options(world, { reduction: () => "sum", labelSmoothing: () => 0.1 }) as never,
    ),
  mseLoss: (world, value) =>
    lg.mseLoss(
      value(() => world.tensor([5, 3])),
      value(() => gradients(world)),
      options(world, { reduction: () => "sum" }) as never,
    ),
  bceWithLogits: (world, value) =>
    lg.bceWithLogits(
      value(() => world.tensor([5, 3])),
      value(() => gradients(world)),
      options(world, { reduction: () => "mean" }) as never,
    ),
  optimizers: (world, value) => {
    const params = value(() =>
      pick<() => unknown>(world.random, [
        () => world.net.parameters(),
        () => [{ params: value(() => world.net.parameters()), lr: value(() => 0.1) }],
        () => [value(() => world.net.parameters()[0])],
      ])(),
    );
    const number = () => world.random.next() / 2;
    const settings = { lr: number, eps: number, weightDecay: number, momentum: number };
    const Kind = pick(world.random, [lg.SGD, lg.Adam, lg.AdamW, lg.RMSprop]);
    return new Kind(params, options(world, { ...settings, betas: () => [value(number), 0.9], alpha: number }) as never);
  },
  groups: (world, value) => {
    const adam = new lg.Adam(world.net.parameters());
    const [group] = adam.groups as unknown as Record<string, unknown>[];
    group[pick(world.random, ["lr", "betas", "eps", "params", "other"])] = value(() => 0.01);
    return pick<() => unknown>(world.random, [
      () => adam.step(),
      () => adam.stateDict(),
      () => adam.zeroGrad(),
      () => typeof adam.lr,
    ])();
  },
  optimizerState: (world, value) =>
    world.optimizer.loadStateDict(
      value(() => {
        const state = structuredClone(world.optimizer.stateDict()) as unknown as Record<string, unknown>;
        if (world.random.next() < 0.5) return state;
        state[pick(world.random, ["type", "groups"])] = stranger(world);
        return state;
      }),
    ),
  clipGradNorm: (world, value) =>
    lg.clipGradNorm(
      value(() => [...world.net.parameters().slice(1), value(() => world.net.parameters()[0])]),
      value(() => 1),
    ),
  init: (world, value) => {
    const name = pick(world.random, ["kaimingNormal_", "kaimingUniform_", "xavierNormal_", "xavierUniform_"] as const);
    return lg.init[name](
      value(() => world.tensor([3, 4])),
      options(world, { seed: () => 1, fanIn: () => 3 }) as never,
    );
  },
  jacobian: (world, value) =>
    lg.jacobian(
      value(() => world.net),
      value(() => [
        [1, 2, 3, 4],
        [0, 1, 2, 3],
      ]),
    ),
  gradCheck: (world, value) =>
    lg.gradCheck(
      value(() => new lg.Linear(4, 2, { engine: world.engine })),
      value(() => [[1, 2, 3, 4]]),
      options(world, { epsilon: () => 0.01, seed: () => 2 }) as never,
    ),
  predict: (world, value) =>
    lg.predict(
      value(() => world.net),
      value(() => inputs(world)),
      options(world, { batchSize: () => 2, sampleShape: () => [4] }) as never,
    ),
  evaluate: (world, value) =>
    lg.evaluate(
      value(() => world.net),
      value(() => ({ x: value(() => world.random.values(20)), y: value(() => labels(world)) })),
      options(world, { batchSize: () => 2, loss: () => lossOf(world), targets: () => targetsOf(world) }) as never,
    ),
  fit: async (world, value) => {
    const { engine } = world;
    const net = new lg.Sequential(new lg.Linear(4, 3, { engine }));
    const known: Record<string, () => unknown> = {
      train: () => ({ x: value(() => world.random.values(20)), y: value(() => labels(world)) }),
      test: () => undefined,
      epochs: () => 2,
      batchSize: () => 2,
      optimizer: () => new lg.SGD(net.parameters(), { lr: 0.01 }),
      loss: () => lossOf(world),
      targets: () => targetsOf(world),
      allowNonFinite: () => true,
      shuffle: () => true,
      seed: () => 1,
      onEpoch: () => undefined,
      onBatch: () => undefined,
      signal: () => undefined,
    };
    // one of them wrong: otherwise next to nothing is ever trained
    const wrong = pick(world.random, Object.keys(known));
    const settings = Object.fromEntries(
      Object.entries(known).map(([key, right]) => [key, called(key === wrong ? either(world, right) : right())]),
    );
    await lg.fit(
      value(() => net),
      value(() => settings),
    );
  },
  save: (world, value) => lg.save(value(() => world.net)),
  load: (world, value) =>
    lg.load(
      value(() => world.net),
      value(() => lg.save(world.net)),
    ),
  readIdx: (_, value) => lg.readIdx(value(() => Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 1, 2))),
  inspect: (world, value) => [lg.slopeStats(value(() => world.net)), lg.summary(value(() => world.net))],
};

/** Calls that may change the world's nets where they succeed, and only there. */
async function callOnce(world: World, name: string): Promise<unknown> {
  const value = (right: () => unknown): never => either(world, right) as never;
  return CALLS_BY_NAME[name](world, value);
}

async function round(random: Random, kernels: lg.Engine["kernels"], failures: Map<string, number>): Promise<void> {
  const world = new World(random, kernels);
  const names = Object.keys(CALLS_BY_NAME);
  try {
    for (let i = 0; i < CALLS; i++) {
      const name = pick(random, names);
      const before = world.bits();
      const begin = performance.now();
      let error: unknown;
      try {
        await callOnce(world, name);
      } catch (thrown) {
        error = thrown;
      }
      const milliseconds = performance.now() - begin;
      const about = `call ${i}, ${name}`;
      expect(milliseconds, about).toBeLessThan(LONGEST_MILLISECONDS);
      failures.set(name, (failures.get(name) ?? 0) + (error === undefined ? 0 : 1));
      if (error === undefined || error instanceof UsersError) continue;
      if (!(error instanceof lg.LanegradError)) {
        throw new Error(`${about}: ${error instanceof Error ? error.stack : String(error)}`, { cause: error });
      }
      expect(error.message.length, about).toBeLessThan(LONGEST_MESSAGE);
      expect(world.bits(), `${about}: ${error.message}`).toEqual(before);
    }
  } finally {
    world.dispose();
  }
}

describe("random calls of the public surface", () => {
  const failures = new Map<string, number>();

  it("end in a LanegradError or a result, at once, and change nothing where they fail", async () => {
    const memory = process.memoryUsage().rss;
    const rounds = await fuzz((random) => round(random, pick(random, KERNEL_SETS), failures));
    expect(rounds).toBeGreaterThan(0);
    expect(process.memoryUsage().rss - memory).toBeLessThan(1.5e9);
  });

  afterAll(() => {
    const rows = [...failures].map(([name, count]) => `${name} ${count}`);
    console.log(`refused calls: ${rows.join(", ")}`);
  });
});
