import * as lg from "lanegrad";
import { InputError } from "./errors.js";
import type { Activation, Model } from "./options.js";

export interface NetworkShape {
  model: Model;
  height: number;
  width: number;
  classes: number;
  activation: Activation;
}

/** The shape in which the model takes an image. */
export const sampleShape = ({ model, height, width }: NetworkShape): number[] =>
  model === "cnn" ? [1, height, width] : [height * width];

export function buildNetwork(shape: NetworkShape, engine: lg.Engine): lg.Sequential {
  return shape.model === "cnn" ? buildImageNetwork(shape, engine) : buildDenseNetwork(shape, engine);
}

const HIDDEN_UNITS = 256;

/** Two hidden layers, each followed by the activation: 784-256-256-10 for Fashion-MNIST. */
function buildDenseNetwork({ height, width, classes, activation }: NetworkShape, engine: lg.Engine): lg.Sequential {
  return new lg.Sequential({
    hidden1: new lg.Linear(height * width, HIDDEN_UNITS, { engine }),
    activation1: buildActivation(activation, HIDDEN_UNITS, engine),
    hidden2: new lg.Linear(HIDDEN_UNITS, HIDDEN_UNITS, { engine }),
    activation2: buildActivation(activation, HIDDEN_UNITS, engine),
    output: new lg.Linear(HIDDEN_UNITS, classes, { engine }),
  });
}

const CHANNELS = [32, 64];
const HIDDEN_FEATURES = 128;
const KERNEL = 3;
const POOL = 2;

/** Two convolutions, each followed by the activation, normalisation and pooling, then a hidden layer with dropout. */
function buildImageNetwork({ height, width, classes, activation }: NetworkShape, engine: lg.Engine): lg.Sequential {
  const pooled = (size: number): number => Math.floor(size / POOL ** 2);
  if (pooled(height) * pooled(width) === 0) {
    throw new InputError(`--model cnn: images are ${height}x${width}, it takes ${POOL ** 2}x${POOL ** 2} and more`);
  }
  const features = CHANNELS[1] * pooled(height) * pooled(width);
  return new lg.Sequential({
    convolution1: new lg.Conv2d(1, CHANNELS[0], KERNEL, { padding: 1, engine }),
    activation1: buildActivation(activation, CHANNELS[0], engine),
    normalization1: new lg.BatchNorm2d(CHANNELS[0], { engine }),
    pooling1: new lg.MaxPool2d(POOL, { engine }),
    convolution2: new lg.Conv2d(CHANNELS[0], CHANNELS[1], KERNEL, { padding: 1, engine }),
    activation2: buildActivation(activation, CHANNELS[1], engine),
    normalization2: new lg.BatchNorm2d(CHANNELS[1], { engine }),
    pooling2: new lg.MaxPool2d(POOL, { engine }),
    flatten: new lg.Flatten({ engine }),
    hidden: new lg.Linear(features, HIDDEN_FEATURES, { engine }),
    activation3: buildActivation(activation, HIDDEN_FEATURES, engine),
    dropout: new lg.Dropout(0.5, { engine }),
    output: new lg.Linear(HIDDEN_FEATURES, classes, { engine }),
  });
}

/** The activation behind a layer with this many units or channels. */
function buildActivation(activation: Activation, units: number, engine: lg.Engine): lg.Layer {
  switch (activation) {
    case "prelu":
      return new lg.PReLU({ numParameters: units, engine });
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
