import * as lg from "lanegrad";

/** Large enough that a step at batch 512 takes a tenth of a second. */
const HIDDEN = 1024;

export function buildNetwork() {
  return new lg.Sequential(
    new lg.Linear(784, HIDDEN),
    new lg.PReLU({ numParameters: HIDDEN }),
    new lg.Linear(HIDDEN, HIDDEN),
    new lg.PReLU({ numParameters: HIDDEN }),
    new lg.Linear(HIDDEN, 10),
  );
}
