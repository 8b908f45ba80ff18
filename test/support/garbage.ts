import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

// the flag counts for contexts made after it: a new one hands its gc out
setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

export const eventLoopTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Collects garbage and gives finalizers their turns until `done`; gives up after a few rounds, for the test to say what is wrong. */
export async function collectGarbage(done: () => boolean): Promise<void> {
  for (let round = 0; round < 20 && !done(); round++) {
    collect();
    await eventLoopTurn();
  }
}
