import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { resolve } from "node:path";
import * as lg from "lanegrad";
import { InputError, UsageError } from "./failures.js";
import { checkWritable, writeWhole } from "./files.js";
import { filesOfFolder } from "./images.js";
import { type Interruption, listenForInterruption } from "./interruption.js";
import { buildNet, describeModel, encodeModel, type ModelDescription } from "./model.js";
import { type Command, decimalNumber, type Given, listOf, oneOf, wholeNumber } from "./options.js";
import { createProgress } from "./progress.js";
import { scoreOf, scoreText } from "./score.js";
import { TASKS } from "./target.js";
import { counted, rounded, thousands } from "./text.js";
import { readImageData, readTableData, type TableChoice, type TrainingData } from "./training-data.js";

const KERNELS = ["auto", "relaxed-simd", "simd", "js"] as const;
const OPTIMIZERS = ["adam", "adamw", "sgd", "rmsprop"] as const;
const LARGEST_SEED = 2 ** 32 - 1;

/** Tables have few rows: small batches, and an end when the test gets no better. */
const TABLE = { hidden: "128,64", epochs: "100", batchSize: "32", lr: 3e-3, patience: "20" };
/** The settings of the example with Fashion-MNIST. */
const IMAGES = { hidden: "256,256", epochs: "10", batchSize: "128", lr: 1e-3, patience: "0" };
const TEST_FRACTION = "0.2";
const SGD_LR = 0.1;
const SGD_MOMENTUM = 0.9;

const OPTIONS = {
  target: { value: "NAME", help: "the column to predict (CSV)" },
  task: { value: "NAME", help: "classification or regression (CSV; default: by its values)" },
  ignore: { value: "A,B", help: "columns that are no inputs (CSV)" },
  categories: { value: "A,B", help: "columns whose numbers are names (CSV)" },
  data: { value: "DIR", help: "folder of IDX files in MNIST's names, gzip or not" },
  output: { value: "FILE", help: "the model (default model.safetensors)" },
  hidden: { value: "N,N", help: "units of the hidden layers (128,64; IDX: 256,256)" },
  epochs: { value: "N", help: "most passes over the data (100; IDX: 10)" },
  "batch-size": { value: "N", help: "rows a step (32; IDX: 128)" },
  lr: { value: "X", help: "learning rate at the start (0.003; IDX: 0.001; sgd: 0.1)" },
  optimizer: { value: "NAME", help: "adam, adamw, sgd or rmsprop (adam)" },
  seed: { value: "N", help: "of weights, order and held-out rows (0)" },
  "test-fraction": { value: "X", help: "share of the rows held out for the test (0.2)" },
  patience: { value: "N", help: "ends after N epochs without a better test (20; IDX: 0)" },
  checkpoint: { value: "FILE", help: "what --resume goes on from (default: OUTPUT.checkpoint)" },
  resume: { help: "go on with an interrupted training, given the same options" },
  kernels: { value: "NAME", help: "auto, relaxed-simd, simd or js (auto)" },
  json: { help: "print the result as JSON" },
} as const;
type Name = keyof typeof OPTIONS;

type Kind = "table" | "images";

interface Settings {
  /** undefined: images. */
  readonly table: TableChoice | undefined;
  readonly testFraction: number;
  readonly hidden: readonly number[];
  readonly epochs: number;
  readonly batchSize: number;
  readonly lr: number;
  readonly optimizer: (typeof OPTIMIZERS)[number];
  readonly seed: number;
  /** undefined: every epoch is trained. */
  readonly patience: number | undefined;
  readonly output: string;
  readonly checkpoint: string;
  readonly kernels: (typeof KERNELS)[number];
}

export const train: Command<Name> = {
  summary: "Trains a network on a table (CSV with a header) or on images (IDX).",
  usage: ["train FILE.csv --target NAME [options]", "train --data DIR | IMAGES LABELS [TEST_IMAGES TEST_LABELS]"],
  arguments: [0, 4],
  options: OPTIONS,
  async run(given) {
    const settings = readSettings(given, kindOf(given));
    checkTogether(given, settings);
    const interruption = listenForInterruption();
    const engine = lg.createEngine({ kernels: settings.kernels, seed: settings.seed });
    try {
      await checkWritable(settings.output);
      const data = await readData(given, settings, engine);
      return await trainModel(given, settings, data, engine, interruption);
    } finally {
      interruption.release();
      engine.dispose();
    }
  },
};

/** What is to be trained on, by the arguments. */
function kindOf({ files, values }: Given<Name>): Kind {
  if (values.data !== undefined) {
    if (files.length > 0) throw new UsageError(`--data names a folder; "${files[0]}" beside it is too much`);
  } else if (files.length === 1) {
    if (values.target === undefined) throw new UsageError("--target NAME is missing: the column to predict");
    return "table";
  } else if (files.length === 0) {
    throw new UsageError("expected a CSV file with --target NAME, or --data DIR with IDX files");
  } else if (files.length === 3) {
    throw new UsageError("expected a CSV file, two IDX files (images, labels) or four, got three");
  }
  for (const name of ["target", "task", "ignore", "categories"] as const) {
    if (values[name] !== undefined) throw new UsageError(`--${name} is for CSV, and these are IDX files`);
  }
  return "images";
}

function readSettings({ values }: Given<Name>, kind: Kind): Settings {
  const defaults = kind === "table" ? TABLE : IMAGES;
  const optimizer = oneOf("optimizer", values.optimizer ?? "adam", OPTIMIZERS);
  const lr = optimizer === "sgd" ? SGD_LR : defaults.lr;
  const patience = wholeNumber("patience", values.patience ?? defaults.patience, { least: 0 });
  const output = values.output ?? "model.safetensors";
  const share = values["test-fraction"] ?? TEST_FRACTION;
  return {
    table: kind === "table" ? readChoice(values) : undefined,
    testFraction: decimalNumber("test-fraction", share, (value) => value >= 0 && value < 1, "from 0 to below 1"),
    hidden: listOf(values.hidden ?? defaults.hidden).map((units) => wholeNumber("hidden", units, { least: 1 })),
    epochs: wholeNumber("epochs", values.epochs ?? defaults.epochs, { least: 1 }),
    batchSize: wholeNumber("batch-size", values["batch-size"] ?? defaults.batchSize, { least: 1 }),
    lr: values.lr === undefined ? lr : decimalNumber("lr", values.lr, (value) => value > 0, "above 0"),
    optimizer,
    seed: wholeNumber("seed", values.seed ?? "0", { least: 0, most: LARGEST_SEED }),
    patience: patience === 0 ? undefined : patience,
    output,
    checkpoint: values.checkpoint ?? `${output}.checkpoint`,
    kernels: oneOf("kernels", values.kernels ?? "auto", KERNELS),
  };
}

function readChoice({ target, task, ignore, categories }: Given<Name>["values"]): TableChoice {
  return {
    target: target!,
    task: task === undefined ? undefined : oneOf("task", task, TASKS),
    without: ignore === undefined ? [] : listOf(ignore),
    categories: categories === undefined ? [] : listOf(categories),
  };
}

/** Throws a UsageError for an option that would do nothing, or harm, beside the others. */
function checkTogether({ files, values }: Given<Name>, { table, testFraction, output, checkpoint }: Settings): void {
  const hasTestFiles = table === undefined && files.length !== 2;
  if (hasTestFiles && values["test-fraction"] !== undefined) {
    throw new UsageError("--test-fraction is for data without test files");
  }
  if (!hasTestFiles && testFraction === 0 && Number(values.patience) > 0) {
    throw new UsageError("--patience takes rows held out for the test, and --test-fraction is 0");
  }
  if (files.some((file) => resolve(file) === resolve(output))) throw new UsageError("--output is what is trained on");
  if (resolve(output) === resolve(checkpoint)) throw new UsageError("--output and --checkpoint are the same file");
}

function readData({ files, values }: Given<Name>, settings: Settings, engine: lg.Engine): Promise<TrainingData> {
  const { seed, testFraction: fraction, table } = settings;
  const holdOut = { fraction, seed, engine };
  if (table !== undefined) return readTableData(files[0], table, holdOut);
  return readImageData(values.data === undefined ? files : filesOfFolder(values.data), holdOut);
}

async function trainModel(
  given: Given<Name>,
  settings: Settings,
  data: TrainingData,
  engine: lg.Engine,
  interruption: Interruption,
): Promise<number> {
  const description = describeModel(data.input, data.target, settings.hidden);
  const net = buildNet(description, engine);
  tell(headline(engine, data, description, settings));
  for (const note of data.notes) tell(note);
  await prepareCheckpoint(settings.checkpoint, given.flags.has("resume"));
  const history = await fitNet(net, settings, data, interruption);
  if (history === undefined) {
    tell(interruptionText(given, settings.checkpoint));
    return interruption.status()!;
  }
  await writeWhole(settings.output, encodeModel(net, description));
  if (given.values.checkpoint === undefined) await removeCheckpoint(settings.checkpoint);
  const result = resultOf(net, settings, data, history, engine);
  process.stdout.write(`${given.flags.has("json") ? JSON.stringify(result) : resultText(result)}\n`);
  return 0;
}

/** undefined if it was interrupted. */
async function fitNet(
  net: lg.Layer,
  settings: Settings,
  { train, test, target }: TrainingData,
  { signal }: Interruption,
): Promise<lg.EpochRecord[] | undefined> {
  const { epochs, batchSize, seed, patience, checkpoint } = settings;
  const progress = createProgress(process.stderr, epochs);
  try {
    return await lg.fit(net, {
      train,
      test,
      epochs,
      batchSize,
      optimizer: optimizerFor(net, settings),
      loss: target.task === "regression" ? lg.mseLoss : lg.crossEntropy,
      // to 0 in a straight line: the last epochs settle instead of jumping about
      schedule: lg.schedules.linear(),
      earlyStopping: test === undefined || patience === undefined ? undefined : { patience },
      seed,
      checkpoint,
      onBatch: progress.onBatch,
      onEpoch: progress.onEpoch,
      signal,
    });
  } catch (error) {
    if (signal.aborted && error === signal.reason) return undefined;
    if (isDivergence(error)) throw new InputError(`${error.message.split(";")[0]}; a smaller --lr may help`);
    throw error;
  } finally {
    progress.stop();
  }
}

/** Whether a loss became NaN or infinite: of fit's StateErrors this one has the records so far. */
const isDivergence = (error: unknown): error is Error => error instanceof lg.StateError && "history" in error;

function optimizerFor(net: lg.Layer, { optimizer, lr }: Settings) {
  const parameters = net.parameters();
  switch (optimizer) {
    case "adam":
      return new lg.Adam(parameters, { lr });
    case "adamw":
      return new lg.AdamW(parameters, { lr });
    case "rmsprop":
      return new lg.RMSprop(parameters, { lr });
    case "sgd":
      return new lg.SGD(parameters, { lr, momentum: SGD_MOMENTUM });
  }
}

/** The library goes on with a checkpoint that it finds. */
async function prepareCheckpoint(path: string, isResumed: boolean): Promise<void> {
  await checkWritable(path);
  const isThere = checkpointFiles(path).some((file) => existsSync(file));
  if (isResumed && !isThere) throw new InputError(`${path}: no such checkpoint; without --resume the training begins`);
  if (isResumed || !isThere) return;
  tell(`${path}: the checkpoint of an earlier training is removed; --resume would have gone on with it`);
  await removeCheckpoint(path);
}

/** The last one, and the one before it. */
const checkpointFiles = (path: string): string[] => [path, `${path}.previous`];

async function removeCheckpoint(path: string): Promise<void> {
  for (const file of checkpointFiles(path)) await rm(file, { force: true });
}

function interruptionText({ line }: Given<Name>, checkpoint: string): string {
  if (!existsSync(checkpoint)) return "interrupted before anything was learned";
  const again = line.includes("--resume") ? line : [...line, "--resume"];
  return `interrupted; ${checkpoint} has what was learned\ngo on with: npx lanegrad train ${again.map(quoted).join(" ")}`;
}

/** A word as a shell takes it. */
const quoted = (word: string): string => (/^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

function headline(
  engine: lg.Engine,
  { train, test, target }: TrainingData,
  { layers }: ModelDescription,
  { batchSize, seed }: Settings,
): string {
  const sizes = layers.flatMap((layer) => (layer.type === "Linear" ? [layer.outFeatures] : []));
  const first = layers[0].type === "Linear" ? layers[0].inFeatures : 0;
  return [
    `${target.task} of ${target.name}`,
    `${thousands(train.y.length)} + ${counted(test?.y.length ?? 0, "row")}`,
    [first, ...sizes].join("-"),
    `batch ${batchSize}`,
    `seed ${seed}`,
    `${engine.kernels} kernels`,
  ].join(" · ");
}

export type Result = ReturnType<typeof resultOf>;

function resultOf(
  net: lg.Layer,
  { output, seed }: Settings,
  { train, test, target }: TrainingData,
  history: readonly lg.EpochRecord[],
  engine: lg.Engine,
) {
  const best = history.reduce((least, record) => ((record.testLoss ?? 0) < (least.testLoss ?? 0) ? record : least));
  return {
    model: output,
    task: target.task,
    target: target.name,
    rows: { train: train.y.length, test: test?.y.length ?? 0 },
    parameters: lg.summary(net).parameters,
    epochs: history.length,
    bestEpoch: test === undefined ? history.length : best.epoch,
    seconds: history.reduce((sum, { seconds }) => sum + seconds, 0),
    trainLoss: history[history.length - 1].loss,
    test: test === undefined ? undefined : scoreOf(net, target, test),
    kernels: engine.kernels,
    seed,
  };
}

const resultText = ({ model, test, trainLoss, epochs, bestEpoch }: Result): string =>
  [
    test === undefined ? `training loss ${rounded(trainLoss)}` : scoreText("test", test),
    bestEpoch === epochs ? counted(epochs, "epoch") : `${counted(epochs, "epoch")}, the best is ${bestEpoch}`,
    model,
  ].join(" · ");

function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}
