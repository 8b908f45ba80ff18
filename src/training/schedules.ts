import {
  checkBoolean,
  checkNonNegative,
  checkOneOf,
  checkOptions,
  checkSize,
  isArray,
  reading,
  show,
} from "../checks.js";
import { integerPower } from "../deterministic-math.js";
import { ArgumentError } from "../errors.js";

/**
 * By which factor the base learning rate is multiplied at a step: `step` counts the optimizer's steps from 0, `steps` is how many there
 * will be. Any function of your own will do; its result must be finite and >= 0.
 */
export type Schedule = (step: number, steps: number) => number;

/** What `linear` and `cosine` take. */
export interface WarmupOptions {
  /** For how many steps the factor rises linearly from `start` to 1, an integer >= 0; default 0. */
  warmup?: number;
  /** The factor at step 0, finite and >= 0; default 1/3 with a warm-up, which is LinearLR's, and 1 without. */
  start?: number;
  /** The factor that is reached after the last step, finite and >= 0; default 0. */
  end?: number;
}

/** What `oneCycle` takes. */
export interface OneCycleOptions {
  /** The factor at the peak, finite and >= 0; default `divFactor`: then the optimizer's lr is the first one. */
  max?: number;
  /** The share of the steps in which it rises, in [0, 1]; default 0.3. */
  pctStart?: number;
  /** How many times less than at the peak it is at first, > 0; default 25. */
  divFactor?: number;
  /** How many times less than at first it is at last, > 0; default 1e4. */
  finalDivFactor?: number;
  /** Along half a cosine or a line; default "cos". */
  anneal?: "cos" | "linear";
  /** Whether it goes down to the first factor as long as it rose, and only then to the last; default false. */
  threePhase?: boolean;
}

const WARMUP_OPTIONS = ["warmup", "start", "end"] as const;
const ONE_CYCLE_OPTIONS = ["max", "pctStart", "divFactor", "finalDivFactor", "anneal", "threePhase"] as const;

/** The base learning rate at every step (torch.optim.lr_scheduler.ConstantLR with a factor of 1). */
export function constant(): Schedule {
  return () => 1;
}

/**
 * Down, or up, to `end` along a line (LinearLR): start + (end - start) · step / steps, and `end` from then on. With a warm-up, first
 * from `start` to 1 (LinearLR, then LinearLR by SequentialLR).
 */
export function linear(options?: WarmupOptions): Schedule {
  return withWarmup(options, "linear", (share, start, end) => start + (end - start) * Math.min(share, 1));
}

/**
 * Down to `end` along half a cosine (CosineAnnealingLR): end + (start - end) · (1 + cos(π · step / steps)) / 2, which rises again if it is
 * asked for later steps. With a warm-up, first from `start` to 1 along a line (LinearLR, then this by SequentialLR).
 */
export function cosine(options?: WarmupOptions): Schedule {
  return withWarmup(options, "cosine", (share, start, end) => end + ((start - end) * (1 + cosineOfPi(share))) / 2);
}

/** `decay` gets the share of the steps behind the warm-up, and the factors at both ends. */
function withWarmup(
  options: WarmupOptions | undefined,
  name: string,
  decay: (share: number, start: number, end: number) => number,
): Schedule {
  const what = `schedules.${name}`;
  const { warmup = 0, start = warmup > 0 ? 1 / 3 : 1, end = 0 } = checkOptions(options, WARMUP_OPTIONS, what);
  if (warmup !== 0) checkSize(warmup, `${what}: warmup`);
  checkNonNegative(start, `${what}: start`);
  checkNonNegative(end, `${what}: end`);
  return (step, steps) => {
    if (step < warmup) return start + (1 - start) * (step / warmup);
    const share = steps > warmup ? (step - warmup) / (steps - warmup) : 1;
    return decay(share, warmup > 0 ? 1 : start, end);
  };
}

/** gamma^floor(step / every) (StepLR). `every` is a number of steps, an integer >= 1; `gamma`, by default 0.1, is finite and >= 0. */
export function step(options: { every: number; gamma?: number }): Schedule {
  const { every, gamma = 0.1 } = checkOptions(options, ["every", "gamma"], "schedules.step");
  checkSize(every, "schedules.step: every");
  checkNonNegative(gamma, "schedules.step: gamma");
  return (at) => integerPower(gamma, Math.floor(at / every!));
}

/** gamma^step (ExponentialLR). `gamma` is finite and >= 0. */
export function exponential(options: { gamma: number }): Schedule {
  const { gamma } = checkOptions(options, ["gamma"], "schedules.exponential");
  checkNonNegative(gamma, "schedules.exponential: gamma");
  return (at) => integerPower(gamma!, at);
}

/**
 * Up to a peak and down to almost nothing (OneCycleLR; Smith and Topin, 2019). As in PyTorch the first learning rate is the peak's divided
 * by `divFactor`. It is the optimizer's; with `max: 1` the peak's is.
 */
export function oneCycle(options?: OneCycleOptions): Schedule {
  const what = "schedules.oneCycle";
  const given = checkOptions(options, ONE_CYCLE_OPTIONS, what);
  const { pctStart = 0.3, divFactor = 25, finalDivFactor = 1e4, anneal = "cos", threePhase = false } = given;
  const { max = divFactor } = given;
  for (const [name, value] of Object.entries({ pctStart, max })) checkNonNegative(value, `${what}: ${name}`);
  if (pctStart > 1) throw new ArgumentError(`${what}: pctStart: got ${pctStart}, expected a number in [0, 1]`);
  for (const [name, value] of Object.entries({ divFactor, finalDivFactor })) {
    if (!(checkNonNegative(value, `${what}: ${name}`) > 0)) {
      throw new ArgumentError(`${what}: ${name}: got 0, expected a number > 0`);
    }
  }
  checkOneOf(anneal, ["cos", "linear"], `${what}: anneal`);
  checkBoolean(threePhase, `${what}: threePhase`);
  const first = max / divFactor;
  const last = first / finalDivFactor;
  return (at, steps) => {
    const peak = pctStart * steps - 1;
    const end = steps - 1;
    if (at <= peak) return between(first, max, at, 0, peak, anneal);
    if (!threePhase) return between(max, last, at, peak, end, anneal);
    const foot = 2 * pctStart * steps - 2;
    return at <= foot ? between(max, first, at, peak, foot, anneal) : between(first, last, at, foot, end, anneal);
  };
}

/** On the way from `start` to `end`, which is reached at step `to`. */
function between(
  start: number,
  end: number,
  at: number,
  from: number,
  to: number,
  anneal: OneCycleOptions["anneal"],
): number {
  const share = to > from ? Math.min((at - from) / (to - from), 1) : 1;
  return anneal === "cos" ? end + ((start - end) / 2) * (1 + cosineOfPi(share)) : start + (end - start) * share;
}

/**
 * One schedule after the other (SequentialLR): each for so many steps, an integer >= 1, which it counts from 0. The last one runs on.
 */
export function sequence(parts: readonly (readonly [steps: number, schedule: Schedule])[]): Schedule {
  const what = "schedules.sequence";
  const read = reading(what, () => {
    if (!isArray(parts) || parts.length === 0) {
      throw new ArgumentError(`${what}: got ${show(parts)}, expected pairs [steps, schedule]`);
    }
    return Array.from(parts, (part) => {
      const [steps, schedule] = isArray(part) ? part : [];
      if (typeof schedule !== "function") {
        throw new ArgumentError(`${what}: got ${show(part)}, expected a pair [steps, schedule]`);
      }
      return [checkSize(steps, `${what}: steps`), schedule as Schedule] as const;
    });
  });
  return (at) => {
    let begin = 0;
    let [length, schedule] = read[0];
    for (const next of read.slice(1)) {
      if (at < begin + length) break;
      begin += length;
      [length, schedule] = next;
    }
    return schedule(at - begin, length);
  };
}

/** cos(π · x), with the same bits everywhere: Math.cos differs between engines. */
function cosineOfPi(x: number): number {
  const turn = Math.abs(x) % 2;
  const half = turn > 1 ? 2 - turn : turn;
  if (half > 0.5) return -cosineOfPi(1 - half);
  if (half <= 0.25) return alternating(Math.PI * half, 18);
  const angle = Math.PI * (0.5 - half);
  return angle * alternating(angle, 19);
}

/** 1 - t² / (k-1)k + ... up to the term of `last`: the series of cos t for an even `last`, of sin t / t for an odd one; |t| <= π / 4. */
function alternating(t: number, last: number): number {
  let sum = 1;
  for (let k = last; k > 1; k -= 2) sum = 1 - ((t * t) / (k * (k - 1))) * sum;
  return sum;
}
