import { SingleBar } from "cli-progress";
import type { BatchInfo, EpochRecord } from "lanegrad";
import { rounded } from "./text.js";

export interface Progress {
  onBatch(info: BatchInfo): void;
  onEpoch(record: EpochRecord): void;
  /** Takes the bar off the screen. */
  stop(): void;
}

const MILLISECONDS_BETWEEN_LINES = 5000;

/** How a training gets on: a bar in a terminal, elsewhere (a log, a pipe) a plain line now and then. */
export function createProgress(stream: NodeJS.WriteStream, epochs: number): Progress {
  return stream.isTTY ? createBar(stream, epochs) : createLines(stream, epochs);
}

function createBar(stream: NodeJS.WriteStream, epochs: number): Progress {
  const bar = new SingleBar({
    stream,
    format: `epoch {epoch}/${epochs} {bar} loss {loss}{test} · {left} left`,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: 24,
    hideCursor: true,
    clearOnComplete: true,
    // so that a Ctrl-C leaves a visible cursor: the program takes it off itself
    gracefulExit: false,
  });
  const clock = createClock();
  let test = "";
  return {
    onBatch({ epoch, batch, batches, loss }) {
      const done = (epoch - 1) * batches + batch;
      const total = epochs * batches;
      const shown = { epoch, loss: rounded(loss), test, left: clock.left(done, total) };
      if (bar.isActive) bar.update(done, shown);
      else bar.start(total, done, shown);
    },
    onEpoch({ testLoss }) {
      if (testLoss !== undefined) test = ` · test loss ${rounded(testLoss)}`;
    },
    stop: () => bar.stop(),
  };
}

function createLines(stream: NodeJS.WritableStream, epochs: number): Progress {
  const clock = createClock();
  let lastLineAt = performance.now();
  let left = "";
  return {
    onBatch({ epoch, batch, batches }) {
      left = clock.left((epoch - 1) * batches + batch, epochs * batches);
    },
    onEpoch({ epoch, loss, testLoss }) {
      if (epoch > 1 && epoch < epochs && performance.now() - lastLineAt < MILLISECONDS_BETWEEN_LINES) return;
      lastLineAt = performance.now();
      const test = testLoss === undefined ? "" : ` · test loss ${rounded(testLoss)}`;
      const rest = epoch < epochs ? ` · ${left} left` : "";
      stream.write(`epoch ${epoch}/${epochs} · loss ${rounded(loss)}${test}${rest}\n`);
    },
    stop() {},
  };
}

/** Tells from what is done, since it was made, how long the rest takes. */
function createClock(): { left(done: number, total: number): string } {
  const start = performance.now();
  // a training that goes on does not begin at 0
  let doneBefore: number | undefined;
  return {
    left(done, total) {
      doneBefore ??= done - 1;
      const perBatch = (performance.now() - start) / (done - doneBefore);
      return durationOf(((total - done) * perBatch) / 1000);
    },
  };
}

/** 75 → "1 min 15 s". */
export function durationOf(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
