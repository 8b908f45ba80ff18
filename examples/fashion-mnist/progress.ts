import { SingleBar } from "cli-progress";
import type { BatchInfo } from "lanegrad";

export interface Progress {
  onBatch(info: BatchInfo): void;
  /** Takes the bar off the screen, so that a line can be printed in its place. */
  stop(): void;
}

const SECONDS_BETWEEN_LINES = 5;

/** A bar in a terminal; elsewhere (a log, a pipe) a plain line now and then. */
export function createProgress(stream: NodeJS.WriteStream, epochs: number): Progress {
  return stream.isTTY ? createBar(stream, epochs) : createLines(stream, epochs);
}

function createBar(stream: NodeJS.WritableStream, epochs: number): Progress {
  const bar = new SingleBar({
    stream,
    format: `epoch {epoch}/${epochs} {bar} batch {value}/{total} · loss {loss}`,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: 30,
    hideCursor: true,
    clearOnComplete: true,
  });
  return {
    onBatch({ epoch, batch, batches, loss }) {
      const shown = { epoch, loss: loss.toFixed(4) };
      if (bar.isActive) bar.update(batch, shown);
      else bar.start(batches, batch, shown);
    },
    stop: () => bar.stop(),
  };
}

function createLines(stream: NodeJS.WritableStream, epochs: number): Progress {
  let lastLineAt = performance.now();
  return {
    onBatch({ epoch, batch, batches, loss }) {
      if (performance.now() - lastLineAt < SECONDS_BETWEEN_LINES * 1000) return;
      stream.write(`epoch ${epoch}/${epochs} · batch ${batch}/${batches} · loss ${loss.toFixed(4)}\n`);
      lastLineAt = performance.now();
    },
    stop() {
      lastLineAt = performance.now();
    },
  };
}
