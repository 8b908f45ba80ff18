export { type IdxArray, type IdxData, readIdx } from "./data/idx.js";
export { type EmbeddingStats, embeddingStats } from "./embedding-stats.js";
export {
  createEngine,
  defaultEngine,
  type Engine,
  type EngineOptions,
  type MemoryUse,
  setDefaultEngine,
  tensor,
} from "./engine.js";
export {
  ArgumentError,
  EngineError,
  FormatError,
  LanegradError,
  MemoryError,
  ShapeError,
  StateError,
} from "./errors.js";
export type { FileBytes } from "./formats/bytes.js";
export { type ToONNXOptions, toONNX } from "./formats/onnx/to-onnx.js";
export { loadOptimizer, saveOptimizer } from "./formats/optimizer.js";
export { type LoadOptions, type LoadResult, load, type SaveOptions, save } from "./formats/state.js";
export { type GradCheckOptions, type GradCheckResult, gradCheck } from "./gradcheck.js";
export * as init from "./init.js";
export { type Jacobian, jacobian } from "./jacobian.js";
export { BatchNorm1d, BatchNorm2d, type BatchNormOptions } from "./layers/batch-norm.js";
export { Conv2d, type Conv2dOptions } from "./layers/conv2d.js";
export { Dropout } from "./layers/dropout.js";
export { ELU, type ELUOptions } from "./layers/elu.js";
export { Flatten } from "./layers/flatten.js";
export { type Input, Layer, type LayerOptions, type Parameter } from "./layers/layer.js";
export { LeakyReLU, type LeakyReLUOptions } from "./layers/leaky-relu.js";
export { Linear, type LinearOptions } from "./layers/linear.js";
export { LinearELU, type LinearELUOptions } from "./layers/linear-elu.js";
export { LinearPReLU, type LinearPReLUOptions } from "./layers/linear-prelu.js";
export { MaxPool2d, type MaxPool2dOptions } from "./layers/max-pool2d.js";
export { PReLU, type PReLUOptions } from "./layers/prelu.js";
export { ReLU } from "./layers/relu.js";
export { Sequential } from "./layers/sequential.js";
export type { Size2d } from "./layers/sliding-window.js";
export type { SlopeConstraint, SlopeOptions } from "./layers/slopes.js";
export { type LayerSummary, type SlopeStats, type Summary, slopeStats, summary } from "./layers/summary.js";
export {
  bceWithLogits,
  type CrossEntropyOptions,
  crossEntropy,
  type Labels,
  type LossOptions,
  type LossResult,
  mseLoss,
  type Target,
} from "./losses.js";
export { type MatmulOptions, matmul } from "./matmul.js";
export { Adam, type AdamOptions, type AdamSettings, AdamW } from "./optimizers/adam.js";
export { clipGradNorm } from "./optimizers/clip.js";
export type { OptimizerParameters, ParameterGroup } from "./optimizers/groups.js";
export { RMSprop, type RMSpropOptions, type RMSpropSettings } from "./optimizers/rmsprop.js";
export { SGD, type SGDOptions, type SGDSettings } from "./optimizers/sgd.js";
export type { OptimizerState } from "./optimizers/state.js";
export { argmax, softmax } from "./readout.js";
export { Tensor, type TensorData } from "./tensor.js";
export { tidy } from "./tidy.js";
export type { CheckpointOptions, FilePath } from "./training/checkpoint-file.js";
export { type EvaluateOptions, type Evaluation, evaluate } from "./training/evaluate.js";
export { fit } from "./training/fit.js";
export type { Loss } from "./training/loss.js";
export { type PredictOptions, predict } from "./training/predict.js";
export type { Dataset, Samples, Targets, TrainingData } from "./training/samples.js";
export type { OneCycleOptions, Schedule, WarmupOptions } from "./training/schedules.js";
export * as schedules from "./training/schedules.js";
export type { BatchInfo, EarlyStoppingOptions, EpochRecord, FitOptions, Stepper } from "./training/settings.js";
export type { TargetKind } from "./training/targets.js";
export {
  type FitInWorkerOptions,
  type FitInWorkerResult,
  fitInWorker,
  type WorkerContext,
  type WorkerModule,
  type WorkerTraining,
} from "./training/worker/fit-in-worker.js";
export type { NestedNumbers } from "./values.js";
