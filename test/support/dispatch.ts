import * as lg from "lanegrad";
import type { LayerConfig, LossConfig, OptimizerConfig } from "./golden.js";

/**
 * What PyTorch's names in the golden files mean here. A case runs as soon as everything that it names is in these tables.
 */
type Maker<Config, Made> = Record<string, (config: Config, engine: lg.Engine) => Made>;

export const layers: Maker<Omit<LayerConfig, "type">, lg.Layer> = {
  linear: ({ inFeatures, outFeatures, bias }, engine) => new lg.Linear(inFeatures!, outFeatures!, { bias, engine }),
  prelu: ({ numParameters }, engine) => new lg.PReLU({ numParameters, engine }),
  elu: ({ alpha }, engine) => new lg.ELU({ alpha, engine }),
  leaky_relu: ({ negativeSlope }, engine) => new lg.LeakyReLU({ negativeSlope, engine }),
  relu: (_config, engine) => new lg.ReLU({ engine }),
  conv2d: ({ inChannels, outChannels, kernel, stride, padding, bias }, engine) =>
    new lg.Conv2d(inChannels!, outChannels!, kernel!, { stride, padding, bias, engine }),
  batchnorm1d: ({ numFeatures, eps, momentum }, engine) => new lg.BatchNorm1d(numFeatures!, { eps, momentum, engine }),
  batchnorm2d: ({ numFeatures, eps, momentum }, engine) => new lg.BatchNorm2d(numFeatures!, { eps, momentum, engine }),
  maxpool2d: ({ kernel, stride, padding }, engine) => new lg.MaxPool2d(kernel!, { stride, padding, engine }),
  flatten: (_config, engine) => new lg.Flatten({ engine }),
};

/** A dense layer and its activation in one object, by the activation's name. */
export const fusedLayers: Maker<Omit<LayerConfig, "type">, lg.Layer> = {
  prelu: ({ inFeatures, outFeatures, bias, numParameters }, engine) =>
    new lg.LinearPReLU(inFeatures!, outFeatures!, { bias, numParameters, engine }),
  elu: ({ inFeatures, outFeatures, bias, alpha }, engine) =>
    new lg.LinearELU(inFeatures!, outFeatures!, { bias, alpha, engine }),
};

export interface Target {
  readonly data: Float32Array | Int32Array;
  readonly shape: number[];
}

export const losses: Record<
  string,
  (output: lg.Tensor, target: Target, config: LossConfig, weight?: Float32Array) => { loss: number; grad: lg.Tensor }
> = {
  cross_entropy: (logits, { data }, { reduction, labelSmoothing }) =>
    lg.crossEntropy(logits, Int32Array.from(data), { reduction, labelSmoothing }),
  cross_entropy_weight: (logits, { data }, { reduction, labelSmoothing }, weight) =>
    lg.crossEntropy(logits, Int32Array.from(data), { reduction, labelSmoothing, weight }),
  mse: (output, { data }, { reduction }) => lg.mseLoss(output, data, { reduction }),
  bce_with_logits: (logits, { data }, { reduction }) => lg.bceWithLogits(logits, data, { reduction }),
};

export const optimizers: Record<
  string,
  (params: lg.Parameter[], config: OptimizerConfig) => lg.SGD | lg.Adam | lg.AdamW | lg.RMSprop
> = {
  sgd: (params, { lr, momentum, dampening, nesterov, weightDecay }) =>
    new lg.SGD(params, { lr, momentum, dampening, nesterov, weightDecay }),
  adam: (params, { lr, betas, eps, weightDecay, amsgrad }) =>
    new lg.Adam(params, { lr, betas, eps, weightDecay, amsgrad }),
  adamw: (params, { lr, betas, eps, weightDecay, amsgrad }) =>
    new lg.AdamW(params, { lr, betas, eps, weightDecay, amsgrad }),
  rmsprop: (params, { lr, alpha, eps, weightDecay, momentum, centered }) =>
    new lg.RMSprop(params, { lr, alpha, eps, weightDecay, momentum, centered }),
};
