import type * as lg from "../../src/index.js";
import { Scope } from "../row.js";
import { createNet, createTraining } from "../training.js";
import type { Contender } from "./contender.js";

export function openLanegrad(engine: lg.Engine): Contender {
  return {
    train(problem) {
      const scope = new Scope();
      return { ...createTraining("sgd", problem, engine, scope), [Symbol.dispose]: () => scope[Symbol.dispose]() };
    },
    infer(problem) {
      const scope = new Scope();
      const { net, x } = createNet(problem, engine, scope);
      net.eval();
      return { forward: () => net.forward(x).data, [Symbol.dispose]: () => scope[Symbol.dispose]() };
    },
  };
}
