import * as lg from "lanegrad";
import { describe, expect, test } from "vitest";
import { openEngine } from "../support/engines.js";
import { randomTensor } from "../support/state.js";

const BATCH = 16;
const MEGABYTE = 1e6;

/** The network for images of 3x32x32: the one of examples/image-network.mjs. */
function imageNetwork(engine: lg.Engine): lg.Sequential {
  const block = (from: number, to: number): lg.Layer[] => [
    new lg.Conv2d(from, to, 3, { padding: 1, engine }),
    new lg.PReLU({ numParameters: to, engine }),
    new lg.BatchNorm2d(to, { engine }),
    new lg.MaxPool2d(2, { engine }),
  ];
  return new lg.Sequential(
    ...block(3, 64),
    ...block(64, 128),
    new lg.Flatten({ engine }),
    new lg.Linear(8192, 512, { engine }),
    new lg.PReLU({ numParameters: 512, engine }),
    new lg.Dropout(0.5, { engine }),
    new lg.Linear(512, 10, { engine }),
  );
}

describe("the image network", { timeout: 300_000 }, () => {
  test("has its parameters where they should be", () => {
    const engine = openEngine("simd");
    const { layers, parameters, slopes } = lg.summary(imageNetwork(engine));
    expect(layers.map(({ type, parameters: own }) => [type, own])).toEqual([
      ["Conv2d", 3 * 64 * 9 + 64],
      ["PReLU", 64],
      ["BatchNorm2d", 2 * 64],
      ["MaxPool2d", 0],
      ["Conv2d", 64 * 128 * 9 + 128],
      ["PReLU", 128],
      ["BatchNorm2d", 2 * 128],
      ["MaxPool2d", 0],
      ["Flatten", 0],
      ["Linear", 8192 * 512 + 512],
      ["PReLU", 512],
      ["Dropout", 0],
      ["Linear", 512 * 10 + 10],
    ]);
    expect(parameters).toBe(4_276_682);
    expect(slopes).toBe(704);
    engine.dispose();
  });

  test("trains in 72 MB, and 200 steps take no more than two", () => {
    const engine = openEngine("simd");
    const net = imageNetwork(engine);
    const optimizer = new lg.SGD(net.parameters(), { lr: 1e-3 });
    const x = randomTensor(engine, [BATCH, 3, 32, 32]);
    const labels = Array.from({ length: BATCH }, (_, i) => i % 10);
    const step = (): number => {
      optimizer.zeroGrad();
      const { loss, grad } = lg.crossEntropy(net.forward(x), labels);
      net.backwardParams(grad);
      optimizer.step();
      return loss;
    };
    const losses = [step(), step()];
    const { used, peak, reserved } = engine.memory;
    expect(peak).toBeLessThanOrEqual(72 * MEGABYTE);
    for (let i = 2; i < 200; i++) losses.push(step());
    expect(engine.memory).toMatchObject({ used, peak, reserved });
    // and it did learn its batch
    expect(losses.every(Number.isFinite)).toBe(true);
    expect(losses[199]).toBeLessThan(0.2 * losses[0]);
    engine.dispose();
  });
});
