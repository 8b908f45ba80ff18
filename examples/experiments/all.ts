import { constraints } from "./constraints.js";
import { depth } from "./depth.js";
import { initialisation } from "./initialisation.js";
import { noise } from "./noise.js";
import { normalisation } from "./normalisation.js";
import { representations } from "./representations.js";
import { type Experiment, type Report, run, usage } from "./shared/experiment.js";
import { slopes } from "./slopes.js";
import { symmetry } from "./symmetry.js";

interface Runnable extends Pick<Experiment<Record<string, number>, unknown>, "name" | "title" | "about" | "settings"> {
  usage: string;
  /** The settings that are not given have their defaults. */
  run(given?: Record<string, number>): Promise<Report>;
}

const runnable = <Settings extends Record<string, number>, Measured>(
  experiment: Experiment<Settings, Measured>,
): Runnable => ({
  ...experiment,
  usage: usage(experiment),
  run: (given) => run(experiment, given as Partial<Settings> | undefined),
});

/** In the order of the page. */
export const EXPERIMENTS = [
  runnable(depth),
  runnable(initialisation),
  runnable(constraints),
  runnable(symmetry),
  runnable(noise),
  runnable(normalisation),
  runnable(representations),
  runnable(slopes),
];
