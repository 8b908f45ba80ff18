import type { Problem } from "./problem.js";

/** What is measured, until it returns or the promise that it returns is fulfilled. */
export type Call<Value> = () => Value | Promise<Value>;

export interface Training extends Disposable {
  /** One training step; the loss before it. */
  readonly step: Call<number>;
  /**
   * Sets the learning rate to 0, so that every step does the same work: a net that has learnt its batch by heart has gradients
   * that are denormal numbers, which slow arithmetic down tenfold.
   */
  freeze(): void;
}

export interface Inference extends Disposable {
  /** One forward pass; the logits, [batch, CLASSES]. */
  readonly forward: Call<ArrayLike<number>>;
}

/** A library that is loaded and set to one thread. */
export interface Contender {
  /** Undefined if the library cannot train such a network. */
  train(problem: Problem): Training | undefined;
  infer(problem: Problem): Inference | Promise<Inference>;
}
