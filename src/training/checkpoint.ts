import { listed, show } from "../checks.js";
import type { Engine } from "../engine.js";
import { FormatError, StateError } from "../errors.js";
import { writeFloats } from "../formats/elements.js";
import { JsonReader, numberForJson } from "../formats/json.js";
import { decodeOptimizer, encodeOptimizer } from "../formats/optimizer.js";
import {
  decodeSafeTensors,
  encodeSafeTensors,
  type StoredTensor,
  storedFloats,
  storedTensors,
} from "../formats/safetensors.js";
import { encodeNet, matchNet } from "../formats/state.js";
import { builtin } from "../host-types.js";
import type { Layer } from "../layers/layer.js";
import type { AnyOptimizer } from "../optimizers/optimizer.js";
import type { GeneratorState, RandomGenerator } from "../random.js";
import { sameShape } from "../tensor.js";
import type { EarlyStopping } from "./early-stopping.js";
import type { EpochRecord } from "./settings.js";

/** Where a training is. */
export interface Place {
  /** From 1. */
  epoch: number;
  /** How many of the epoch's batches are done. */
  batch: number;
  /** Whether the epoch's order has been drawn. */
  isShuffled: boolean;
  /** Of the epoch so far: the batches' losses, each times its weight, and the weights. */
  lossSum: number;
  weightSum: number;
  seconds: number;
  /** Whether the training has ended: since there were no more epochs, or for good, by a callback or early stopping. */
  ended: (typeof ENDS)[number];
}

const ENDS = ["no", "epochs", "for good"] as const;

export const firstPlace = (): Place => ({ ...startOf(1), ended: "no" });

/** An epoch's beginning. */
export const startOf = (epoch: number): Omit<Place, "ended"> => ({
  epoch,
  batch: 0,
  isShuffled: false,
  lossSum: 0,
  weightSum: 0,
  seconds: 0,
});

/** What must be the same where a training goes on, by the words that an error says. */
export type Conditions = Readonly<Record<string, string | number | boolean>>;

const KERNELS = "kernel set";

/** The parts of a training that a checkpoint keeps, and gives back. */
export interface Resumable {
  readonly net: Layer;
  readonly engine: Engine;
  readonly optimizer: AnyOptimizer;
  /** The optimizer's settings before the first step. */
  initial: Conditions;
  readonly conditions: Conditions;
  readonly seed: number;
  readonly generator: RandomGenerator;
  readonly place: Place;
  readonly history: EpochRecord[];
  /** The samples in their order. */
  readonly order: Uint32Array | undefined;
  readonly batches: number;
  readonly stopping: EarlyStopping | undefined;
  /** Whether gradients are being summed up for a step. */
  readonly hasGradients: boolean;
}

/** The first key of the metadata: the digest of the whole file, with zeros in its own place. */
const DIGEST = "sha256";
const NO_DIGEST = "0".repeat(64);
/** How the bytes in front of the digest read, behind the header's length. */
const BEFORE_DIGEST = `{"__metadata__":{"${DIGEST}":"`;
const DIGEST_AT = 8 + BEFORE_DIGEST.length;
/** The key of everything that is no tensor, as JSON. */
const STATE = "checkpoint";

/** The whole file. */
export function encodeCheckpoint(training: Resumable): Uint8Array {
  const { net, engine, optimizer, order, stopping, place, history } = training;
  const state = encodeNet(net, "fit: checkpoint");
  const steps = encodeOptimizer(optimizer);
  const tensors = new Map<string, StoredTensor>([
    ...under("net", state.tensors),
    ...under("optimizer", steps.tensors),
    ...under("best", stopping?.state ?? []),
    ...under("grad", training.hasGradients ? gradientsOf(net) : []),
  ]);
  if (order !== undefined) {
    const bytes = new Uint8Array(order.buffer, order.byteOffset, order.byteLength);
    tensors.set("order", { dtype: "U32", shape: [order.length], bytes });
  }
  const text = JSON.stringify({
    place: withNumbers(place),
    history: history.map(withNumbers),
    conditions: training.conditions,
    initial: training.initial,
    settings: settingsOf(optimizer),
    seed: training.seed,
    generator: stateOf(training.generator),
    engineGenerator: stateOf(engine.generator),
    best: stopping?.best === undefined ? null : numberForJson(stopping.best),
    waited: stopping?.waited ?? 0,
  });
  const metadata = { [DIGEST]: NO_DIGEST, [STATE]: text, ...Object.fromEntries(state.constraints), ...steps.metadata };
  const file = encodeSafeTensors(tensors, metadata, "fit: checkpoint");
  const digest = digestOf(file);
  for (let i = 0; i < digest.length; i++) file[DIGEST_AT + i] = digest.charCodeAt(i);
  return file;
}

function* under(prefix: string, tensors: Iterable<[string, StoredTensor]>): Iterable<[string, StoredTensor]> {
  for (const [name, stored] of tensors) yield [`${prefix}.${name}`, stored];
}

/** Those that have been sent since `zeroGrad`. */
const gradientsOf = (net: Layer): [string, StoredTensor][] =>
  net
    .parameters()
    .flatMap(({ grad }, i): [string, StoredTensor][] =>
      grad.isNone ? [] : [[`${i}`, storedFloats(grad.liveView(), grad.shape)]],
    );

const withNumbers = (record: object): object =>
  Object.fromEntries(
    Object.entries(record).map(([name, value]) => [name, typeof value === "number" ? numberForJson(value) : value]),
  );

function stateOf(generator: RandomGenerator): object {
  const { counter, isSpare, words } = generator.save();
  return { counter, isSpare, words: [...words] };
}

/** An optimizer's type, groups and settings. */
export function settingsOf(optimizer: AnyOptimizer): Conditions {
  const { type, groups } = optimizer.liveStateDict();
  const conditions: Record<string, string | number | boolean> = { optimizer: type, "number of groups": groups.length };
  groups.forEach(({ settings, states }, i) => {
    const where = groups.length === 1 ? "" : ` of group ${i}`;
    for (const [name, value] of Object.entries(settings)) {
      conditions[name + where] =
        typeof value === "number" || typeof value === "boolean" ? value : JSON.stringify(value);
    }
    conditions[`number of parameters${where}`] = states.length;
  });
  return conditions;
}

function digestOf(file: Uint8Array): string {
  const { createHash } = builtin<{ createHash(name: string): Hash }>("node:crypto")!;
  const end = DIGEST_AT + NO_DIGEST.length;
  const zeros = new Uint8Array(NO_DIGEST.length).fill(NO_DIGEST.charCodeAt(0));
  return createHash(DIGEST).update(file.subarray(0, DIGEST_AT)).update(zeros).update(file.subarray(end)).digest("hex");
}

interface Hash {
  update(bytes: Uint8Array): Hash;
  digest(encoding: "hex"): string;
}

/** A file that is whole. */
export interface Checkpoint {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Throws a FormatError for a file that is damaged or no checkpoint. */
export function decodeCheckpoint(file: Uint8Array): Checkpoint {
  const { entries, data, metadata } = decodeSafeTensors(file);
  if (!Object.hasOwn(metadata, STATE) || textAt(file, 8, DIGEST_AT) !== BEFORE_DIGEST) {
    throw new FormatError("the file is no checkpoint");
  }
  const digest = textAt(file, DIGEST_AT, DIGEST_AT + NO_DIGEST.length);
  if (digest !== digestOf(file)) throw new FormatError("the file is damaged: it does not have its own digest");
  return { tensors: storedTensors(entries, data), metadata };
}

const textAt = (file: Uint8Array, start: number, end: number): string =>
  String.fromCharCode(...file.subarray(start, end));

/**
 * Takes a training to where the checkpoint was written. Throws a StateError that says what differs, or a FormatError for content that no
 * training has; then nothing has changed.
 */
export function resume({ tensors, metadata }: Checkpoint, training: Resumable, allowOtherKernels: boolean): void {
  const what = "its state";
  const state = JsonReader.parse(metadata[STATE], what);
  const now = settingsOf(training.optimizer);
  const { [KERNELS]: kernels, ...conditions } = training.conditions;
  const problems = differences(
    state.field("conditions"),
    allowOtherKernels ? conditions : { ...conditions, [KERNELS]: kernels },
  );
  const initial = differences(state.field("initial"), now);
  // in the process that wrote it the optimizer may have other settings by now
  if (initial.length > 0 && differences(state.field("settings"), now).length > 0) problems.push(...initial);
  const net = matchNet(training.net, part(tensors, "net"), metadata, what);
  problems.push(...net.problems.map((problem) => `of the net: ${problem}`));
  if (problems.length > 0) throw new StateError(`the checkpoint is of another training: ${listed(problems)}`);

  const place = readPlace(state.field("place"), training.batches);
  const history = state.field("history").list().map(readRecord);
  const order = readOrder(tensors.get("order"), training.order);
  const generator = readGenerator(state.field("generator"));
  const engineGenerator = readGenerator(state.field("engineGenerator"));
  const best = readBest(state, part(tensors, "best"), training);
  const gradients = readGradients(part(tensors, "grad"), training.net);
  const settings = readConditions(state.field("initial"));
  const { optimizer } = training;
  const steps = decodeOptimizer(optimizer, part(tensors, "optimizer"), metadata, what);

  // the last that may fail
  optimizer.loadStateDict(steps);
  net.take();
  gradients();
  Object.assign(training.place, place);
  training.initial = settings;
  training.history.push(...history);
  training.order?.set(order!);
  training.generator.restore(generator);
  training.engine.generator.restore(engineGenerator);
  if (training.stopping !== undefined) Object.assign(training.stopping, best);
}

/** The seed that the training drew. */
export function seedOf({ metadata }: Checkpoint): number {
  const seed = JsonReader.parse(metadata[STATE], "fit: checkpoint").field("seed").number();
  if (!Number.isSafeInteger(seed))
    throw new FormatError(`fit: checkpoint: got ${seed} as its seed, expected an integer`);
  return seed;
}

const wrong = (part: string): FormatError => new FormatError(`${part} cannot be that of a training`);

function part(tensors: ReadonlyMap<string, StoredTensor>, name: string): Map<string, StoredTensor> {
  const prefix = `${name}.`;
  const found = [...tensors].filter(([key]) => key.startsWith(prefix));
  return new Map(found.map(([key, stored]) => [key.slice(prefix.length), stored]));
}

/** What differs, in words. */
function differences(saved: JsonReader, now: Conditions): string[] {
  return Object.entries(now).flatMap(([name, value]) => {
    const before = saved.field(name).value;
    return before === value ? [] : [`its ${name} is ${plain(before)}, here it is ${plain(value)}`];
  });
}

const plain = (value: unknown): string =>
  value === undefined ? "none" : typeof value === "string" ? value.slice(0, 80) : show(value);

function readConditions(given: JsonReader): Conditions {
  return Object.fromEntries(
    Object.entries(Object(given.value)).map(([name, value]) => {
      if (!["string", "number", "boolean"].includes(typeof value)) throw wrong("a setting");
      return [name, value as string | number | boolean];
    }),
  );
}

function readPlace(given: JsonReader, batches: number): Place {
  const ended = ENDS.find((end) => end === given.field("ended").string());
  const place = {
    epoch: given.field("epoch").count(),
    batch: given.field("batch").count(),
    isShuffled: given.field("isShuffled").boolean(),
    lossSum: given.field("lossSum").number(),
    weightSum: given.field("weightSum").number(),
    seconds: given.field("seconds").number(),
  };
  if (ended === undefined || place.epoch < 1 || place.batch > batches) throw wrong("its place");
  return { ...place, ended };
}

const OPTIONAL = ["testLoss", "accuracy", "lr"] as const;

function readRecord(given: JsonReader): EpochRecord {
  const record: EpochRecord = {
    epoch: given.field("epoch").count(),
    loss: given.field("loss").number(),
    seconds: given.field("seconds").number(),
  };
  for (const name of OPTIONAL) if (!given.field(name).isAbsent) record[name] = given.field(name).number();
  return record;
}

/** An order of the same samples. */
function readOrder(stored: StoredTensor | undefined, current: Uint32Array | undefined): Uint32Array | undefined {
  if (current === undefined) {
    if (stored !== undefined) throw wrong("the order");
    return undefined;
  }
  if (stored?.dtype !== "U32" || !sameShape(stored.shape, [current.length])) throw wrong("the order");
  const order = new Uint32Array(stored.bytes.slice().buffer);
  const missing = new Set(current);
  for (const index of order) if (!missing.delete(index)) throw wrong("the order");
  return order;
}

function readGenerator(given: JsonReader): GeneratorState {
  const words = given
    .field("words")
    .list()
    .map((word) => word.count());
  if (words.length !== 2) throw wrong("a generator");
  return {
    counter: given.field("counter").count(),
    isSpare: given.field("isSpare").boolean(),
    words: Uint32Array.from(words),
  };
}

/** What early stopping remembers. */
function readBest(
  state: JsonReader,
  tensors: Map<string, StoredTensor>,
  { net, stopping }: Resumable,
): Pick<EarlyStopping, "best" | "waited" | "state"> {
  const best = state.field("best");
  const copies = new Map([...tensors].map(([name, stored]) => [name, { ...stored, bytes: stored.bytes.slice() }]));
  if (copies.size > 0) {
    const { constraints } = encodeNet(net, "fit: checkpoint");
    const { problems } = matchNet(net, copies, Object.fromEntries(constraints), "fit: checkpoint");
    if (stopping === undefined || problems.length > 0) throw wrong("the best net");
  }
  return {
    best: best.isAbsent ? undefined : best.number(),
    waited: state.field("waited").count(),
    state: copies.size > 0 ? copies : undefined,
  };
}

/** Checked gradients; the result writes them. */
function readGradients(tensors: Map<string, StoredTensor>, net: Layer): () => void {
  const parameters = net.parameters();
  for (const [name, { dtype, shape }] of tensors) {
    const { grad } = parameters.find((_, i) => name === `${i}`) ?? {};
    if (grad === undefined || dtype !== "F32" || !sameShape(shape, grad.shape)) throw wrong("a gradient");
  }
  return () => {
    parameters.forEach(({ grad }, i) => {
      const stored = tensors.get(`${i}`);
      grad.markZero();
      if (stored === undefined) return;
      grad.overwrite();
      writeFloats(stored, grad.liveView());
      grad.takeFirst();
    });
  };
}
