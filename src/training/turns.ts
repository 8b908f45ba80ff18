interface Port {
  onmessage: (() => void) | null;
  postMessage(message: null): void;
  close(): void;
}

/** What a host may have to wait for a turn of the event loop. */
interface Host {
  readonly setImmediate?: (callback: () => void) => void;
  readonly MessageChannel?: new () => { readonly port1: Port; readonly port2: Port };
  readonly setTimeout: (callback: () => void, milliseconds: number) => void;
  readonly performance: { now(): number };
}

/** The host's own functions, kept from the start: under a test's fake timers a training would wait for ever. */
const host = /* @__PURE__ */ keepHost();

function keepHost(): Omit<Host, "performance"> & { now(): number } {
  const { setImmediate, MessageChannel, setTimeout, performance } = globalThis as unknown as Host;
  return { setImmediate, MessageChannel, setTimeout, now: performance.now.bind(performance) };
}

/** Work in steps: at each `yield` the event loop may get a turn. */
export type Steps<T = void> = Generator<undefined, T>;

/** A clock in milliseconds. */
export const now = (): number => host.now();

/** The event loop gets a turn this long after the last one. */
const TURN_MILLISECONDS = 8;

/** Gives the event loop its turns during long work. */
export class Turns {
  #last = now();

  /** `afterTurn` throws to end the work. */
  constructor(readonly afterTurn: () => void) {}

  /** A promise to await if a turn is due. */
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

/** One turn of the event loop, with timers and I/O, in the cheapest way that the host has: in browsers a timer takes 4 ms. */
function eventLoopTurn(): Promise<void> {
  // browsers refuse them as methods of another object
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
