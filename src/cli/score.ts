import * as lg from "lanegrad";
import type { Target } from "./target.js";
import { counted, percent, rounded } from "./text.js";
import type { Samples } from "./training-data.js";

/** How good a net is on samples, and how good one would be that knows only the targets. */
export type Score =
  | {
      readonly task: "classification";
      readonly rows: number;
      readonly loss: number;
      /** 0..1. */
      readonly accuracy: number;
      /** The share of the most frequent class. */
      readonly baseline: number;
    }
  | {
      readonly task: "regression";
      readonly rows: number;
      /** In the target's units. */
      readonly rmse: number;
      /** The error of the mean that training saw. */
      readonly baseline: number;
    };

export function scoreOf(net: lg.Layer, target: Target, samples: Samples): Score {
  const { y } = samples;
  const rows = y.length;
  if (target.task === "classification") {
    const { loss, accuracy } = lg.evaluate(net, samples);
    const counts = new Float64Array(target.classes.length);
    for (const label of y) counts[label]++;
    return { task: target.task, rows, loss, accuracy, baseline: Math.max(...counts) / rows };
  }
  const { loss } = lg.evaluate(net, samples, { loss: lg.mseLoss });
  const squares = Array.from(y).reduce((sum, value) => sum + value ** 2, 0) / rows;
  const { deviation } = target;
  return { task: target.task, rows, rmse: Math.sqrt(loss) * deviation, baseline: Math.sqrt(squares) * deviation };
}

export function scoreText(what: string, score: Score): string {
  const of = `of ${counted(score.rows, "row")}`;
  return score.task === "classification"
    ? `${what} accuracy ${percent(score.accuracy)} ${of}; the most frequent class alone: ${percent(score.baseline)}`
    : `${what} RMSE ${rounded(score.rmse)} ${of}; the mean alone: ${rounded(score.baseline)}`;
}
