/** What the page and the trainer, which runs in a Web Worker, say to each other. */

export const SIDE = 28;
export const CLASSES = [
  "T-shirt",
  "Trousers",
  "Pullover",
  "Dress",
  "Coat",
  "Sandal",
  "Shirt",
  "Sneaker",
  "Bag",
  "Ankle boot",
];

export interface Settings {
  learningRate: number;
  /** Of every slope, at the start: 0 is ReLU, 1 a straight line. */
  initialSlope: number;
  /** Steps per second; Infinity for no limit. */
  speed: number;
}

export type ToTrainer =
  /** A new network, which waits. */
  | { type: "restart"; settings: Settings; seed: number }
  | { type: "run"; isRunning: boolean }
  /** For the network that is being trained. */
  | { type: "settings"; settings: Settings }
  /** What to predict from then on. */
  | { type: "image"; image: Question };

/** An image that the network is asked about. */
export interface Question {
  /** Counts up, to tell which question an answer is to. */
  id: number;
  /** In 0..1. */
  pixels: Float32Array;
}

export interface TestImage {
  pixels: Uint8Array;
  label: number;
}

/** How far the training is. Messages of networks before the last restart carry their seed. */
export interface Progress {
  type: "progress";
  seed: number;
  step: number;
  epoch: number;
  /** Losses of the batches since the last message. */
  losses: number[];
  /** On the test images, where it was measured since the last message; 0..1. */
  accuracy: number | undefined;
  /** Of each PReLU. */
  slopes: Float32Array[];
  /** Of the image that was asked about last: 0..1 for each class. */
  answer: { id: number; probabilities: Float32Array } | undefined;
  /** Steps per second, without the pauses that the chosen speed asks for. */
  samplesPerSecond: number;
}

export type FromTrainer =
  | { type: "ready"; kernels: string; parameters: number; trainCount: number; testCount: number; images: TestImage[] }
  | { type: "failed"; message: string }
  | { type: "finished"; seed: number }
  | Progress;
