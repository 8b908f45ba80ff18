import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { InputError } from "./errors.js";

const KERNELS = ["auto", "relaxed-simd", "simd", "js"] as const;
const MODELS = ["mlp", "cnn"] as const;
const ACTIVATIONS = ["prelu", "prelu-shared", "elu", "leaky-relu", "relu"] as const;
const LARGEST_SEED = 2 ** 32 - 1;

export type Kernels = (typeof KERNELS)[number];
export type Model = (typeof MODELS)[number];
export type Activation = (typeof ACTIVATIONS)[number];

/** Passes over the training set unless told otherwise. */
const EPOCHS = { mlp: 10, cnn: 8 };

export interface Options {
  data: string;
  model: Model;
  epochs: number;
  batch: number;
  kernels: Kernels;
  activation: Activation;
  seed: number;
  threads: number;
  /** Files of weights, where they are asked for. */
  load: string | undefined;
  save: string | undefined;
  help: boolean;
}

export const USAGE = `Trains a network with learnable PReLU slopes on Fashion-MNIST.

Usage: npm start -- [options]

  --data DIR         folder with the four IDX files, gzip or not (default: the subset in data/)
  --model NAME       mlp: 784-256-256-10; cnn: two convolutions of 32 and 64 channels, a hidden layer of 128 (default mlp)
  --epochs N         passes over the training set (default ${EPOCHS.mlp}, cnn: ${EPOCHS.cnn})
  --batch N          samples a step (default 128)
  --kernels NAME     ${KERNELS.join(", ")} (default auto)
  --activation NAME  ${ACTIVATIONS.join(", ")} (default prelu: a slope for each unit or channel)
  --threads N        threads that large kernel calls are split over; the results stay the same (default 1)
  --seed N           of initialisation and shuffling (default 0)
  --load FILE        start from these weights (safetensors)
  --save FILE        write the trained weights there, after Ctrl-C too
  --help             this text`;

/** Reads the command line; whatever does not fit is an InputError. */
export function parseOptions(args: string[]): Options {
  const values = parseStrictly(args);
  const model = oneOf("--model", values.model, MODELS);
  return {
    data: values.data,
    model,
    epochs: wholeNumber("--epochs", values.epochs ?? String(EPOCHS[model]), { least: 1 }),
    batch: wholeNumber("--batch", values.batch, { least: 1 }),
    kernels: oneOf("--kernels", values.kernels, KERNELS),
    activation: oneOf("--activation", values.activation, ACTIVATIONS),
    seed: wholeNumber("--seed", values.seed, { least: 0, most: LARGEST_SEED }),
    threads: wholeNumber("--threads", values.threads, { least: 1 }),
    load: values.load,
    save: values.save,
    help: values.help,
  };
}

function parseStrictly(args: string[]) {
  try {
    return parseArgs({
      args,
      strict: true,
      options: {
        data: { type: "string", default: fileURLToPath(new URL("../../data/fashion-mnist-subset", import.meta.url)) },
        model: { type: "string", default: "mlp" },
        epochs: { type: "string" },
        batch: { type: "string", default: "128" },
        kernels: { type: "string", default: "auto" },
        activation: { type: "string", default: "prelu" },
        seed: { type: "string", default: "0" },
        threads: { type: "string", default: "1" },
        load: { type: "string" },
        save: { type: "string" },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    // parseArgs follows its first sentence with advice of several lines.
    const [firstSentence] = (error as Error).message.split(/\.\s/);
    throw new InputError(`${firstSentence} (--help lists the options)`);
  }
}

function wholeNumber(
  option: string,
  text: string,
  { least, most = Number.MAX_SAFE_INTEGER }: { least: number; most?: number },
): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new InputError(`${option} takes a whole number ${range}, got "${text}"`);
}

function oneOf<Choice extends string>(option: string, text: string, choices: readonly Choice[]): Choice {
  const choice = choices.find((candidate) => candidate === text);
  if (choice === undefined) throw new InputError(`${option} takes one of ${choices.join(", ")}, got "${text}"`);
  return choice;
}
