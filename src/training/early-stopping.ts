import type { StoredTensor } from "../formats/safetensors.js";
import { encodeNet, matchNet } from "../formats/state.js";
import type { Layer } from "../layers/layer.js";
import type { EarlyStoppingOptions, EpochRecord } from "./settings.js";

/** Watches the test's results, and keeps the net as it was when they were best. */
export class EarlyStopping {
  readonly #net: Layer;
  readonly #options: Required<EarlyStoppingOptions>;
  /** The best value of the metric so far. */
  best: number | undefined;
  /** How many epochs have brought no improvement since. */
  waited = 0;
  /** A copy of the net's state in the best epoch, if it is to be restored. */
  state: Map<string, StoredTensor> | undefined;

  constructor(net: Layer, options: Required<EarlyStoppingOptions>) {
    this.#net = net;
    this.#options = options;
  }

  get isOver(): boolean {
    return this.waited >= this.#options.patience;
  }

  note(record: EpochRecord): void {
    const { metric, restoreBest } = this.#options;
    const value = record[metric] ?? Number.NaN;
    if (!this.#isBetter(value)) {
      this.waited++;
      return;
    }
    this.best = value;
    this.waited = 0;
    if (restoreBest) this.#keep();
  }

  /** NaN is never better. */
  #isBetter(value: number): boolean {
    const { metric, minDelta } = this.#options;
    if (this.best === undefined) return !Number.isNaN(value);
    return metric === "accuracy" ? value > this.best + minDelta : value < this.best - minDelta;
  }

  /** The copies are made once, and written over. */
  #keep(): void {
    const { tensors } = encodeNet(this.#net, "fit: earlyStopping");
    this.state ??= new Map([...tensors].map(([name, stored]) => [name, { ...stored, bytes: stored.bytes.slice() }]));
    for (const [name, { bytes }] of tensors) this.state.get(name)!.bytes.set(bytes);
  }

  /** Gives the net its best state back, if that is wanted and there is one. */
  restore(): void {
    if (this.state === undefined || !this.#options.restoreBest) return;
    const { constraints } = encodeNet(this.#net, "fit: earlyStopping");
    matchNet(this.#net, this.state, Object.fromEntries(constraints), "fit: earlyStopping").take();
  }
}
