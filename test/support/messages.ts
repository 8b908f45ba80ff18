import type * as lg from "lanegrad";
import type { Limit } from "./compare.js";
import { expectTensor, floats, type GoldenCase, toTensor } from "./golden.js";

/** Which parameter of the layer is which tensor of the golden file, as { W: "weight", b: "bias", a: "slope" }. */
export type ParameterNames = Record<string, string>;

export function parametersByName(layer: lg.Layer): Map<string, lg.Parameter> {
  return new Map(layer.parameters().map((parameter) => [parameter.name, parameter]));
}

/**
 * One layer, one case, the three messages: y, then dx and every parameter's gradient by `backward`, then again by the two
 * messages apart. `limits` overrides the dense limit of an output. Parameters that the case lacks (a bias) must be missing.
 */
export function expectMessages(
  engine: lg.Engine,
  golden: GoldenCase,
  layer: lg.Layer,
  names: ParameterNames,
  limits: Record<string, Limit> = {},
): void {
  const present = Object.keys(names).filter((key) => key in golden.inputs);
  const parameters = parametersByName(layer);
  if (parameters.size !== present.length) throw new Error(`${golden.name}: got ${[...parameters.keys()]}`);
  for (const key of present) parameters.get(names[key])!.value.data.set(floats(golden.inputs[key]));
  const x = toTensor(engine, golden.inputs.x);
  const dy = toTensor(engine, golden.inputs.dy);
  const expectGradients = (): void => {
    for (const key of present) expectTensor(golden, `d${key}`, parameters.get(names[key])!.grad, limits[`d${key}`]);
  };

  expectTensor(golden, "y", layer.forward(x), limits.y);
  expectTensor(golden, "dx", layer.backward(dy), limits.dx);
  expectGradients();

  layer.zeroGrad();
  expectTensor(golden, "dx", layer.backwardInput(dy), limits.dx);
  layer.backwardParams(dy);
  expectGradients();

  layer.dispose();
  x.dispose();
  dy.dispose();
}
