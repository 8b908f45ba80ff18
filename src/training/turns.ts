interface Port {
  onmessage: (() => void) | null;
  postMessage(message: null): void;
  close(): void;
}

/** What turns are made of; which of it there is depends on the host. */
interface Host {
  readonly setImmediate?: (callback: () => void) => void;
  readonly MessageChannel?: new () => { readonly port1: Port; readonly port2: Port };
  readonly setTimeout: (callback: () => void, milliseconds: number) => void;
  readonly performance: { now(): number };
}

/** The host's own functions, kept from the start: a test that fakes timers would let a training wait for ever. */
const host = /* @__PURE__ */ keepHost();

function keepHost(): Omit<Host, "performance"> & { now(): number } {
  const { setImmediate, MessageChannel, setTimeout, performance } = globalThis as unknown as Host;
  return { setImmediate, MessageChannel, setTimeout, now: performance.now.bind(performance) };
}

/** Work that yields every now and then, for the event loop to get its turns. */
export type Steps<T = void> = Generator<undefined, T>;

/** Milliseconds, for differences. */
export const now = (): number => host.now();

/** The event loop gets a turn when this much time has gone by since the last one. */
const TURN_MILLISECONDS = 8;

/** Gives the event loop its turns during long work. */
export class Turns {
  #last = now();

  /** `afterTurn` throws where the work is not to go on. */
  constructor(readonly afterTurn: () => void) {}

  /** Something to await where a turn is due. */
  take(): Promise<void> | undefined {
    if (now() - this.#last < TURN_MILLISECONDS) return undefined;
    return eventLoopTurn().then(() => {
      this.#last = now();
      this.afterTurn();
    });
  }

  async run<T>(steps: Steps<T>): Promise<T> {
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      const turn = this.take();
      if (turn !== undefined) await turn;
    }
  }
}

/** One turn of the event loop, timers and I/O included, as cheaply as the host allows: browsers let timers wait for 4 ms. */
function eventLoopTurn(): Promise<void> {
  // called without a host object, as browsers want it
  const { setImmediate, MessageChannel, setTimeout } = host;
  return new Promise((resolve) => {
    if (setImmediate !== undefined) setImmediate(resolve);
    else if (MessageChannel === undefined) setTimeout(resolve, 0);
    else {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        // an open port keeps a process alive
        port1.close();
        resolve();
      };
      port2.postMessage(null);
    }
  });
}
