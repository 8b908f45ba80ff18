// The program of the worker that fitInWorker trains in. The build makes a text of it with all that it imports (text.ts): so it starts in
// any runtime without a file of its own. The library comes from its file, once the module that trains is loaded.
import type { Layer } from "../../layers/layer.js";
import type { EpochRecord, FitOptions } from "../settings.js";
import type { WorkerContext } from "./fit-in-worker.js";
import { END_OF_LIBRARY } from "./library.js";
import type { FromWorker, Start, ToWorker } from "./messages.js";
import { describeThrown, reviveThrown } from "./thrown.js";

type Library = WorkerContext["lg"];
type Callback = (told: never) => unknown;

/** The port of a worker thread, or the global object of a Web Worker. */
interface Port {
  postMessage(message: FromWorker, transfer: ArrayBuffer[]): void;
  on?(event: "message", listener: (message: ToWorker) => void): void;
  onmessage?: (event: { data: ToWorker }) => void;
  unref?(): void;
}

interface Files {
  readFileSync(url: URL, encoding: "utf8"): string;
  existsSync(url: URL): boolean;
}

interface Host {
  process?: {
    getBuiltinModule?(name: "node:worker_threads"): { parentPort: Port | null };
    getBuiltinModule?(name: "node:url"): { pathToFileURL(path: string): URL };
    getBuiltinModule?(name: "node:fs"): Files;
  };
}

const { process } = globalThis as unknown as Host;
const threads = process?.getBuiltinModule?.("node:worker_threads");
const files = process?.getBuiltinModule?.("node:fs");
const port = threads?.parentPort ?? (globalThis as unknown as Port);
const stopping = new AbortController();
let takeAnswer: (ends: boolean) => void = () => {};

const send = (message: FromWorker, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);

function receive(message: ToWorker): void {
  if (message.type === "start") void train(message);
  else if (message.type === "abort") stopping.abort(reviveThrown(message.reason, () => undefined));
  else takeAnswer(message.ends);
}

async function train(start: Start): Promise<void> {
  try {
    const module = await importModule(start.module);
    const lg = await libraryFor(module, start.library);
    const { net, fit } = await callModule(module, lg, start);
    const history = await lg.fit(net, withCallers(fit, start));
    const state = lg.save(net);
    send({ type: "done", state, history }, [state.buffer as ArrayBuffer]);
  } catch (error) {
    send({ type: "failed", thrown: describeThrown(error) });
  }
  // what the module has left open may still hold the thread; the caller ends it then
  port.unref?.();
}

type Module = Record<string, unknown>;

async function importModule(url: string): Promise<Module> {
  try {
    return await import(url);
  } catch (cause) {
    const isMissing = url.startsWith("file:") && files?.existsSync(new URL(url)) === false;
    if ((cause as { code?: unknown } | undefined)?.code !== "ERR_MODULE_NOT_FOUND" || !isMissing) throw cause;
    throw failure("ArgumentError", "ERR_LANEGRAD_ARGUMENT", `module: there is no ${url}`, cause);
  }
}

/** The library that the module brings with it, or that of the caller. */
async function libraryFor(module: Module, file: string | undefined): Promise<Library> {
  const own = module.lg as Library | undefined;
  if (typeof own?.fit === "function") return own;
  const url = file === undefined ? undefined : urlOf(file);
  if (url === undefined || !(await isWhole(url))) {
    const where = url === undefined ? "a bundle" : url.href;
    throw failure(
      "EngineError",
      "ERR_LANEGRAD_ENGINE",
      `lanegrad runs from ${where}, which is not its own file, so the worker cannot load it: keep it out of the bundle, or \`export * as lg from "lanegrad"\` in the module that trains`,
    );
  }
  const library = await import(url.href);
  return library.fit === undefined ? library.default : library;
}

/** A program may have been bundled with the library: then that file would run the program again. */
async function isWhole(url: URL): Promise<boolean> {
  try {
    const text =
      files !== undefined && url.protocol === "file:"
        ? files.readFileSync(url, "utf8")
        : await (await fetch(url.href)).text();
    return text.trimEnd().endsWith(END_OF_LIBRARY);
  } catch {
    return false;
  }
}

function urlOf(file: string): URL | undefined {
  const { pathToFileURL } = process?.getBuiltinModule?.("node:url") ?? {};
  return /^[a-z][a-z\d+.-]+:/i.test(file) ? new URL(file) : pathToFileURL?.(file);
}

async function callModule(
  module: Module,
  lg: Library,
  { module: url, options }: Start,
): Promise<{ net: Layer; fit: FitOptions }> {
  // a CommonJS module that was compiled from ESM
  const make = (module.default as Module | undefined)?.default ?? module.default;
  const name = url.startsWith("data:") ? "the module" : url;
  if (typeof make !== "function") {
    throw new lg.ArgumentError(
      `fitInWorker: ${name} has ${make === undefined ? "no default export" : `a default export of type ${typeof make}`}, expected a function (options, { lg, signal, report }) => { net, fit }`,
    );
  }
  const report = (value: unknown): void => {
    try {
      send({ type: "report", value });
    } catch (cause) {
      throw new lg.ArgumentError("fitInWorker: report: got a value that cannot be cloned", { cause });
    }
  };
  stopping.signal.throwIfAborted();
  const context: WorkerContext = { lg, signal: stopping.signal, report };
  const made = await make(options, context);
  if (typeof made !== "object" || made === null) {
    throw new lg.ArgumentError(
      `fitInWorker: the default export of ${name} returned ${made === null ? "null" : typeof made}, expected { net, fit }`,
    );
  }
  return made;
}

/** The options of the module, heeding the caller's callbacks and signal as well. */
function withCallers(fit: FitOptions, { asksAtBatches, asksAtEpochs }: Start): FitOptions {
  // fit says what is wrong with it
  if (typeof fit !== "object" || fit === null) return fit;
  const { onBatch, onEpoch, signal } = fit;
  return {
    ...fit,
    signal: withOurs(signal),
    onBatch: asksAtBatches ? both(onBatch, (info) => ask({ type: "batch", info })) : onBatch,
    onEpoch: both(onEpoch, (record: EpochRecord) => {
      if (asksAtEpochs) return ask({ type: "epoch", record });
      send({ type: "epoch", record });
      return undefined;
    }),
  } as FitOptions;
}

/** Resolves to false if the training is to end. */
function ask(message: FromWorker): Promise<unknown> {
  return new Promise((resolve) => {
    takeAnswer = (ends) => resolve(!ends);
    send(message);
  });
}

function both(own: Callback | undefined, callers: Callback): Callback | undefined {
  // fit says what is wrong with it
  if (own !== undefined && typeof own !== "function") return own;
  return async (told) => {
    const answers = [await own?.(told), await callers(told)];
    return !answers.includes(false);
  };
}

function withOurs(own: FitOptions["signal"]): FitOptions["signal"] {
  const { signal } = stopping;
  if (own === undefined || own === signal) return signal;
  const other = own as AbortSignal;
  if (typeof other?.addEventListener !== "function") return own;
  const pass = () => stopping.abort(other.reason);
  if (other.aborted) pass();
  else other.addEventListener("abort", pass);
  return signal;
}

/** An error of a class of the library, before that is loaded. */
function failure(name: string, code: string, message: string, cause?: unknown): Error {
  const error = new Error(`fitInWorker: ${message}`, cause === undefined ? undefined : { cause });
  return Object.assign(error, { name, code });
}

if (port.on === undefined) port.onmessage = ({ data }) => receive(data);
else port.on("message", receive);
