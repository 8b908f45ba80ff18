import * as lg from "lanegrad";
import { afterAll, describe, expect, it } from "vitest";
import { fileOf, forms, notBytes } from "../support/files.js";
import { randomTensor, wrong } from "../support/state.js";

const engine = lg.createEngine({ kernels: "js" });
afterAll(() => engine.dispose());

const makeParameters = (shapes: number[][] = [[3, 2], [5], []]): lg.Parameter[] =>
  shapes.map((shape, i) => ({ name: `p${i}`, value: randomTensor(engine, shape, i), grad: engine.zeros(shape) }));

function stepped(params = makeParameters(), steps = 3): lg.Adam {
  const optimizer = new lg.Adam([{ params: params.slice(0, 1) }, { params: params.slice(1), lr: 0.5, amsgrad: true }]);
  for (let step = 0; step < steps; step++) {
    // the last parameter never gets a gradient
    for (const { grad } of params.slice(0, -1)) grad.fill_(step - 0.75);
    optimizer.step();
  }
  return optimizer;
}

/** A file's header and data. */
function split(bytes: Uint8Array): { header: Record<string, Record<string, unknown>>; data: Uint8Array } {
  const end = 8 + Number(Buffer.from(bytes).readBigUInt64LE(0));
  return { header: JSON.parse(Buffer.from(bytes.subarray(8, end)).toString()), data: bytes.subarray(end) };
}

/** The file with its metadata changed. */
function withMetadata(bytes: Uint8Array, changes: Record<string, string | undefined>): Uint8Array {
  const { header, data } = split(bytes);
  header.__metadata__ = JSON.parse(JSON.stringify({ ...header.__metadata__, ...changes }));
  return fileOf(header, data);
}

describe("an optimizer in a file", () => {
  it("is safetensors: tensors by group, parameter and name, in the parameter's shape", () => {
    const { header } = split(lg.saveOptimizer(stepped()));
    const { __metadata__: metadata, ...tensors } = header;
    expect(
      Object.fromEntries(Object.entries(tensors).map(([name, { dtype, shape }]) => [name, [dtype, shape]])),
    ).toEqual({
      "0.0.m": ["F32", [3, 2]],
      "0.0.v": ["F32", [3, 2]],
      "1.0.m": ["F32", [5]],
      "1.0.v": ["F32", [5]],
      "1.0.vMax": ["F32", [5]],
    });
    expect(metadata.optimizer).toBe("Adam");
    const [first, second] = JSON.parse(metadata.groups as string);
    expect(first).toMatchObject({ settings: { lr: 1e-3, betas: [0.9, 0.999] }, counters: [{ step: 3 }] });
    expect(second).toMatchObject({ settings: { lr: 0.5, amsgrad: true }, counters: [{ step: 3 }, null] });
  });

  it("keeps counters and settings to the last digit, and tensors to the bit", () => {
    const optimizer = stepped();
    const state = structuredClone(optimizer.stateDict()) as {
      groups: {
        settings: Record<string, unknown>;
        states: { tensors: Record<string, Float32Array>; numbers: Record<string, number> }[];
      }[];
    } & lg.OptimizerState;
    state.groups[0].settings.lr = 0.1 + 0.2;
    state.groups[0].settings.eps = Number.MIN_VALUE;
    state.groups[0].states[0].numbers.step = Number.MAX_SAFE_INTEGER - 1;
    const { m } = state.groups[0].states[0].tensors;
    new Uint32Array(m.buffer, m.byteOffset).set([0x7fc12345, 0x80000000, 1, 0xff800000]);
    optimizer.loadStateDict(state);
    const other = stepped(makeParameters(), 0);
    lg.loadOptimizer(other, lg.saveOptimizer(optimizer));
    expect(other.stateDict()).toEqual(state);
    const loaded = other.stateDict().groups[0].states[0]!.tensors.m;
    expect(new Uint32Array(loaded.buffer, 0, 4)).toEqual(new Uint32Array(m.buffer, m.byteOffset, 4));
  });

  it("comes in every form that bytes have", () => {
    const optimizer = stepped();
    for (const [form, make] of Object.entries(forms(lg.saveOptimizer(optimizer)))) {
      const other = stepped(makeParameters(), 0);
      lg.loadOptimizer(other, wrong(make()));
      expect(other.stateDict(), form).toEqual(optimizer.stateDict());
    }
  });

  const bytes = lg.saveOptimizer(stepped());
  const own = makeParameters();
  it.each<[string, () => unknown, new (message: string) => lg.LanegradError, RegExp]>([
    [
      "of another type",
      () => lg.saveOptimizer(new lg.AdamW(own)),
      lg.StateError,
      /a state of "AdamW", expected one of Adam$/,
    ],
    ["of one group", () => lg.saveOptimizer(new lg.Adam(own)), lg.StateError, /got 1 groups, expected 2$/],
    [
      "of more parameters",
      () => lg.saveOptimizer(stepped(makeParameters([[3, 2], [5], [], []]))),
      lg.StateError,
      /got 3 parameters, expected 2$/,
    ],
    [
      "of another shape with as many values",
      () => lg.saveOptimizer(stepped(makeParameters([[2, 3], [5], []]))),
      lg.StateError,
      /^loadOptimizer: 0\.0\.m is \[2, 3\], expected \[3, 2\]$/,
    ],
    [
      "of a net",
      () => lg.save(new lg.Linear(2, 2, { engine })),
      lg.FormatError,
      /a file without an optimizer's state$/,
    ],
    ["cut short", () => bytes.subarray(0, bytes.length - 1), lg.FormatError, /^safetensors: /],
    ["of nothing", () => new Uint8Array(0), lg.FormatError, /^safetensors: /],
    [
      "without JSON",
      () => withMetadata(bytes, { groups: "[{" }),
      lg.FormatError,
      /^loadOptimizer: groups: got no JSON$/,
    ],
    ["without a list", () => withMetadata(bytes, { groups: "{}" }), lg.FormatError, /groups: got an object .*a list$/],
    [
      "without groups",
      () => withMetadata(bytes, { groups: undefined }),
      lg.FormatError,
      /without an optimizer's state$/,
    ],
    [
      "with a tensor too many",
      () => withMetadata(bytes, { groups: '[{"settings":{},"counters":[]}]' }),
      lg.FormatError,
      /the tensor "0\.0\.m"/,
    ],
    [
      "with senseless settings",
      () => withMetadata(bytes, { groups: String(split(bytes).header.__metadata__.groups).replace("0.5", "-1") }),
      lg.StateError,
      /lr: got -1/,
    ],
    [
      "with a counter that is none",
      () =>
        withMetadata(bytes, {
          groups: String(split(bytes).header.__metadata__.groups).replace('"step":3', '"step":1.5'),
        }),
      lg.StateError,
      /got 1\.5 as step/,
    ],
  ])("refuses a file %s, and changes nothing", (_what, file, type, message) => {
    const optimizer = stepped();
    const before = optimizer.stateDict();
    const call = () => lg.loadOptimizer(optimizer, wrong(file()));
    expect(call).toThrowError(type);
    expect(call).toThrowError(message);
    expect(optimizer.stateDict()).toEqual(before);
  });

  it("refuses what are no bytes, and no optimizers", () => {
    for (const value of notBytes(bytes))
      expect(() => lg.loadOptimizer(stepped(), wrong(value))).toThrowError(lg.ArgumentError);
    for (const value of [null, {}, { step: () => {} }, new Proxy(stepped(), {})]) {
      expect(() => lg.saveOptimizer(wrong(value))).toThrowError(
        /^saveOptimizer: got .*, expected an optimizer of lanegrad$/,
      );
      expect(() => lg.loadOptimizer(wrong(value), bytes)).toThrowError(lg.ArgumentError);
    }
    const disposed = stepped();
    disposed.dispose();
    expect(() => lg.saveOptimizer(disposed)).toThrowError(lg.StateError);
  });
});
