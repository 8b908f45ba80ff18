import type { BatchInfo, EpochRecord } from "../settings.js";
import type { Thrown } from "./thrown.js";

/** What a training in a worker begins with. */
export interface Start {
  readonly type: "start";
  /** The URL of the module that trains. */
  readonly module: string;
  /** Where the library's file is, a URL or a path, if that is known. */
  readonly library: string | undefined;
  readonly options: unknown;
  /** Whether the worker waits for an answer after each batch and each epoch. */
  readonly asksAtBatches: boolean;
  readonly asksAtEpochs: boolean;
}

export type ToWorker =
  | Start
  | { readonly type: "abort"; readonly reason: Thrown }
  | { readonly type: "answer"; readonly ends: boolean };

export type FromWorker =
  | { readonly type: "batch"; readonly info: BatchInfo }
  | { readonly type: "epoch"; readonly record: EpochRecord }
  | { readonly type: "report"; readonly value: unknown }
  | { readonly type: "done"; readonly state: Uint8Array; readonly history: EpochRecord[] }
  | { readonly type: "failed"; readonly thrown: Thrown };
