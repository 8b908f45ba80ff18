import { isArray, reading, show } from "../checks.js";
import { ArgumentError } from "../errors.js";
import type { Schedule } from "./schedules.js";
import type { Stepper } from "./settings.js";

/** The learning rates of an optimizer under a schedule. */
export class ScheduledRates {
  readonly #schedule: Schedule;
  /** What has a learning rate: the groups, or the optimizer itself. */
  readonly #holders: readonly { lr: number }[];
  readonly #base: readonly number[];

  constructor(schedule: Schedule, optimizer: Stepper) {
    this.#schedule = schedule;
    this.#holders = reading("fit: optimizer", () => {
      const { groups } = optimizer as { groups?: readonly unknown[] };
      return isArray(groups) ? [...groups] : [optimizer];
    }) as { lr: number }[];
    this.#base = reading("fit: optimizer", () => this.#holders.map((holder) => Object(holder).lr));
    if (!this.#base.every((lr) => typeof lr === "number")) {
      throw new ArgumentError(`fit: schedule: got ${show(optimizer)} as optimizer, which has no lr to set`);
    }
  }

  /** Sets them for a step. */
  set(step: number, steps: number): void {
    const factor: unknown = this.#schedule(step, steps);
    if (!(typeof factor === "number" && Number.isFinite(factor) && factor >= 0)) {
      throw new ArgumentError(`fit: schedule: got ${show(factor)} at step ${step}, expected a finite number >= 0`);
    }
    this.#write((lr) => lr * factor);
  }

  restore(): void {
    this.#write((lr) => lr);
  }

  #write(change: (lr: number) => number): void {
    reading("fit: schedule: lr", () => {
      this.#holders.forEach((holder, i) => {
        holder.lr = change(this.#base[i]);
      });
    });
  }
}
