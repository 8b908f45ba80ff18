import { isDeepStrictEqual } from "node:util";
import { runInNewContext } from "node:vm";
import * as lg from "lanegrad";
import { describe, expect, it, test } from "vitest";
import { describeEngines } from "../support/engines.js";
import { Random } from "../support/random.js";
import { bits, expectRefusal, randomTensor, refusal, wrong } from "../support/state.js";

type Optimizer = lg.SGD | lg.Adam | lg.AdamW | lg.RMSprop;
type Make = (params: lg.Parameter[]) => Optimizer;

/** Every optimizer with every option that keeps state or changes the formula. */
const OPTIMIZERS: [name: string, make: Make][] = [
  ["SGD", (params) => new lg.SGD(params, { lr: 0.1 })],
  ["SGD, weightDecay", (params) => new lg.SGD(params, { lr: 0.1, weightDecay: 0.1 })],
  ["SGD, momentum", (params) => new lg.SGD(params, { lr: 0.1, momentum: 0.9 })],
  ["SGD, momentum and dampening", (params) => new lg.SGD(params, { lr: 0.1, momentum: 0.9, dampening: 0.5 })],
  ["SGD, nesterov", (params) => new lg.SGD(params, { lr: 0.1, momentum: 0.9, nesterov: true })],
  ["Adam", (params) => new lg.Adam(params)],
  ["Adam, weightDecay", (params) => new lg.Adam(params, { lr: 0.05, weightDecay: 0.1, betas: [0.8, 0.9], eps: 1e-6 })],
  ["Adam, amsgrad", (params) => new lg.Adam(params, { amsgrad: true })],
  ["AdamW", (params) => new lg.AdamW(params)],
  ["AdamW, amsgrad", (params) => new lg.AdamW(params, { amsgrad: true, weightDecay: 0.2 })],
  ["RMSprop", (params) => new lg.RMSprop(params)],
  ["RMSprop, centered", (params) => new lg.RMSprop(params, { centered: true, alpha: 0.9 })],
  ["RMSprop, momentum", (params) => new lg.RMSprop(params, { momentum: 0.9, weightDecay: 0.1 })],
  ["RMSprop, all", (params) => new lg.RMSprop(params, { momentum: 0.5, centered: true, weightDecay: 0.1, eps: 1e-6 })],
];

const makeParameters = (engine: lg.Engine): lg.Parameter[] =>
  [[3, 2], [5], []].map((shape, i) => ({
    name: `p${i}`,
    value: randomTensor(engine, shape, 61 + i),
    grad: engine.zeros(shape),
  }));

/** The gradients of step `step`, the same in every run. */
function setGradients(params: readonly lg.Parameter[], step: number): void {
  const random = new Random(1000 + step);
  for (const { grad } of params) grad.data.set(random.values(grad.size));
}

function run(optimizer: Optimizer, params: readonly lg.Parameter[], from: number, to: number): void {
  for (let step = from; step < to; step++) {
    setGradients(params, step);
    optimizer.step();
  }
}

const valuesOf = (params: readonly lg.Parameter[]): Uint32Array[] => params.map(({ value }) => bits(value.data));

function copyValues(from: readonly lg.Parameter[], to: readonly lg.Parameter[]): void {
  from.forEach(({ value }, i) => {
    to[i].value.data.set(value.data);
  });
}

describe("the state of optimizers", () => {
  describeEngines((engine) => {
    describe.each(OPTIMIZERS)("%s", (_name, make) => {
      it.each([0, 1, 5])("taken after %i steps and loaded, continues with the same bits", (before) => {
        const params = makeParameters(engine());
        const optimizer = make(params);
        run(optimizer, params, 0, before);
        const state = optimizer.stateDict();

        const others = makeParameters(engine());
        copyValues(params, others);
        const other = make(others);
        other.loadStateDict(state);
        run(optimizer, params, before, before + 5);
        run(other, others, before, before + 5);
        expect(valuesOf(others)).toEqual(valuesOf(params));
        expect(other.stateDict()).toEqual(optimizer.stateDict());
      });

      it.each([0, 1, 5])("saved after %i steps and loaded from the file, continues with the same bits", (before) => {
        const [params, others] = [makeParameters(engine()), makeParameters(engine())];
        const [optimizer, other] = [make(params), make(others)];
        run(optimizer, params, 0, before);
        optimizer.lr = 0.0123;
        const bytes = lg.saveOptimizer(optimizer);
        copyValues(params, others);
        // what was there before goes
        run(other, makeParameters(engine()), 0, 2);
        lg.loadOptimizer(other, bytes);
        expect(other.stateDict()).toEqual(optimizer.stateDict());
        run(optimizer, params, before, before + 5);
        run(other, others, before, before + 5);
        expect(valuesOf(others)).toEqual(valuesOf(params));
        expect(Buffer.compare(lg.saveOptimizer(other), lg.saveOptimizer(optimizer))).toBe(0);
      });

      it("survives structuredClone, as postMessage makes it", () => {
        const params = makeParameters(engine());
        const optimizer = make(params);
        run(optimizer, params, 0, 3);
        const others = makeParameters(engine());
        copyValues(params, others);
        const other = make(others);
        other.loadStateDict(structuredClone(optimizer.stateDict()));
        run(optimizer, params, 3, 6);
        run(other, others, 3, 6);
        expect(valuesOf(others)).toEqual(valuesOf(params));
      });

      it("is copied out and in: later steps leave a state as it was", () => {
        const params = makeParameters(engine());
        const optimizer = make(params);
        run(optimizer, params, 0, 2);
        const state = optimizer.stateDict();
        const before = structuredClone(state);
        run(optimizer, params, 2, 4);
        expect(state).toEqual(before);
        // loaded, it is not the optimizer's own either: back in time, twice
        const ends = [0, 1].map(() => {
          const others = makeParameters(engine());
          const other = make(others);
          other.loadStateDict(state);
          run(other, others, 2, 4);
          return valuesOf(others);
        });
        expect(state).toEqual(before);
        expect(ends[1]).toEqual(ends[0]);
      });

      it("replaces what was there, and frees it", () => {
        const params = makeParameters(engine());
        const fresh = make(params).stateDict();
        const optimizer = make(params);
        const start = params.map(({ value }) => value.data.slice());
        run(optimizer, params, 0, 3);
        const first = valuesOf(params);
        const { used } = engine().memory;
        optimizer.loadStateDict(optimizer.stateDict());
        expect(engine().memory.used).toBe(used);
        // the state of an optimizer that never stepped: from the start again
        optimizer.loadStateDict(fresh);
        expect(engine().memory.used).toBeLessThanOrEqual(used);
        params.forEach(({ value }, i) => {
          value.data.set(start[i]);
        });
        run(optimizer, params, 0, 3);
        expect(valuesOf(params)).toEqual(first);
      });

      it("brings its settings with it", () => {
        const params = makeParameters(engine());
        const optimizer = make(params);
        optimizer.lr = 0.0625;
        const state = optimizer.stateDict();
        const other = make(makeParameters(engine()));
        other.loadStateDict(state);
        expect(other.lr).toBe(0.0625);
        const settings = ({ groups }: Optimizer) => groups.map(({ params: _, ...rest }) => rest);
        expect(settings(other)).toEqual(settings(optimizer));
      });
    });

    describe("that does not fit is a StateError, and nothing changes", () => {
      type Edit = (state: Record<string, unknown>) => unknown;
      // biome-ignore lint/suspicious/noExplicitAny: states are opaque; these reach into them to break them
      const group = (state: any) => state.groups[0];

      const EDITS: [name: string, edit: Edit][] = [
        ["undefined", () => undefined],
        ["null", () => null],
        ["a number", () => 3],
        ["an empty object", () => ({})],
        ["another optimizer's", (state) => ({ ...state, type: "SGD" })],
        ["no groups", (state) => ({ ...state, groups: undefined })],
        ["an empty list of groups", (state) => ({ ...state, groups: [] })],
        ["more groups", (state) => ({ ...state, groups: [group(state), group(state)] })],
        ["a group that is null", (state) => ({ ...state, groups: [null] })],
        ["a group without settings", (state) => ({ ...state, groups: [{ ...group(state), settings: undefined }] })],
        ["a group without states", (state) => ({ ...state, groups: [{ ...group(state), states: undefined }] })],
        [
          "fewer parameters",
          (state) => ({ ...state, groups: [{ ...group(state), states: group(state).states.slice(1) }] }),
        ],
        ["states that are no list", (state) => ({ ...state, groups: [{ ...group(state), states: "abc" }] })],
        [
          "a negative lr",
          (state) => ({ ...state, groups: [{ ...group(state), settings: { ...group(state).settings, lr: -1 } }] }),
        ],
        [
          "betas of 1",
          (state) => ({
            ...state,
            groups: [{ ...group(state), settings: { ...group(state).settings, betas: [1, 1] } }],
          }),
        ],
        ["what JSON makes of it", (state) => JSON.parse(JSON.stringify(state))],
        [
          "a setting that nobody knows",
          (state) => ({
            ...state,
            groups: [{ ...group(state), settings: { ...group(state).settings, momentum: 0.5 } }],
          }),
        ],
        [
          "a setting that is a function",
          (state) => ({
            ...state,
            groups: [{ ...group(state), settings: { ...group(state).settings, eps: () => 1 } }],
          }),
        ],
        ["groups of a length without end", (state) => ({ ...state, groups: new Array(2 ** 32 - 1) })],
        [
          "groups that are no array but have a length",
          (state) => ({ ...state, groups: { 0: group(state), length: 1 } }),
        ],
        ["itself as a group", (state) => Object.assign(state, { groups: [state] })],
        ...(
          [
            ["a parameter's state that is a number", () => 5],
            ["a parameter's state without tensors", (own) => ({ numbers: own.numbers })],
            ["a parameter's state without numbers", (own) => ({ tensors: own.tensors })],
            ["a number that is missing", (own) => ({ ...own, numbers: {} })],
            ...["1", -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, null, 1n].map(
              (step): [string, (own: unknown) => unknown] => [
                `${typeof step} ${step} as its steps`,
                (own) => ({ ...(own as object), numbers: { step } }),
              ],
            ),
            ["a number that nobody knows", (own) => ({ ...own, numbers: { ...own.numbers, power1: 1 } })],
            ["a tensor that is missing", (own) => ({ ...own, tensors: { m: own.tensors.m } })],
            ["a tensor that nobody knows", (own) => ({ ...own, tensors: { ...own.tensors, other: own.tensors.m } })],
            [
              "a tensor of another length",
              (own) => ({ ...own, tensors: { ...own.tensors, v: own.tensors.v.slice(1) } }),
            ],
            [
              "a tensor of doubles",
              (own) => ({ ...own, tensors: { ...own.tensors, v: Float64Array.from(own.tensors.v) } }),
            ],
            ["a tensor that is null", (own) => ({ ...own, tensors: { ...own.tensors, v: null } })],
            // biome-ignore lint/suspicious/noExplicitAny: see above
          ] as [string, (own: any) => unknown][]
        ).map(([name, edit]): [string, Edit] => [
          name,
          (state) => ({
            ...state,
            groups: [
              {
                ...group(state),
                states: [...group(state).states.slice(0, -2), edit(group(state).states[1]), group(state).states[2]],
              },
            ],
          }),
        ]),
      ];

      it.each(EDITS)("%s", async (_name, edit) => {
        const [params, twins] = [makeParameters(engine()), makeParameters(engine())];
        const [optimizer, twin] = [new lg.Adam(params), new lg.Adam(twins)];
        run(optimizer, params, 0, 3);
        run(twin, twins, 0, 3);
        const donor = new lg.Adam(makeParameters(engine()), { lr: 0.5 });
        run(donor, donor.groups[0].params, 0, 2);
        const state = edit({ ...donor.stateDict() });
        const [before, used] = [optimizer.stateDict(), engine().memory.used];
        expectRefusal(await refusal(() => optimizer.loadStateDict(wrong(state))), lg.StateError, /Adam: loadStateDict/);
        expect(engine().memory.used).toBe(used);
        expect(optimizer.stateDict()).toEqual(before);
        run(optimizer, params, 3, 6);
        run(twin, twins, 3, 6);
        expect(valuesOf(params)).toEqual(valuesOf(twins));
      });

      it("as JSON makes it says what keeps it whole", async () => {
        const params = makeParameters(engine());
        const optimizer = new lg.Adam(params);
        run(optimizer, params, 0, 1);
        const error = await refusal(() => optimizer.loadStateDict(JSON.parse(JSON.stringify(optimizer.stateDict()))));
        expectRefusal(error, lg.StateError, /p0: got an object \(Object\) as m, expected a Float32Array of 6; JSON/);
      });

      it("of AdamW in Adam, and the other way round", async () => {
        const [adam, adamW] = [new lg.Adam(makeParameters(engine())), new lg.AdamW(makeParameters(engine()))];
        expectRefusal(await refusal(() => adam.loadStateDict(adamW.stateDict())), lg.StateError, /"AdamW".*Adam/);
        expectRefusal(await refusal(() => adamW.loadStateDict(adam.stateDict())), lg.StateError, /"Adam".*AdamW/);
      });

      it("of a net with other shapes", async () => {
        const make = (width: number) => {
          const params = new lg.Linear(4, width, { engine: engine() }).parameters();
          const optimizer = new lg.SGD(params, { lr: 0.1, momentum: 0.9 });
          run(optimizer, params, 0, 1);
          return optimizer;
        };
        const error = await refusal(() => make(3).loadStateDict(make(2).stateDict()));
        expectRefusal(error, lg.StateError, /weight.*expected a Float32Array of 12/);
      });
    });

    describe("a state is read once, whatever it does meanwhile", () => {
      /** An optimizer after three steps, and a state of another after two. */
      const scene = () => {
        const params = makeParameters(engine());
        const optimizer = new lg.Adam(params);
        run(optimizer, params, 0, 3);
        const donors = makeParameters(engine());
        const donor = new lg.Adam(donors, { lr: 0.5 });
        run(donor, donors, 0, 2);
        return { params, optimizer, state: donor.stateDict() };
      };

      /** The object with every property, however deep, given as `visit` says; it counts how often each is read. */
      const watched = (value: unknown, reads: Map<string, number>, path = ""): unknown => {
        if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
        return new Proxy(value, {
          get(target, key) {
            const name = `${path}.${String(key)}`;
            reads.set(name, (reads.get(name) ?? 0) + 1);
            return watched(Reflect.get(target, key), reads, name);
          },
        });
      };

      it("each of its properties, at most once", () => {
        const { optimizer, state } = scene();
        const reads = new Map<string, number>();
        optimizer.loadStateDict(wrong(watched(state, reads)));
        expect(optimizer.stateDict()).toEqual(state);
        expect(reads.size).toBeGreaterThan(30);
        // an array's kind and length are asked for again: what they say is compared with what is expected
        const twice = [...reads].filter(([name, count]) => count > 1 && !name.endsWith(".length"));
        expect(twice).toEqual([]);
      });

      it("a getter that throws leaves everything as it was", async () => {
        const { optimizer, state } = scene();
        const places = ["type", "groups", "settings", "states", "lr", "tensors", "numbers", "step", "m", "v"];
        for (const place of places) {
          const [before, used] = [optimizer.stateDict(), engine().memory.used];
          const throwing = (value: unknown): unknown => {
            if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
            return new Proxy(value, {
              get(target, key) {
                if (key === place) throw new Error(`no ${place}`);
                return throwing(Reflect.get(target, key));
              },
            });
          };
          const error = await refusal(() => optimizer.loadStateDict(wrong(throwing(state))));
          expectRefusal(error, lg.ArgumentError, new RegExp(`Adam: loadStateDict.*no ${place}`));
          expect(optimizer.stateDict()).toEqual(before);
          expect(engine().memory.used).toBe(used);
        }
      });

      it("nor does one that disposes the optimizer or a parameter harm what others hold", async () => {
        for (const end of ["optimizer", "parameter"] as const) {
          const { params, optimizer, state } = scene();
          const numbers = {
            get step() {
              if (end === "optimizer") optimizer.dispose();
              else params[0].value.dispose();
              return 5;
            },
          };
          Object.assign(state.groups[0].states[0]!, { numbers });
          const { used } = engine().memory;
          const values = valuesOf(params.slice(1));
          expectRefusal(await refusal(() => optimizer.loadStateDict(state)), lg.StateError, /disposed/);
          expect(engine().memory.used).toBeLessThan(used);
          expect(valuesOf(params.slice(1))).toEqual(values);
        }
      });

      it("a typed array that lies about itself counts as what it is", async () => {
        class Liar extends Float32Array {
          override get length(): number {
            return 1000;
          }
          static get [Symbol.species](): Float32ArrayConstructor {
            return Float64Array as never;
          }
        }
        const { optimizer, state } = scene();
        const edited = structuredClone(state);
        (edited.groups[0].states[0]!.tensors as Record<string, Float32Array>).m = new Liar(
          state.groups[0].states[0]!.tensors.m,
        );
        optimizer.loadStateDict(edited);
        expect(optimizer.stateDict()).toEqual(state);
        const { buffer } = edited.groups[0].states[1]!.tensors.v;
        structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
        expectRefusal(await refusal(() => optimizer.loadStateDict(edited)), lg.ArgumentError, /detached/);
        expect(optimizer.stateDict()).toEqual(state);
      });

      it("may come from another realm", () => {
        const { optimizer, state } = scene();
        const foreign = runInNewContext(
          "(text) => JSON.parse(text, (_, v) => v?.floats ? new Float32Array(v.floats) : v)",
        )(JSON.stringify(state, (_, v) => (ArrayBuffer.isView(v) ? { floats: [...(v as Float32Array)] } : v)));
        expect(foreign.groups[0].states[0].tensors.m).not.toBeInstanceOf(Float32Array);
        optimizer.loadStateDict(foreign);
        expect(optimizer.stateDict()).toEqual(state);
      });

      it("a group that is frozen refuses it whole", async () => {
        const params = makeParameters(engine());
        const make = () => new lg.Adam([{ params: params.slice(0, 2) }, { params: params.slice(2) }]);
        const optimizer = make();
        const state = make().stateDict();
        Object.assign(state.groups[0].settings, { lr: 0.5 });
        run(optimizer, params, 0, 1);
        Object.freeze(optimizer.groups[1]);
        const before = optimizer.stateDict();
        expectRefusal(await refusal(() => optimizer.loadStateDict(state)), lg.ArgumentError, /frozen/);
        expect(optimizer.stateDict()).toEqual(before);
      });
    });

    describe("memory for a state", () => {
      it("is what there is already: at the limit a state of one's own can be loaded", async () => {
        const size = 100_000;
        const small = lg.createEngine({ kernels: engine().kernels, maximumMemory: 4 * 2 ** 20 });
        const p = { name: "p", value: small.zeros([size]), grad: small.zeros([size]) };
        const optimizer = new lg.Adam([p]);
        p.grad.fill_(1);
        optimizer.step();
        const state = optimizer.stateDict();
        const fill: lg.Tensor[] = [];
        await refusal(() => {
          for (;;) fill.push(small.zeros([1000]));
        });
        optimizer.step();
        optimizer.loadStateDict(state);
        expect(isDeepStrictEqual(optimizer.stateDict(), state)).toBe(true);
        // amsgrad asks for one more, which is not there
        const donor = structuredClone(state);
        Object.assign(donor.groups[0].settings, { amsgrad: true, lr: 0.5 });
        Object.assign(donor.groups[0].states[0]!.tensors, { vMax: new Float32Array(size) });
        expectRefusal(await refusal(() => optimizer.loadStateDict(donor)), lg.MemoryError, /memory/);
        expect(isDeepStrictEqual(optimizer.stateDict(), state)).toBe(true);
        small.dispose();
      });
    });

    describe("groups", () => {
      it("have settings of their own, the others from the options", () => {
        const [a, b, c] = makeParameters(engine());
        const optimizer = new lg.SGD(
          [
            { params: [a, b], lr: 0.5 },
            { params: [c], weightDecay: 0.1 },
          ],
          { lr: 0.25, momentum: 0.9 },
        );
        expect(optimizer.groups).toMatchObject([
          { lr: 0.5, momentum: 0.9, weightDecay: 0, params: [{ name: "p0" }, { name: "p1" }] },
          { lr: 0.25, momentum: 0.9, weightDecay: 0.1, params: [{ name: "p2" }] },
        ]);
      });

      it("step as separate optimizers would", () => {
        const [own, others] = [makeParameters(engine()), makeParameters(engine())];
        const grouped = new lg.Adam(
          [
            { params: own.slice(0, 1), lr: 0.1 },
            { params: own.slice(1), amsgrad: true },
          ],
          { lr: 0.01 },
        );
        const first = new lg.Adam(others.slice(0, 1), { lr: 0.1 });
        const second = new lg.Adam(others.slice(1), { lr: 0.01, amsgrad: true });
        for (let step = 0; step < 4; step++) {
          setGradients(own, step);
          setGradients(others, step);
          for (const optimizer of [grouped, first, second]) optimizer.step();
        }
        expect(valuesOf(own)).toEqual(valuesOf(others));
      });

      it("round trip, and do not fit other groups", async () => {
        const make = () => {
          const params = makeParameters(engine());
          const optimizer = new lg.AdamW([{ params: params.slice(0, 1), lr: 0.1 }, { params: params.slice(1) }]);
          return { params, optimizer };
        };
        const [from, to] = [make(), make()];
        run(from.optimizer, from.params, 0, 3);
        copyValues(from.params, to.params);
        to.optimizer.loadStateDict(from.optimizer.stateDict());
        run(from.optimizer, from.params, 3, 6);
        run(to.optimizer, to.params, 3, 6);
        expect(valuesOf(to.params)).toEqual(valuesOf(from.params));
        const single = new lg.AdamW(makeParameters(engine()));
        expectRefusal(await refusal(() => single.loadStateDict(from.optimizer.stateDict())), lg.StateError, /2 groups/);
      });

      it("may be changed between steps", () => {
        const [own, others] = [makeParameters(engine()), makeParameters(engine())];
        const changing = new lg.SGD([{ params: own.slice(0, 1) }, { params: own.slice(1) }], { lr: 0.5 });
        const fixed = new lg.SGD(others.slice(1), { lr: 0.125 });
        const start = bits(own[0].value.data);
        changing.groups[0].lr = 0;
        changing.groups[1].lr = 0.125;
        run(changing, own, 0, 1);
        run(fixed, others, 0, 1);
        expect(bits(own[0].value.data)).toEqual(start);
        expect(valuesOf(own).slice(1)).toEqual(valuesOf(others).slice(1));
      });

      test.each([
        ["lr", -1],
        ["lr", Number.NaN],
        ["lr", undefined],
        ["weightDecay", "0.1"],
        ["betas", [0.9, 1]],
      ])("a changed %s of %j is refused by step, before anything is written", async (key, value) => {
        const params = makeParameters(engine());
        const optimizer = new lg.Adam([{ params: params.slice(0, 1) }, { params: params.slice(1) }]);
        run(optimizer, params, 0, 1);
        Object.assign(optimizer.groups[1], { [key]: value });
        const before = valuesOf(params);
        expectRefusal(await refusal(() => optimizer.step()), lg.ArgumentError, new RegExp(`Adam: ${key}`));
        expect(valuesOf(params)).toEqual(before);
      });

      it("wrong ones are refused", async () => {
        const [a, b] = makeParameters(engine());
        const make = (groups: unknown) => refusal(() => new lg.Adam(wrong(groups)));
        const cases: [unknown, new (m: string) => lg.LanegradError, RegExp][] = [
          [[], lg.ArgumentError, /no parameters/],
          [[{ params: [] }], lg.ArgumentError, /no parameters/],
          [[{ params: [a] }, { params: [a] }], lg.StateError, /twice/],
          [[{ params: [a] }, b], lg.ArgumentError, /group/],
          [[a, { params: [b] }], lg.ArgumentError, /./],
          [[{ params: a }], lg.ArgumentError, /group/],
          [[{ params: [a], lr: -1 }], lg.ArgumentError, /lr: got -1/],
          [[{ params: [a, null] }], lg.ArgumentError, /null/],
          [null, lg.ArgumentError, /null/],
        ];
        for (const [groups, type, message] of cases) expectRefusal(await make(groups), type, message);
      });
    });

    describe("lr", () => {
      it("reads the first group's and sets every group's", () => {
        const [a, b, c] = makeParameters(engine());
        const optimizer = new lg.RMSprop([{ params: [a, b], lr: 0.5 }, { params: [c] }]);
        expect(optimizer.lr).toBe(0.5);
        optimizer.lr = 0.125;
        expect(optimizer.groups.map(({ lr }) => lr)).toEqual([0.125, 0.125]);
        optimizer.lr = 0;
        expect(optimizer.lr).toBe(0);
      });

      it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, "0.1", undefined, null])("%j is refused", async (lr) => {
        const optimizer = new lg.SGD(makeParameters(engine()), { lr: 0.5 });
        const error = await refusal(() => {
          optimizer.lr = wrong(lr);
        });
        expectRefusal(error, lg.ArgumentError, /SGD: lr: got/);
        expect(optimizer.lr).toBe(0.5);
      });
    });

    describe("frozen parameters", () => {
      it("are the ones left out: neither stepped nor zeroed", () => {
        const net = new lg.Sequential(
          new lg.LinearPReLU(4, 3, { engine: engine() }),
          new lg.Linear(3, 2, { engine: engine() }),
        );
        const [head, tail] = net.layers;
        const optimizer = new lg.Adam(tail.parameters());
        net.forward(randomTensor(engine(), [5, 4], 71));
        net.backward(randomTensor(engine(), [5, 2], 72));
        const before = valuesOf(head.parameters());
        const gradients = head.parameters().map(({ grad }) => bits(grad.data));
        const moving = valuesOf(tail.parameters());
        optimizer.step();
        optimizer.zeroGrad();
        expect(valuesOf(head.parameters())).toEqual(before);
        expect(head.parameters().map(({ grad }) => bits(grad.data))).toEqual(gradients);
        expect(valuesOf(tail.parameters())).not.toEqual(moving);
        for (const { grad } of tail.parameters()) expect(grad.data.every((g) => g === 0)).toBe(true);
        net.dispose();
      });

      it("hold no place in a state", async () => {
        const params = makeParameters(engine());
        const partial = new lg.Adam(params.slice(1));
        const whole = new lg.Adam(makeParameters(engine()));
        expectRefusal(await refusal(() => whole.loadStateDict(partial.stateDict())), lg.StateError, /2 parameters.*3/);
      });

      it("disposed since, a parameter is a StateError, and the others stay as they are", async () => {
        const params = makeParameters(engine());
        const optimizer = new lg.SGD(params, { lr: 0.1 });
        run(optimizer, params, 0, 1);
        const before = valuesOf(params.slice(0, 2));
        params[2].value.dispose();
        expectRefusal(await refusal(() => optimizer.step()), lg.StateError, /disposed/);
        expect(valuesOf(params.slice(0, 2))).toEqual(before);
      });
    });
  });
});
