// Kernels over several threads. A call that is large enough is cut into chunks (cuts.ts, numbers.ts), which the threads of a team take
// (team.ts, control.ts); what workers run is in worker.ts, and how they start in start.ts. The bits are those of one thread: results are cut,
// never sums.
import type { LinearMemory } from "../../memory.js";
import { callKernel, type KernelName } from "../description.js";
import { descriptions } from "../groups.js";
import type { Kernels } from "../kernels.js";
import { type Arguments, Cuts } from "./cuts.js";
import { THRESHOLDS, type Thresholds } from "./numbers.js";
import type { Callee, Team } from "./team.js";

type Kernel = (...args: (number | boolean)[]) => number | undefined;

/** The names by which threads number kernels. */
export const kernelNames = (): KernelName[] => Object.keys(descriptions()) as KernelName[];

/** The same kernels, whose large calls the team shares. `threads` is how many scratches a call brings. */
export function threaded(
  ops: Kernels,
  team: Team,
  memory: LinearMemory,
  threads: number,
  thresholds: Thresholds = THRESHOLDS,
): Kernels {
  const wrapped: Record<string, unknown> = { ...ops };
  for (const [index, name] of kernelNames().entries()) {
    const cuts = Cuts.of(name, descriptions()[name]);
    if (cuts !== undefined) wrapped[name] = inChunks(ops, name, index, cuts, team, memory, thresholds);
  }
  const kernels = wrapped as unknown as Kernels;
  // each thread has a scratch of its own, one behind the other
  if ("conv2dWorkBytes" in ops) kernels.conv2dWorkBytes = (window) => threads * scratchBytes(ops, window);
  return kernels;
}

const ALIGNMENT = 64;
const scratchBytes = (ops: Kernels, window: number): number =>
  Math.ceil(ops.conv2dWorkBytes(window) / ALIGNMENT) * ALIGNMENT;

function inChunks(
  ops: Kernels,
  name: KernelName,
  index: number,
  cuts: Cuts,
  team: Team,
  memory: LinearMemory,
  thresholds: Thresholds,
): Kernel {
  const kernel = ops[name] as unknown as Kernel;
  const callee: Callee = { index, run: (args: Arguments) => callKernel(ops, name, args), scratch: cuts.scratch };
  // arguments by name: an array for each small call would cost as much as the call
  return (a, b, c, d, e, f, g, h, i, j, k, l, m, n) => {
    team.assertWhole();
    const cost = cuts.cost(Number(a), Number(b), Number(c), Number(d), Number(e), memory);
    if (cost >= thresholds.leastCall && team.isFree) {
      const args = [a, b, c, d, e, f, g, h, i, j, k, l, m, n].slice(0, kernel.length);
      const cut = cuts.cut(cost, team.threads, args, memory, thresholds);
      if (cut !== undefined) {
        team.run(callee, args, cut, cuts.scratch < 0 ? 0 : scratchBytes(ops, Number(b)));
        return undefined;
      }
    }
    return kernel(a, b, c, d, e, f, g, h, i, j, k, l, m, n);
  };
}
