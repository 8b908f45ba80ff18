import * as lg from "lanegrad";
import { describe, expect, it, test } from "vitest";
import { integerPower } from "../../src/deterministic-math.js";
import { describeEngines } from "../support/engines.js";
import { collectGarbage } from "../support/garbage.js";
import { expectRefusal, randomTensor, refusal, wrong } from "../support/state.js";

/** Weight decay and momentum: a step moves a parameter whatever its gradient. */
const OPTIMIZERS: [name: string, make: (params: lg.Parameter[]) => lg.SGD | lg.Adam | lg.AdamW | lg.RMSprop][] = [
  ["SGD", (params) => new lg.SGD(params, { lr: 0.1, momentum: 0.9, weightDecay: 0.1 })],
  ["Adam", (params) => new lg.Adam(params, { lr: 0.1, weightDecay: 0.1 })],
  ["AdamW", (params) => new lg.AdamW(params, { lr: 0.1, amsgrad: true })],
  ["RMSprop", (params) => new lg.RMSprop(params, { lr: 0.1, momentum: 0.9, weightDecay: 0.1 })],
];

const parameter = (engine: lg.Engine, values: number[], name = "p"): lg.Parameter => ({
  name,
  value: engine.tensor(values),
  grad: engine.zeros([values.length]),
});

describe("a gradient that is none", () => {
  describeEngines((engine) => {
    /** Whether a step moves the parameter. */
    const isStepped = (p: lg.Parameter): boolean => {
      const before = p.value.toArray();
      new lg.AdamW([p], { lr: 0.125 }).step();
      return JSON.stringify(p.value) !== JSON.stringify(before);
    };

    describe.each(OPTIMIZERS)("%s", (_name, make) => {
      it("leaves the parameter and its state as they are, and nothing of them is made", () => {
        const [p, q] = [parameter(engine(), [1, -2]), parameter(engine(), [3, 4])];
        const optimizer = make([p, q]);
        const { used } = engine().memory;
        optimizer.step();
        expect(engine().memory.used).toBe(used);
        expect(optimizer.stateDict().groups[0].states).toEqual([null, null]);
        q.grad.fill_(1);
        optimizer.step();
        expect(p.value.toArray()).toEqual([1, -2]);
        expect(optimizer.stateDict().groups[0].states[0]).toBeNull();
        const [moved, state] = [q.value.toArray(), optimizer.stateDict()];
        expect(moved).not.toEqual([3, 4]);
        optimizer.zeroGrad();
        optimizer.step();
        expect(q.value.toArray()).toEqual(moved);
        expect(optimizer.stateDict()).toEqual(state);
      });

      it("counts steps for each parameter: one that comes later starts as the first did", () => {
        const [p, q] = [parameter(engine(), [1, -2]), parameter(engine(), [1, -2])];
        const optimizer = make([p, q]);
        for (const late of [false, false, true]) {
          optimizer.zeroGrad();
          if (late) q.grad.fill_(0.5);
          else p.grad.fill_(0.5);
          optimizer.step();
          if (late) break;
        }
        const single = parameter(engine(), [1, -2]);
        const other = make([single]);
        single.grad.fill_(0.5);
        other.step();
        expect(q.value.toArray()).toEqual(single.value.toArray());
        expect(p.value.toArray()).not.toEqual(q.value.toArray());
      });
    });

    const SENDS: [name: string, send: (p: lg.Parameter, engine: lg.Engine) => unknown][] = [
      ["fetched", ({ grad }) => grad.data],
      ["fetched by another handle", ({ grad }) => grad.reshape([1, 2]).data],
      ["filled with zeros", ({ grad }) => grad.fill_(0)],
      ["added to", ({ grad }, on) => grad.add_(on.zeros([2]))],
      ["added to by another handle", ({ grad }, on) => grad.reshape([2, 1]).add_(on.zeros([2, 1]))],
      [
        "the out of matmul",
        ({ grad }, on) => lg.matmul(on.zeros([1, 3]), on.zeros([3, 2]), { out: grad.reshape([1, 2]) }),
      ],
      [
        "accumulated into by matmul",
        ({ grad }, on) =>
          lg.matmul(on.zeros([1, 3]), on.zeros([3, 2]), { out: grad.reshape([1, 2]), accumulate: true }),
      ],
      ["the target of init", ({ grad }) => lg.init.zeros_(grad)],
    ];
    it.each(SENDS)("ends when it is %s, though it is still zero", (_name, send) => {
      const p = parameter(engine(), [1, -2]);
      send(p, engine());
      expect(isStepped(p)).toBe(true);
      new lg.SGD([p], { lr: 1 }).zeroGrad();
      expect(isStepped(p)).toBe(false);
      send(p, engine());
      expect(isStepped(p)).toBe(true);
    });

    const READS: [name: string, read: (p: lg.Parameter, engine: lg.Engine) => unknown][] = [
      ["toArray", ({ grad }) => grad.toArray()],
      ["clone", ({ grad }) => grad.clone().data],
      ["String", ({ grad }) => String(grad)],
      ["JSON.stringify", ({ grad }) => JSON.stringify(grad)],
      ["reshape", ({ grad }) => grad.reshape([2, 1]).toArray()],
      ["clipGradNorm", (p) => lg.clipGradNorm([p], 0)],
      ["being added to another", ({ grad }, on) => on.zeros([2]).add_(grad)],
      ["a product", ({ grad }) => lg.matmul(grad.reshape([1, 2]), grad.reshape([2, 1]))],
      [
        "a sum over nothing",
        ({ grad }, on) =>
          lg.matmul(on.zeros([1, 0]), on.zeros([0, 2]), { out: grad.reshape([1, 2]), accumulate: true }),
      ],
      ["a forward", ({ grad }, on) => new lg.ReLU({ engine: on }).forward(grad)],
      ["a loss", ({ grad }, on) => lg.mseLoss(on.zeros([2]), grad)],
      ["softmax", ({ grad }) => lg.softmax(grad)],
    ];
    it.each(READS)("is left so by %s, which sees zeros", (_name, read) => {
      const p = parameter(engine(), [1, -2]);
      read(p, engine());
      expect(isStepped(p)).toBe(false);
      p.grad.fill_(7);
      new lg.SGD([p], { lr: 1 }).zeroGrad();
      read(p, engine());
      expect(isStepped(p)).toBe(false);
      expect(p.grad.toArray()).toEqual([0, 0]);
    });

    it("is not what a tensor of values begins with: tensor, clone, what a layer returns", () => {
      const value = () => engine().tensor([1, -2]);
      expect(isStepped({ name: "p", value: value(), grad: engine().tensor([0, 0]) })).toBe(true);
      expect(isStepped({ name: "p", value: value(), grad: engine().zeros([2]).clone() })).toBe(true);
      // the input that a net likes best: its gradient is the layer's own buffer
      const net = new lg.Sequential(
        new lg.Linear(2, 3, { engine: engine() }),
        new lg.ELU({ engine: engine() }),
        new lg.Linear(3, 1, { engine: engine() }),
      );
      const x = value();
      net.forward(x);
      const send = () => net.backwardInput(engine().tensor([1]));
      const dx = send();
      const expected = dx.toArray();
      const optimizer = new lg.SGD([{ name: "x", value: x, grad: dx }], { lr: 1 });
      optimizer.zeroGrad();
      expect(dx.toArray()).toEqual([0, 0]);
      expect(send()).toBe(dx);
      expect(dx.toArray()).toEqual(expected);
      optimizer.step();
      expect(x.toArray()).not.toEqual([1, -2]);
      net.dispose();
    });

    it("is what an unused branch keeps: weight decay does not shrink it", () => {
      const [used, unused] = [3, 3].map(() => new lg.LinearPReLU(4, 3, { engine: engine() }));
      const optimizer = new lg.AdamW([...used.parameters(), ...unused.parameters()], { weightDecay: 0.5 });
      const before = JSON.stringify(unused.stateDict());
      const moving = JSON.stringify(used.stateDict());
      for (let step = 0; step < 3; step++) {
        optimizer.zeroGrad();
        used.forward(randomTensor(engine(), [5, 4], step));
        used.backwardParams(randomTensor(engine(), [5, 3], step));
        lg.clipGradNorm(optimizer.groups[0].params, 1e-3);
        optimizer.step();
      }
      expect(JSON.stringify(unused.stateDict())).toBe(before);
      expect(JSON.stringify(used.stateDict())).not.toBe(moving);
      for (const layer of [used, unused]) layer.dispose();
    });

    it("ends with a parameter message of zeros, of every kind of layer and fused", () => {
      const on = { engine: engine() };
      const nets: [lg.Layer, number[], number[]][] = [
        [new lg.Linear(4, 3, on), [2, 4], [2, 3]],
        [new lg.LinearPReLU(4, 3, { ...on, constraint: "exp" }), [2, 4], [2, 3]],
        [new lg.LinearELU(4, 3, on), [2, 4], [2, 3]],
        [new lg.PReLU(on), [2, 4], [2, 4]],
        [new lg.BatchNorm1d(4, on), [2, 4], [2, 4]],
        [new lg.Conv2d(1, 2, 2, on), [1, 1, 3, 3], [1, 2, 2, 2]],
        [new lg.Sequential(new lg.Linear(4, 3, on), new lg.PReLU(on)), [2, 4], [2, 3]],
        [
          new lg.Sequential(new lg.Conv2d(1, 2, 2, on), new lg.PReLU({ ...on, numParameters: 2 })),
          [1, 1, 3, 3],
          [1, 2, 2, 2],
        ],
      ];
      for (const [net, input, output] of nets) {
        const optimizer = new lg.Adam(net.parameters());
        const stepped = () => optimizer.stateDict().groups[0].states.filter((state) => state !== null).length;
        net.forward(randomTensor(engine(), input));
        net.backwardInput(engine().zeros(output));
        optimizer.step();
        expect(stepped()).toBe(0);
        net.backwardParams(engine().zeros(output));
        optimizer.step();
        expect(stepped()).toBe(net.parameters().length);
        net.dispose();
      }
    });

    it("stays after an empty batch, which adds nothing and does not use a penalty up", () => {
      const plain = { engine: engine() };
      const on = { ...plain, penalty: 0.5 };
      const make = (): [lg.Layer, number[], number[], number[]][] => [
        [new lg.Linear(4, 3, plain), [0, 4], [2, 4], [3]],
        [new lg.LinearPReLU(4, 3, on), [0, 4], [2, 4], [3]],
        [new lg.LinearPReLU(4, 3, { ...on, constraint: "square" }), [0, 4], [2, 4], [3]],
        [new lg.PReLU({ ...on, constraint: "exp" }), [0, 4], [2, 4], [4]],
        [new lg.PReLU({ ...on, numParameters: 4 }), [0, 4], [2, 4], [4]],
        [new lg.Conv2d(1, 2, 2, plain), [0, 1, 3, 3], [1, 1, 3, 3], [2, 2, 2]],
        [new lg.Sequential(new lg.Linear(4, 3, plain), new lg.PReLU(on)), [0, 4], [2, 4], [3]],
      ];
      const others = make();
      make().forEach(([net, empty, full, output], i) => {
        const optimizer = new lg.Adam(net.parameters());
        const before = JSON.stringify(net.stateDict());
        for (const message of ["backward", "backwardParams"] as const) {
          net.forward(engine().zeros(empty));
          net[message](engine().zeros([0, ...output]));
        }
        optimizer.step();
        expect(JSON.stringify(net.stateDict())).toBe(before);
        // the next batch gets what a first one gets
        const gradients = [net, others[i][0]].map((layer) => {
          for (const [j, { value }] of layer.parameters().entries()) lg.init.constant_(value, 0.25 + j);
          layer.forward(engine().tensor(new Float32Array(full.reduce((a, b) => a * b)).fill(-1), full));
          layer.backward(engine().zeros([full[0], ...output]));
          return JSON.stringify(layer.parameters().map(({ grad }) => grad));
        });
        expect(gradients[0]).toBe(gradients[1]);
        // an empty batch after it neither adds nor takes away
        net.forward(engine().zeros(empty));
        net.backward(engine().zeros([0, ...output]));
        expect(JSON.stringify(net.parameters().map(({ grad }) => grad))).toBe(gradients[0]);
        net.dispose();
        others[i][0].dispose();
      });
    });

    it("counts for the penalty as long as no message came, whatever else was written", () => {
      const layer = new lg.PReLU({ engine: engine(), init: 0.5, penalty: 0.25 });
      const [{ grad }] = layer.parameters();
      for (let round = 0; round < 2; round++) {
        grad.fill_(0);
        expect(grad.data[0]).toBe(0);
        layer.forward(engine().tensor([1, 2]));
        layer.backwardParams(engine().tensor([1, 1]));
        expect(grad.toArray()).toEqual([0.125]);
        layer.backwardParams(engine().tensor([1, 1]));
        expect(grad.toArray()).toEqual([0.125]);
        layer.zeroGrad();
      }
      layer.dispose();
    });

    it("is as it was after jacobian and gradCheck", () => {
      const layer = new lg.LinearPReLU(3, 2, { engine: engine() });
      const optimizer = new lg.Adam(layer.parameters());
      const x = randomTensor(engine(), [2, 3]);
      const stepped = () => optimizer.stateDict().groups[0].states.map((state) => state !== null);
      const probe = () => {
        lg.jacobian(layer, x);
        lg.gradCheck(layer, x);
        optimizer.step();
      };
      probe();
      expect(stepped()).toEqual([false, false, false]);
      layer.parameters()[1].grad.fill_(0);
      probe();
      expect(stepped()).toEqual([false, true, false]);
      layer.dispose();
    });

    it("counts as 0 in clipGradNorm, and a norm that is not finite does not reach it", () => {
      const [p, q] = [parameter(engine(), [1, 2]), parameter(engine(), [1, 2])];
      p.grad.fill_(Number.NaN);
      new lg.SGD([p], { lr: 1 }).zeroGrad();
      q.grad.data.set([3, 4]);
      expect(lg.clipGradNorm([p, q], 1)).toBe(5);
      expect(q.grad.data[0]).toBeCloseTo(0.6, 6);
      q.grad.fill_(Number.POSITIVE_INFINITY);
      expect(lg.clipGradNorm([p, q], 1)).toBe(Number.POSITIVE_INFINITY);
      expect(p.grad.toArray()).toEqual([0, 0]);
    });
  });
});

describe("settings that change on the way act as in PyTorch", () => {
  // torch 1.13, float64
  const GRADIENTS = [
    [0.5, -1],
    [0.25, 2],
    [-0.5, 0.125],
    [1, -0.75],
    [0.0625, 0.5],
    [-1.5, 0.25],
    [0.75, -0.5],
    [0.5, 0.5],
  ];
  const CASES: [
    name: string,
    make: (params: lg.Parameter[]) => lg.SGD | lg.Adam | lg.RMSprop,
    change: Record<number, object>,
    skipped: number[],
    expected: number[],
  ][] = [
    [
      "SGD, momentum comes later",
      (params) => new lg.SGD(params, { lr: 0.1, weightDecay: 0.01 }),
      { 2: { momentum: 0.9 } },
      [],
      [0.923773523999346, -2.005424974907008],
    ],
    [
      "SGD, momentum goes and comes back to the buffer it left",
      (params) => new lg.SGD(params, { lr: 0.1, momentum: 0.9 }),
      { 3: { momentum: 0 }, 5: { momentum: 0.5 } },
      [],
      [0.849375, -2.2128125],
    ],
    [
      "SGD, dampening, where the first steps are skipped",
      (params) => new lg.SGD(params, { lr: 0.1, momentum: 0.9, dampening: 0.5 }),
      { 4: { dampening: 0.25 } },
      [0, 1, 5],
      [0.8757268750000002, -1.99010125],
    ],
    [
      "SGD, nesterov comes and goes",
      (params) => new lg.SGD(params, { lr: 0.1, momentum: 0.9 }),
      { 3: { nesterov: true }, 6: { nesterov: false, dampening: 0.5 } },
      [],
      [0.75854178, -2.423640935],
    ],
    [
      "RMSprop, alpha, eps, momentum and weightDecay",
      (params) => new lg.RMSprop(params, { lr: 0.1, momentum: 0.9, centered: true, alpha: 0.9 }),
      { 2: { alpha: 0.5, eps: 0.1 }, 5: { momentum: 0.5, weightDecay: 0.1 } },
      [0, 4],
      [0.03373109631508307, -2.7881726001190303],
    ],
    [
      "Adam, betas, eps and weightDecay, amsgrad",
      (params) => new lg.Adam(params, { lr: 0.1, amsgrad: true, betas: [0.8, 0.9] }),
      { 3: { betas: [0.2, 0.3] }, 5: { eps: 0.1, weightDecay: 0.1 } },
      [0, 4],
      [0.8432023438310251, -2.0258309330015627],
    ],
  ];
  describeEngines((engine) => {
    test.each(CASES)("%s", (_name, make, change, skipped, expected) => {
      const p = parameter(engine(), [1, -2]);
      const optimizer = make([p]);
      GRADIENTS.forEach((gradient, step) => {
        Object.assign(optimizer.groups[0], change[step]);
        optimizer.zeroGrad();
        if (!skipped.includes(step)) p.grad.data.set(gradient);
        optimizer.step();
      });
      p.value.data.forEach((value, i) => {
        // what is left of 1 and -2, whose last bits count
        expect(Math.abs(value - expected[i])).toBeLessThan(1e-6 * (1 + Math.abs(expected[i])));
      });
    });

    it("Adam's corrections are those of the betas of now", () => {
      const p = parameter(engine(), [1]);
      const optimizer = new lg.Adam([p]);
      p.grad.fill_(0.5);
      optimizer.step();
      optimizer.step();
      optimizer.groups[0].betas = [0.5, 0.5];
      optimizer.step();
      expect(p.value.data[0]).toBeCloseTo(0.997101342377916, 6);
      expect(optimizer.stateDict().groups[0].states[0]?.numbers).toEqual({ step: 3 });
    });

    it("betas belong to their group, and may be written in place", () => {
      const params = [parameter(engine(), [1]), parameter(engine(), [1])];
      const betas: [number, number] = [0.9, 0.999];
      const optimizer = new lg.Adam([{ params: [params[0]] }, { params: [params[1]] }], { betas });
      (optimizer.groups[0].betas as [number, number])[0] = 0;
      betas[0] = 0.5;
      expect(optimizer.groups.map((group) => group.betas)).toEqual([
        [0, 0.999],
        [0.9, 0.999],
      ]);
      for (const [i, gradient] of [1, -1].entries()) {
        for (const { grad } of params) grad.fill_(gradient);
        optimizer.step();
        // without memory the second step goes back; with it less so
        if (i === 1) expect(params[0].value.data[0]).toBeGreaterThan(params[1].value.data[0] + 1e-4);
      }
    });
  });
});

describe("integer powers", () => {
  /** (numerator / 2^53)^exponent with 200 bits. */
  const exact = (base: number, exponent: number): number => {
    const bits = 200n;
    let power = 1n << bits;
    let square = BigInt(base * 2 ** 53) << (bits - 53n);
    for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
      if (rest % 2 === 1) power = (power * square) >> bits;
      square = (square * square) >> bits;
    }
    return Number(power) / 2 ** Number(bits);
  };
  it("give corrections that float32 cannot tell from exact ones, up to millions of steps", () => {
    for (const base of [0, 0.5, 0.9, 0.999, 0.9999, 0.999999]) {
      for (const exponent of [1, 2, 3, 7, 1000, 4095, 65_536, 999_999, 5_000_000, 2 ** 31 + 1]) {
        const [got, expected] = [1 - integerPower(base, exponent), 1 - exact(base, exponent)];
        expect(Math.abs(got - expected), `${base} ** ${exponent}`).toBeLessThanOrEqual(2 ** -30 * expected);
      }
    }
  });
  it("are exact where they can be", () => {
    expect(integerPower(0.5, 0)).toBe(1);
    expect(integerPower(0, 1)).toBe(0);
    expect(integerPower(0.5, 52)).toBe(2 ** -52);
    expect(integerPower(3, 33)).toBe(5_559_060_566_555_523);
    expect(integerPower(0.5, 2 ** 52)).toBe(0);
    expect(integerPower(1, Number.MAX_SAFE_INTEGER)).toBe(1);
  });
});

describe("an optimizer's state is given back", () => {
  describeEngines((engine) => {
    const send = (params: readonly lg.Parameter[]) => {
      for (const { grad } of params) grad.fill_(1);
    };

    it("with its parameters' layer, though the optimizer stays", async () => {
      const nets = [0, 1].map(() => new lg.Linear(20, 10, { engine: engine() }));
      const { used } = engine().memory;
      const optimizers = [
        new lg.Adam(
          nets.flatMap((net) => net.parameters()),
          { amsgrad: true },
        ),
        new lg.RMSprop(nets[0].parameters(), { centered: true }),
      ];
      send(nets.flatMap((net) => net.parameters()));
      for (const optimizer of optimizers) optimizer.step();
      expect(engine().memory.used).toBeGreaterThan(used);
      const held = engine().memory.used;
      nets[0].dispose();
      expect(engine().memory.used).toBeLessThan(held - 5 * 200 * 4);
      const calls = [
        () => optimizers[0].step(),
        () => optimizers[0].zeroGrad(),
        () => optimizers[0].stateDict(),
        () => optimizers[0].loadStateDict(wrong({})),
      ];
      for (const call of calls) expectRefusal(await refusal(call), lg.StateError, /disposed/);
      nets[1].dispose();
      const left = engine().memory.used;
      for (const optimizer of optimizers) optimizer.dispose();
      expect(engine().memory.used).toBe(left);
    });

    it("by dispose, the parameters stay; using it then is a StateError", async () => {
      const p = parameter(engine(), [1, 2]);
      const [adam, sgd] = [new lg.Adam([p]), new lg.SGD([p], { lr: 0.1, momentum: 0.5 })];
      const { used } = engine().memory;
      send([p]);
      adam.step();
      sgd.step();
      const state = adam.stateDict();
      const values = p.value.toArray();
      adam.dispose();
      adam.dispose();
      sgd[Symbol.dispose]();
      expect(engine().memory.used).toBe(used);
      expect(p.value.toArray()).toEqual(values);
      const calls = [() => adam.step(), () => adam.zeroGrad(), () => adam.stateDict(), () => adam.loadStateDict(state)];
      for (const call of calls)
        expectRefusal(await refusal(call), lg.StateError, /Adam: \w+: the optimizer was disposed/);
      expect(p.grad.toArray()).toEqual([1, 1]);
      expect(p.value.toArray()).toEqual(values);
      // another goes on from the state
      const other = new lg.Adam([p]);
      other.loadStateDict(state);
      other.step();
      expect(p.value.toArray()).not.toEqual(values);
      other.dispose();
    });

    it("also of a parameter that is in no group any more", () => {
      const params = [parameter(engine(), [1, 2]), parameter(engine(), [3, 4])];
      const { used } = engine().memory;
      const optimizer = new lg.Adam(params);
      send(params);
      optimizer.step();
      const held = engine().memory.used - used;
      // frozen, it keeps its state until it or the optimizer goes
      optimizer.groups[0].params.pop();
      optimizer.step();
      expect(engine().memory.used - used).toBe(held);
      expect(optimizer.stateDict().groups[0].states.length).toBe(1);
      optimizer.dispose();
      expect(engine().memory.used).toBe(used);
    });

    it("when the parameters or the optimizer were dropped", async () => {
      const kept = parameter(engine(), [1]);
      const optimizer = new lg.Adam([kept]);
      // of the tests before
      let rounds = 0;
      await collectGarbage(() => rounds++ === 2);
      const before = engine().memory.used;
      (() => {
        const dropped = parameter(engine(), new Array(1000).fill(1));
        optimizer.groups[0].params.push(dropped);
        send([dropped]);
        optimizer.step();
        optimizer.groups[0].params.pop();
        optimizer.step();
      })();
      expect(engine().memory.used).toBeGreaterThan(before);
      await collectGarbage(() => engine().memory.used <= before);
      expect(engine().memory.used).toBe(before);
      for (let round = 0; round < 20; round++) {
        send([kept]);
        new lg.Adam([kept]).step();
      }
      expect(engine().memory.used).toBeGreaterThan(before);
      await collectGarbage(() => engine().memory.used <= before);
      expect(engine().memory.used).toBe(before);
      expect(optimizer.lr).toBe(1e-3);
    });

    it("a search over hyperparameters holds the same memory from trial to trial", () => {
      const used: number[] = [];
      const optimizers: lg.Adam[] = [];
      for (let trial = 0; trial < 40; trial++) {
        const on = { engine: engine() };
        const net = new lg.Sequential(new lg.Linear(50, 40, on), new lg.ReLU(on), new lg.Linear(40, 10, on));
        const optimizer = new lg.Adam(net.parameters(), { lr: 10 ** -(trial % 5) });
        // even one that holds on to its optimizers
        optimizers.push(optimizer);
        net.forward(engine().zeros([3, 50]));
        net.backwardParams(new Float32Array(30));
        optimizer.step();
        net.dispose();
        used.push(engine().memory.reserved);
      }
      expect(new Set(used.slice(5)).size).toBe(1);
    });
  });
});

describe("groups that are wrong", () => {
  describeEngines((engine) => {
    const hostile = (): unknown =>
      new Proxy(
        {},
        {
          get() {
            throw new Error("not to be read");
          },
          has() {
            throw new Error("not to be read");
          },
        },
      );
    const cyclic = (): unknown[] => {
      const list: unknown[] = [];
      list.push(list);
      return list;
    };
    const holed = (first: unknown, last: unknown): unknown[] => Object.assign(new Array(3), { 0: first, 2: last });
    const revoked = (): unknown => {
      const { proxy, revoke } = Proxy.revocable([], {});
      revoke();
      return proxy;
    };

    it("at construction: unknown settings, and what is no list of parameters", async () => {
      const p = () => parameter(engine(), [1, 2]);
      const cases: [unknown, new (m: string) => lg.LanegradError, RegExp][] = [
        [[{ params: [p()], learningRate: 1 }], lg.ArgumentError, /"learningRate".*lr, betas, eps.*params/],
        [[{ params: [p()], momentum: 1 }], lg.ArgumentError, /"momentum"/],
        [[{ params: [p()], lr: () => 1 }], lg.ArgumentError, /lr: got function/],
        [[{ params: [p()], betas: [0.5] }], lg.ArgumentError, /betas/],
        [[{ params: [p()], betas: [0.5, 0.5, 0.5] }], lg.ArgumentError, /betas/],
        [[{ params: [p()], betas: cyclic() }], lg.ArgumentError, /betas/],
        [{ length: 2 ** 32 }, lg.ArgumentError, /expected parameters/],
        [new Array(2 ** 32 - 1), lg.ArgumentError, /undefined/],
        [holed(p(), p()), lg.ArgumentError, /undefined/],
        [holed({ params: [p()] }, { params: [p()] }), lg.ArgumentError, /group/],
        [[{ params: new Array(2 ** 32 - 1) }], lg.ArgumentError, /undefined/],
        [cyclic(), lg.ArgumentError, /expected parameters/],
        [hostile(), lg.ArgumentError, /an object|expected parameters/],
        [[hostile()], lg.ArgumentError, /not to be read/],
        [[{ params: hostile() }], lg.ArgumentError, /group/],
        [revoked(), lg.ArgumentError, /cannot be read/],
        [[{ params: [hostile()] }], lg.ArgumentError, /not to be read/],
        [[{ ...p(), value: [1, 2] }], lg.ArgumentError, /\[1, 2\] as its value/],
        [[{ ...p(), grad: null }], lg.ArgumentError, /null as its grad/],
        [new Proxy([p()], { get: (list, key) => (key === "length" ? 2 ** 32 : list[0]) }), lg.StateError, /twice/],
      ];
      for (const [params, type, message] of cases) {
        expectRefusal(await refusal(() => new lg.Adam(wrong(params))), type, message);
      }
      const same = p();
      const again = { ...same, value: same.value.reshape([1, 2]), grad: same.grad.reshape([1, 2]) };
      expectRefusal(await refusal(() => new lg.Adam([same, again])), lg.StateError, /twice/);
      const others = lg.createEngine({ kernels: "js" });
      const foreign = parameter(others, [1, 2]);
      expectRefusal(await refusal(() => new lg.Adam([p(), foreign])), lg.EngineError, /different engines/);
      others.dispose();
    });

    const LATER: [
      name: string,
      change: (optimizer: lg.Adam, p: lg.Parameter) => void,
      type: unknown,
      message: RegExp,
    ][] = [
      [
        "a setting that is not known",
        ({ groups }) => Object.assign(groups[0], { learningRate: 1 }),
        lg.ArgumentError,
        /learningRate/,
      ],
      ["a function as a setting", ({ groups }) => Object.assign(groups[0], { lr: () => 1 }), lg.ArgumentError, /lr/],
      [
        "a symbol as a setting",
        ({ groups }) => Object.assign(groups[0], { eps: Symbol("x") }),
        lg.ArgumentError,
        /eps/,
      ],
      [
        "a setting that is gone",
        ({ groups }) => Reflect.deleteProperty(groups[0], "eps"),
        lg.ArgumentError,
        /eps: got undefined/,
      ],
      ["betas written to", ({ groups }) => Object.assign(groups[0].betas, { 1: 2 }), lg.ArgumentError, /betas/],
      ["a group that is null", ({ groups }) => groups.push(wrong(null)), lg.ArgumentError, /null/],
      [
        "a group without settings",
        ({ groups }, p) => groups.push(wrong({ params: [{ ...p, value: p.value.clone() }] })),
        lg.ArgumentError,
        /lr: got undefined/,
      ],
      ["a parameter twice", ({ groups }, p) => groups[0].params.push(p), lg.StateError, /twice/],
      ["a group twice", ({ groups }) => groups.push(groups[0]), lg.StateError, /twice/],
      [
        "what is no parameter",
        ({ groups }) => groups[0].params.push(wrong({})),
        lg.ArgumentError,
        /expected parameters/,
      ],
      ["no list of parameters", ({ groups }) => Object.assign(groups[0], { params: 3 }), lg.ArgumentError, /group/],
      ["no list of groups", (optimizer) => Object.assign(optimizer, { groups: null }), lg.ArgumentError, /null/],
      [
        "getters that throw",
        ({ groups }) => {
          groups[0] = wrong(hostile());
        },
        lg.ArgumentError,
        /not to be read/,
      ],
      [
        "a parameter whose getters throw",
        (_optimizer, p) =>
          Object.defineProperty(p, "grad", {
            get() {
              throw new Error("gone");
            },
          }),
        lg.ArgumentError,
        /gone/,
      ],
    ];
    it.each(LATER)("later, at step and stateDict: %s", async (_name, change, type, message) => {
      const p = parameter(engine(), [1, -2]);
      const optimizer = new lg.Adam([p]);
      p.grad.fill_(1);
      optimizer.step();
      const state = optimizer.stateDict();
      const values = p.value.toArray();
      change(optimizer, p);
      for (const call of [() => optimizer.step(), () => optimizer.stateDict(), () => optimizer.loadStateDict(state)]) {
        expectRefusal(await refusal(call), wrong(type), message);
      }
      expect(p.value.toArray()).toEqual(values);
      optimizer.dispose();
    });

    it("a parameter that is replaced in a group is stepped from then on", () => {
      const [p, q] = [parameter(engine(), [1]), parameter(engine(), [1])];
      const optimizer = new lg.SGD([p], { lr: 0.5 });
      for (const { grad } of [p, q]) grad.fill_(1);
      optimizer.step();
      optimizer.groups[0].params = [q];
      optimizer.step();
      optimizer.groups.push({ ...optimizer.groups[0], params: [p], lr: 0.25 });
      optimizer.step();
      expect([p.value.toArray(), q.value.toArray()]).toEqual([[0.25], [0]]);
    });

    it("lr is refused where there is no group to set, and not half set", async () => {
      const optimizer = new lg.SGD([parameter(engine(), [1])], { lr: 0.5 });
      Object.freeze(optimizer.groups[0]);
      const set = () => {
        optimizer.lr = 0.25;
      };
      expectRefusal(await refusal(set), lg.ArgumentError, /frozen/);
      optimizer.groups.length = 0;
      expectRefusal(await refusal(() => optimizer.lr), lg.ArgumentError, /\[\] as groups/);
    });

    it("clipGradNorm takes parameters and nothing else", async () => {
      const p = parameter(engine(), [1, 2]);
      p.grad.fill_(3);
      const cases: unknown[] = [
        [null],
        [p, undefined],
        [{}],
        [p.grad],
        holed(p, p),
        new Array(2 ** 32 - 1),
        cyclic(),
        [hostile()],
        hostile(),
        revoked(),
        { length: 2 ** 32 },
        "params",
      ];
      for (const params of cases) {
        expectRefusal(await refusal(() => lg.clipGradNorm(wrong(params), 1)), lg.ArgumentError, /clipGradNorm/);
      }
      const others = lg.createEngine({ kernels: "js" });
      const foreign = parameter(others, [1, 2]);
      expectRefusal(await refusal(() => lg.clipGradNorm([p, foreign], 1)), lg.EngineError, /another engine/);
      others.dispose();
      expect(p.grad.toArray()).toEqual([3, 3]);
      expect(lg.clipGradNorm([], 1)).toBe(0);
    });
  });
});
