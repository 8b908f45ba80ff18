import { AsyncLocalStorage } from "node:async_hooks";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { FileStore } from "../../examples/serverless/file-store.js";
import { Random } from "../support/random.js";

// Processes that share a folder, played by tasks of this one: every call of the file system waits for its turn, and a seed says whose
// turn it is, and which of them dies where.

type Call = (...args: unknown[]) => Promise<unknown>;
const gates = vi.hoisted(() => ({ run: (call: () => Promise<unknown>) => call() }));

vi.mock("node:fs/promises", async (original) => {
  const calls = await original<Record<string, Call>>();
  const gated = Object.entries(calls).map(([name, call]) => [
    name,
    typeof call === "function" ? (...args: unknown[]) => gates.run(() => call(...args)) : call,
  ]);
  return Object.fromEntries(gated);
});

interface Waiting {
  task: number;
  run(): Promise<void>;
}

const taskNumber = new AsyncLocalStorage<number>();

/** Runs the tasks to their ends, call by call in an order of the seed's; a task stands still for ever at `victim`'s call `lastCall`. */
async function interleave(tasks: (() => Promise<void>)[], random: Random, victim = -1, lastCall = 0): Promise<void> {
  const waiting: Waiting[] = [];
  gates.run = (call) => {
    const task = taskNumber.getStore();
    if (task === undefined) return call();
    return new Promise((resolve, reject) => {
      const run = () =>
        call()
          .then(resolve, reject)
          .then(() => {});
      waiting.push({ task, run });
    });
  };
  const running = new Set(tasks.keys());
  const ends = tasks.map((work, task) =>
    taskNumber.run(task, () =>
      work()
        .then(() => running.delete(task))
        .catch((error) => {
          running.delete(task);
          throw error;
        }),
    ),
  );
  ends[victim]?.catch(() => {});
  let calls = 0;
  for (;;) {
    await turn();
    const choices = waiting.filter(({ task }) => running.has(task));
    if (choices.length === 0) break;
    const chosen = random.pick(choices);
    if (chosen.task === victim && calls++ === lastCall) {
      running.delete(victim);
    } else {
      waiting.splice(waiting.indexOf(chosen), 1);
      await chosen.run();
    }
  }
  gates.run = (call) => call();
  await Promise.all(ends.filter((_, task) => task !== victim));
}

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "lanegrad-store-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** As the service does, with weights that are a list of all that was learned. */
async function learn(store: FileStore, example: number, tries = Number.POSITIVE_INFINITY): Promise<void> {
  for (let i = 0; i < tries; i++) {
    const { weights, revision } = (await store.read("ada")) ?? { weights: [], revision: 0 };
    if (await store.write("ada", { weights: Uint8Array.of(...weights, example), revision: revision + 1 })) return;
  }
}

/** Three processes, two examples each; the numbers of what is acknowledged. */
function processes(place: string): { tasks: (() => Promise<void>)[]; acknowledged: number[] } {
  const acknowledged: number[] = [];
  const tasks = [0, 1, 2].map((task) => async () => {
    const store = new FileStore(place);
    for (const example of [10 * task, 10 * task + 1]) {
      await learn(store, example);
      acknowledged.push(example);
    }
  });
  return { tasks, acknowledged };
}

const inOrder = (values: Iterable<number>): number[] => [...values].sort((a, b) => a - b);

test("whatever the order of their calls, every example is learned once", async () => {
  for (let seed = 0; seed < 40; seed++) {
    const place = join(folder, `order-${seed}`);
    const { tasks } = processes(place);
    await interleave(tasks, new Random(seed));
    const { weights, revision } = (await new FileStore(place).read("ada"))!;
    expect(inOrder(weights), `seed ${seed}: ${weights.join(", ")}`).toEqual([0, 1, 10, 11, 20, 21]);
    expect(revision).toBe(6);
  }
});

test("a process that dies anywhere takes nothing with it, and leaves nothing behind for long", async () => {
  for (let seed = 0; seed < 40; seed++) {
    const place = join(folder, `death-${seed}`);
    const random = new Random(seed);
    const { tasks, acknowledged } = processes(place);
    await interleave(tasks, random, 0, random.integer(0, 20));
    const store = new FileStore(place);
    const { weights } = (await store.read("ada"))!;
    const learned = inOrder(weights);
    // what it was about when it died may be there or not
    expect(learned, `seed ${seed}`).toEqual(inOrder(new Set([...acknowledged, ...weights])));
    expect(learned.length).toBeLessThanOrEqual(acknowledged.length + 1);

    await learn(store, 99, 2);
    expect([...(await store.read("ada"))!.weights]).toEqual([...weights, 99]);
    // the weights, and the token in its folder
    expect(readdirSync(join(place, "ada"), { recursive: true })).toHaveLength(3);
  }
});
