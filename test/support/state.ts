import type * as lg from "lanegrad";
import { expect } from "vitest";
import { Random } from "./random.js";

/** What the types refuse, for callers without types. */
export const wrong = (value: unknown): never => value as never;

/** The bit patterns of floats: -0 is not 0, and a NaN equals itself. */
export const bits = (values: Float32Array): Uint32Array => new Uint32Array(values.slice().buffer);

/** Everything that is saved, to the bit: parameters and running statistics. */
export const valueBits = (layer: lg.Layer): Record<string, Uint32Array> =>
  Object.fromEntries(Object.entries(layer.stateDict()).map(([name, tensor]) => [name, bits(tensor.data)]));

/** Every parameter's gradient, to the bit. */
export const gradientBits = (layer: lg.Layer): Record<string, Uint32Array> =>
  Object.fromEntries(layer.parameters().map(({ name, grad }) => [`${name}.grad`, bits(grad.data)]));

/** Parameters, running statistics and gradients, to the bit. */
export const stateBits = (layer: lg.Layer): Record<string, Uint32Array> => ({
  ...valueBits(layer),
  ...gradientBits(layer),
});

export function randomTensor(engine: lg.Engine, shape: number[], seed = 1): lg.Tensor {
  const size = shape.reduce((product, length) => product * length, 1);
  return engine.tensor(new Random(seed).values(size), shape);
}

export const nested = (tensor: lg.Tensor): lg.NestedNumbers[] => tensor.toArray() as lg.NestedNumbers[];

/** Gives `to` the values of `from`, parameter by parameter in their order. */
export function copyParameters(from: lg.Layer, to: lg.Layer): void {
  const source = from.parameters();
  to.parameters().forEach(({ value }, i) => {
    value.data.set(source[i].value.data);
  });
}

/** What `call` throws or rejects with; undefined where it does neither. */
export async function refusal(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** The call is refused with this class (and so with its code) and a message that fits. */
export function expectRefusal(error: unknown, type: new (message: string) => lg.LanegradError, message: RegExp): void {
  expect(error).toBeInstanceOf(type);
  const { code, name } = new type("");
  expect(error).toMatchObject({ code, name });
  expect((error as Error).message).toMatch(message);
}
