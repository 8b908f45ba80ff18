/** npx passes on the Ctrl-C that the terminal has already sent to the whole group: one key, two signals. */
const ECHO_MILLISECONDS = 100;
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

export interface Interruption {
  readonly signal: AbortSignal;
  /** The exit status of a program that was interrupted; undefined as long as it was not. */
  status(): number | undefined;
  /** From now on signals end the process, as without this. */
  release(): void;
}

/** Ctrl-C, or a request to end, aborts the signal. A second one ends the process at once. */
export function listenForInterruption(): Interruption {
  const controller = new AbortController();
  let interruptedAt = 0;
  let status: number | undefined;
  const interrupt = (name: keyof typeof SIGNALS): void => {
    if (status === undefined) {
      status = SIGNALS[name];
      interruptedAt = performance.now();
      controller.abort();
    } else if (performance.now() - interruptedAt > ECHO_MILLISECONDS) {
      release();
      process.kill(process.pid, name);
    }
  };
  const release = (): void => {
    for (const name of Object.keys(SIGNALS)) process.off(name, interrupt);
  };
  for (const name of Object.keys(SIGNALS)) process.on(name, interrupt);
  return { signal: controller.signal, status: () => status, release };
}
