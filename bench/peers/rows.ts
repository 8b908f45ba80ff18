import { BATCHES, IMAGE_BATCH } from "../network.js";
import type { Scope } from "../row.js";
import type { Call, Contender, Inference, Training } from "./contender.js";
import { createDenseProblem, createImageProblem, type Problem } from "./problem.js";

/** The first is ours: all others must agree with it. */
export type Contenders = ReadonlyMap<string, Contender>;

export interface PeerRow {
  readonly name: string;
  /** How long it is measured, if the machine is quiet. */
  readonly milliseconds: number;
  /** What the cell of a contender says that `prepare` leaves out. */
  readonly cannot: string;
  prepare(contenders: Contenders, scope: Scope): Promise<Record<string, Call<unknown>>>;
}

const STEP_MS = 6000;
const FORWARD_MS = 3000;
const CHECK_STEPS = 3;
/** Relative, of losses and of logits: enough to tell another network from another order of additions. */
const CHECK_TOLERANCE = 1e-3;

const stepRow = (network: string, milliseconds: number, createProblem: () => Problem): PeerRow => ({
  name: `step ${network}`,
  milliseconds,
  cannot: "cannot train",
  async prepare(contenders, scope) {
    const problem = createProblem();
    const trainings = new Map<string, Training>();
    for (const [name, contender] of contenders) {
      const training = contender.train(problem);
      if (training !== undefined) trainings.set(name, scope.own(training));
    }
    for (let i = 0; i < CHECK_STEPS; i++) {
      const losses = await resultsOf(trainings, async ({ step }) => [await step()]);
      assertSame(`the loss before step ${i} of ${network}`, losses);
    }
    for (const training of trainings.values()) training.freeze();
    return Object.fromEntries([...trainings].map(([name, { step }]) => [name, step]));
  },
});

const forwardRow = (network: string, createProblem: () => Problem): PeerRow => ({
  name: `forward ${network}`,
  milliseconds: FORWARD_MS,
  cannot: "",
  async prepare(contenders, scope) {
    const problem = createProblem();
    const inferences = new Map<string, Inference>();
    for (const [name, contender] of contenders) inferences.set(name, scope.own(await contender.infer(problem)));
    const logits = await resultsOf(inferences, async ({ forward }) => forward());
    assertSame(`the logits of ${network}`, logits);
    return Object.fromEntries([...inferences].map(([name, { forward }]) => [name, forward]));
  },
});

export const peerRows: PeerRow[] = [
  ...BATCHES.map((batch) => stepRow(`sgd batch ${batch}`, STEP_MS, () => createDenseProblem(batch))),
  stepRow(`cnn sgd batch ${IMAGE_BATCH}`, STEP_MS, createImageProblem),
  ...BATCHES.map((batch) => forwardRow(`batch ${batch}`, () => createDenseProblem(batch))),
  forwardRow(`cnn batch ${IMAGE_BATCH}`, createImageProblem),
];

async function resultsOf<Of>(
  contenders: Map<string, Of>,
  result: (contender: Of) => Promise<ArrayLike<number>>,
): Promise<Map<string, ArrayLike<number>>> {
  const results = new Map<string, ArrayLike<number>>();
  for (const [name, contender] of contenders) results.set(name, await result(contender));
  return results;
}

/** Throws unless all compute the same: otherwise their times could not be compared. */
function assertSame(what: string, results: Map<string, ArrayLike<number>>): void {
  const [[firstName, first]] = results;
  const tolerance = CHECK_TOLERANCE * Math.max(...Array.from(first, Math.abs));
  for (const [name, values] of results) {
    if (values.length !== first.length) throw new Error(`${what}: ${name} has ${values.length} of ${first.length}`);
    for (let i = 0; i < first.length; i++) {
      if (!(Math.abs(values[i] - first[i]) <= tolerance)) {
        throw new Error(`${what}: ${values[i]} of ${name}, ${first[i]} of ${firstName}`);
      }
    }
  }
}
