import * as lg from "lanegrad";
import type { Activation } from "./options.js";

const HIDDEN_UNITS = 256;

export interface NetworkShape {
  inputs: number;
  classes: number;
  activation: Activation;
}

/** Two hidden layers, each followed by the activation: 784-256-256-10 for Fashion-MNIST. */
export function buildNetwork({ inputs, classes, activation }: NetworkShape, engine: lg.Engine): lg.Sequential {
  return new lg.Sequential({
    hidden1: new lg.Linear(inputs, HIDDEN_UNITS, { engine }),
    activation1: buildActivation(activation, engine),
    hidden2: new lg.Linear(HIDDEN_UNITS, HIDDEN_UNITS, { engine }),
    activation2: buildActivation(activation, engine),
    output: new lg.Linear(HIDDEN_UNITS, classes, { engine }),
  });
}

function buildActivation(activation: Activation, engine: lg.Engine): lg.Layer {
  switch (activation) {
    case "prelu":
      return new lg.PReLU({ numParameters: HIDDEN_UNITS, engine });
    case "prelu-shared":
      return new lg.PReLU({ engine });
    case "elu":
      return new lg.ELU({ engine });
    case "leaky-relu":
      return new lg.LeakyReLU({ engine });
    case "relu":
      return new lg.ReLU({ engine });
  }
}

/** The layers whose slopes are learned, in the order of `slopeStats`. */
export function learnedActivations(net: lg.Sequential): lg.PReLU[] {
  return net.layers.filter((layer) => layer instanceof lg.PReLU);
}
