import type { Engines } from "./engines.js";
import type { Work } from "./run.js";

/** A function for each contender, which is set up, checked, and called many times. */
export interface Contenders {
  wasm(): unknown;
  twin?(): unknown;
  /** The same as wasm, widened to 256 bits. */
  wide?(): unknown;
  /** The pure-JavaScript program that is not ours; see opponent/. */
  opponent?(): unknown;
  /** No contender, but a bound: reads or writes once what a call has to. */
  memory?(): unknown;
}

export interface Row {
  readonly name: string;
  readonly work: Work;
  /** How long it is measured, if the machine is quiet. */
  readonly milliseconds: number;
  /** Whether `memory` is there. */
  readonly isBounded?: boolean;
  prepare(engines: Engines, scope: Scope): Contenders;
}

/** Frees what a row took, the last first. */
export class Scope implements Disposable {
  readonly #cleanUps: (() => void)[] = [];

  defer(cleanUp: () => void): void {
    this.#cleanUps.push(cleanUp);
  }

  own<Resource extends Disposable>(resource: Resource): Resource {
    this.defer(() => resource[Symbol.dispose]());
    return resource;
  }

  [Symbol.dispose](): void {
    while (this.#cleanUps.length > 0) this.#cleanUps.pop()!();
  }
}
