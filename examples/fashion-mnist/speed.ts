import { setImmediate as turnOfTheEventLoop } from "node:timers/promises";
import * as lg from "lanegrad";
import type { LabelledImages } from "./data.js";
import { buildNetwork, type NetworkShape, sampleShape } from "./network.js";

export interface StepSetting {
  /** Beside the twin's. */
  kernels: lg.Engine["kernels"];
  seed: number;
  shape: NetworkShape;
  images: LabelledImages;
  batch: number;
}

export interface StepTime {
  kernels: lg.Engine["kernels"];
  /** Of one training step: the median over the rounds. */
  milliseconds: number;
}

interface Contender {
  engine: lg.Engine;
  step(): void;
  times: number[];
}

const WARM_UP_MS = 300;
const MEASURING_MS = 2400;
const TURN_MS = 50;
const FEWEST_ROUNDS = 3;

/**
 * Times the same training step on the setting's kernels and on the pure-JS twin, in turns of some steps each, so that
 * whatever else the machine does falls on both alike.
 */
export async function measureStep(setting: StepSetting, signal: AbortSignal): Promise<StepTime[]> {
  const { kernels, seed, shape, images, batch } = setting;
  const kernelSets = [...new Set([kernels, "js" as const])];
  const contenders = kernelSets.map((set) => {
    const engine = lg.createEngine({ kernels: set, seed });
    return { engine, step: trainingStep(shape, engine, images, batch), times: [] };
  });
  try {
    for (const { step } of contenders) millisecondsPerStep(step, WARM_UP_MS);
    await race(contenders, signal);
    return contenders.map(({ engine, times }) => ({ kernels: engine.kernels, milliseconds: median(times) }));
  } finally {
    for (const { engine } of contenders) engine.dispose();
  }
}

/** Forward, loss, parameter messages, Adam, on the first images of the training set. */
function trainingStep(shape: NetworkShape, engine: lg.Engine, images: LabelledImages, batch: number): () => void {
  const net = buildNetwork(shape, engine);
  const inputs = images.height * images.width;
  const x = engine.tensor(
    Float32Array.from(images.x.subarray(0, batch * inputs), (byte) => byte / 255),
    [batch, ...sampleShape(shape)],
  );
  const labels = images.y.subarray(0, batch);
  // At a learning rate of 0 every step does the same work. A net that learns its one batch by heart soon has gradients
  // so small that they are denormal numbers, and those slow the processor down tenfold.
  const optimizer = new lg.Adam(net.parameters(), { lr: 0 });
  return () => {
    const { grad } = lg.crossEntropy(net.forward(x), labels);
    optimizer.zeroGrad();
    net.backwardParams(grad);
    optimizer.step();
  };
}

async function race(contenders: Contender[], signal: AbortSignal): Promise<void> {
  const start = performance.now();
  for (let round = 0; round < FEWEST_ROUNDS || performance.now() - start < MEASURING_MS; round++) {
    for (const { step, times } of contenders) {
      times.push(millisecondsPerStep(step, TURN_MS));
      await turnOfTheEventLoop();
      signal.throwIfAborted();
    }
  }
}

/** Repeats a step for at least the time given. */
function millisecondsPerStep(step: () => void, atLeast: number): number {
  const start = performance.now();
  let steps = 0;
  let elapsed = 0;
  do {
    step();
    steps++;
    elapsed = performance.now() - start;
  } while (elapsed < atLeast);
  return elapsed / steps;
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
