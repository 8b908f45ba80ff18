// Trains in a Web Worker, so that the page stays responsive. One network at a time; a restart begins another one.
import * as lg from "lanegrad";
import type { FromTrainer, Progress, Question, Settings, TestImage, ToTrainer } from "./messages.js";
import { SIDE } from "./messages.js";

const HIDDEN = [128, 64, 32];
const BATCH = 64;
const EPOCHS = 20;
/** Batches between two tests. */
const TEST_EVERY = 15;
/** Between two messages: as often as a screen is redrawn. */
const REPORT_MS = 1000 / 60;
const GALLERY = 120;

const send = (message: FromTrainer): void => postMessage(message);

const fetchIdx = async (name: string): Promise<Uint8Array> => {
  const response = await fetch(`${name}-ubyte.gz`);
  if (!response.ok) throw new Error(`${response.url}: ${response.status}`);
  // browsers decompress streams only
  const unpacked = new Response(response.body!.pipeThrough(new DecompressionStream("gzip")));
  return lg.readIdx(new Uint8Array(await unpacked.arrayBuffer())).data;
};

async function fetchData() {
  const names = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"];
  const [trainX, trainY, testX, testY] = await Promise.all(names.map(fetchIdx));
  return { train: { x: trainX, y: trainY }, test: { x: testX, y: testY } };
}

type Data = Awaited<ReturnType<typeof fetchData>>;

const softmax = (logits: Float32Array): Float32Array => {
  const largest = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - largest));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
};

/** A network in training, from its first step until it is done or stopped. */
class Training {
  readonly seed: number;
  readonly #data: Data;
  readonly #engine: lg.Engine;
  readonly #net: lg.Sequential;
  readonly #activations: lg.PReLU[];
  readonly #optimizer: lg.Adam;
  readonly #stopping = new AbortController();
  #settings: Settings;
  #image: Question | undefined;
  #step = 0;
  #epoch = 1;
  #losses: number[] = [];
  #accuracy: number | undefined;
  #busyMs = 0;
  #busySince = 0;
  #lastReport = 0;
  /** Lets a waiting step go. */
  #resume: (() => void) | undefined;
  #isRunning = false;
  #trained: Promise<void> = Promise.resolve();

  constructor(data: Data, settings: Settings, seed: number) {
    this.seed = seed;
    this.#data = data;
    this.#settings = settings;
    this.#engine = lg.createEngine({ seed });
    const engine = this.#engine;
    this.#activations = HIDDEN.map(
      (units) => new lg.PReLU({ numParameters: units, init: settings.initialSlope, engine }),
    );
    this.#net = new lg.Sequential(
      ...HIDDEN.flatMap((units, i) => [
        new lg.Linear(i === 0 ? SIDE * SIDE : HIDDEN[i - 1], units, { engine }),
        this.#activations[i],
      ]),
      new lg.Linear(HIDDEN[HIDDEN.length - 1], 10, { engine }),
    );
    this.#optimizer = new lg.Adam(this.#net.parameters(), { lr: settings.learningRate });
  }

  get kernels(): string {
    return this.#engine.kernels;
  }

  get parameters(): number {
    return lg.summary(this.#net).parameters;
  }

  /** Until the last epoch, after which it still predicts; a stop ends it earlier. */
  train(): Promise<void> {
    this.#trained = this.#train();
    return this.#trained;
  }

  async #train(): Promise<void> {
    this.#test();
    this.#report();
    try {
      await this.#turn();
      await lg.fit(this.#net, {
        train: this.#data.train,
        epochs: EPOCHS,
        batchSize: BATCH,
        optimizer: this.#optimizer,
        signal: this.#stopping.signal,
        onBatch: (info) => this.#afterBatch(info),
      });
      this.#test();
      this.#report();
      send({ type: "finished", seed: this.seed });
    } catch (error) {
      if (!this.#stopping.signal.aborted) throw error;
    }
  }

  set isRunning(isRunning: boolean) {
    this.#isRunning = isRunning;
    if (isRunning) this.#resume?.();
  }

  set settings(settings: Settings) {
    this.#settings = settings;
    this.#optimizer.lr = settings.learningRate;
  }

  set image(image: Question) {
    this.#image = image;
    this.#report();
  }

  /** Ends it and gives its memory back. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#resume?.();
    await this.#trained.catch(() => {});
    this.#engine.dispose();
  }

  async #afterBatch({ epoch, loss }: lg.BatchInfo): Promise<void> {
    this.#step++;
    this.#epoch = epoch;
    this.#losses.push(loss);
    this.#busyMs += performance.now() - this.#busySince;
    if (this.#step % TEST_EVERY === 0) this.#test();
    if (performance.now() - this.#lastReport >= REPORT_MS) this.#report();
    await this.#turn();
  }

  /** Waits for the next step to be due: for the speed's sake, and while the training is not running. */
  async #turn(): Promise<void> {
    const { speed } = this.#settings;
    const due = this.#busySince + 1000 / speed;
    if (performance.now() < due) await new Promise((resolve) => setTimeout(resolve, due - performance.now()));
    while (!this.#isRunning && !this.#stopping.signal.aborted) {
      this.#report();
      await new Promise<void>((resolve) => {
        this.#resume = resolve;
      });
    }
    this.#busySince = performance.now();
  }

  #answer({ id, pixels }: Question): Progress["answer"] {
    return { id, probabilities: softmax(lg.predict(this.#net, pixels)) };
  }

  #test(): void {
    this.#accuracy = lg.evaluate(this.#net, this.#data.test).accuracy;
  }

  #report(): void {
    const progress: Progress = {
      type: "progress",
      seed: this.seed,
      step: this.#step,
      epoch: this.#epoch,
      losses: this.#losses,
      accuracy: this.#accuracy,
      slopes: this.#activations.map((activation) => activation.slopes()),
      answer: this.#image && this.#answer(this.#image),
      samplesPerSecond: this.#step === 0 ? 0 : (1000 * BATCH * this.#step) / this.#busyMs,
    };
    this.#losses = [];
    this.#accuracy = undefined;
    this.#lastReport = performance.now();
    send(progress);
  }
}

/** The first test images, for the page to pick from. */
const gallery = ({ test }: Data): TestImage[] =>
  Array.from({ length: GALLERY }, (_, i) => ({
    pixels: test.x.slice(i * SIDE ** 2, (i + 1) * SIDE ** 2),
    label: test.y[i],
  }));

const loading = fetchData();
let training: Training | undefined;
let image: Question | undefined;

async function obey(message: ToTrainer): Promise<void> {
  const data = await loading;
  switch (message.type) {
    case "restart": {
      const isFirst = training === undefined;
      void training?.stop();
      training = new Training(data, message.settings, message.seed);
      if (image !== undefined) training.image = image;
      if (isFirst) {
        const { kernels, parameters } = training;
        const [trainCount, testCount] = [data.train.y.length, data.test.y.length];
        send({ type: "ready", kernels, parameters, trainCount, testCount, images: gallery(data) });
      }
      return training.train();
    }
    case "run":
      training!.isRunning = message.isRunning;
      return;
    case "settings":
      training!.settings = message.settings;
      return;
    case "image":
      ({ image } = message);
      if (training !== undefined) training.image = image;
  }
}

addEventListener("message", ({ data }: MessageEvent<ToTrainer>) => {
  obey(data).catch((error) => send({ type: "failed", message: error.message }));
});
