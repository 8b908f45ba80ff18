import * as lg from "lanegrad";
import type { DataSet } from "./data.js";
import { learnedActivations } from "./network.js";
import type { Options } from "./options.js";
import type { StepTime } from "./speed.js";
import { counted, histogram, percentage, table, thousands } from "./text.js";

export function headline(engine: lg.Engine, { name, train, test }: DataSet, options: Options): string {
  return [
    "lanegrad",
    `Node ${process.versions.node}`,
    `${engine.kernels} kernels`,
    counted(engine.threads, "thread"),
    `${name} ${thousands(train.count)} + ${thousands(test.count)} images ${train.height}x${train.width}`,
    options.model,
    options.activation,
    `batch ${options.batch}`,
    `seed ${options.seed}`,
  ].join(" · ");
}

export function parameterTable(net: lg.Sequential): string {
  const { layers, parameters, slopes } = lg.summary(net);
  return table(
    [
      ["layer", "type", "parameters", "slopes", ""],
      ...layers.map((layer) => [
        layer.name,
        layer.type,
        thousands(layer.parameters),
        layer.slopes > 0 ? thousands(layer.slopes) : "",
        "",
      ]),
      ["total", "", thousands(parameters), thousands(slopes), `slopes are ${percentage(slopes, parameters)} of them`],
    ],
    { leftAligned: [0, 1, 4] },
  );
}

export function epochLine({ epoch, loss, accuracy, seconds }: lg.EpochRecord, epochs: number, samples: number): string {
  return [
    `epoch ${String(epoch).padStart(String(epochs).length)}/${epochs}`,
    `loss ${loss.toFixed(4)}`,
    `test accuracy ${accuracyText(accuracy)}`,
    `${thousands(samples / seconds)} samples/s`,
  ].join(" · ");
}

export const lastLine = ({ accuracy }: lg.EpochRecord): string => `test accuracy ${accuracyText(accuracy)}`;

const accuracyText = (accuracy = Number.NaN): string => `${(100 * accuracy).toFixed(2)} %`;

/** What became of the slopes, which all began at 0.25: a row for each PReLU. */
export function slopeTable(net: lg.Sequential): string {
  const activations = learnedActivations(net);
  if (activations.length === 0) return "learned slopes: none";
  const rows = lg
    .slopeStats(net)
    .map(({ name, count, mean, std, min, max }, i) => [
      name,
      thousands(count),
      mean.toFixed(4),
      count > 1 ? std.toFixed(4) : "",
      min.toFixed(4),
      `│${histogram(activations[i].slopes(), { min, max })}│`,
      max.toFixed(4),
    ]);
  const head = ["learned slopes", "count", "mean", "std", "min", "histogram", "max"];
  return table([head, ...rows], { leftAligned: [0, 5] });
}

export const speedHeading = (batch: number): string =>
  `one training step of ${counted(batch, "sample")}: forward, loss, parameter messages, Adam`;

/** The time of one training step on each kernel set; the twin's row is the last. */
export function speedTable(times: StepTime[], batch: number): string {
  const twin = times[times.length - 1];
  const rows = times.map(({ kernels, milliseconds }) => [
    kernels === "js" ? "js (pure-JS twin)" : kernels,
    milliseconds.toFixed(3),
    thousands((1000 * batch) / milliseconds),
    `${(twin.milliseconds / milliseconds).toFixed(1)}x`,
  ]);
  return table([["kernels", "ms/step", "samples/s", "speed"], ...rows], { leftAligned: [0] });
}
