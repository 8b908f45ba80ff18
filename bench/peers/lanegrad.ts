import * as lg from "../../src/index.js";
import { Scope } from "../row.js";
import { LEARNING_RATES, trainingOf } from "../training.js";
import type { Contender } from "./contender.js";
import { type LayerSpec, type Problem, parametersOf } from "./problem.js";

export function openLanegrad(engine: lg.Engine): Contender {
  return {
    train(problem) {
      const scope = new Scope();
      const { net, x } = createNet(problem, engine, scope);
      const optimizer = new lg.SGD(net.parameters(), { lr: LEARNING_RATES.sgd });
      return { ...trainingOf(net, x, problem.labels, optimizer), [Symbol.dispose]: () => scope[Symbol.dispose]() };
    },
    infer(problem) {
      const scope = new Scope();
      const { net, x } = createNet(problem, engine, scope);
      net.eval();
      return { forward: () => net.forward(x).data, [Symbol.dispose]: () => scope[Symbol.dispose]() };
    },
  };
}

export function createNet(problem: Problem, engine: lg.Engine, scope: Scope): { net: lg.Sequential; x: lg.Tensor } {
  const net = scope.own(new lg.Sequential(...problem.layers.map((spec) => layerOf(spec, engine))));
  const values = parametersOf(problem);
  for (const [i, parameter] of net.parameters().entries()) parameter.value.data.set(values[i].values);
  const { x } = problem;
  return { net, x: scope.own(engine.tensor(x.values, x.shape)) };
}

function layerOf({ kind, parameters: [first] }: LayerSpec, engine: lg.Engine): lg.Layer {
  const [outputs, inputs] = first?.shape ?? [];
  switch (kind) {
    case "linear":
      return new lg.Linear(inputs, outputs, { engine });
    case "prelu":
      return new lg.PReLU({ numParameters: outputs, engine });
    case "conv2d":
      return new lg.Conv2d(inputs, outputs, 3, { padding: 1, engine });
    case "batchNorm2d":
      return new lg.BatchNorm2d(outputs, { engine });
    case "maxPool2d":
      return new lg.MaxPool2d(2, { engine });
    case "flatten":
      return new lg.Flatten({ engine });
  }
}
