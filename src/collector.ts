/** What gives its memory back when nobody holds it any more. */
export interface Reclaimable {
  release(): void;
}

/**
 * Dropped tensors give their storage back. One registry for all engines: where one is collected before its turn came, V8 (Node 20)
 * runs no finalizer of the process any more. Some edge runtimes have none: there only `dispose` gives storage back.
 */
const dropped = /* @__PURE__ */ openRegistry();

function openRegistry(): FinalizationRegistry<Reclaimable> | undefined {
  if (typeof FinalizationRegistry === "undefined") return undefined;
  return new FinalizationRegistry((storage) => storage.release());
}

/** Releases `storage` at a turn of the event loop after `holder` was collected. */
export function watch(holder: object, storage: Reclaimable): void {
  dropped?.register(holder, storage, holder);
}

export function unwatch(holder: object): void {
  dropped?.unregister(holder);
}

/** More than any address space has, so that nothing is touched. */
const MORE_THAN_THERE_IS = 2 ** 49;
const PRESSURE = 64 << 20;

/** What was had of it, so that no compiler takes the request for idle. */
export let granted = 0;

/**
 * Has the runtime look through its garbage now. Nothing else makes it: it counts the few bytes of a handle, not what lies behind
 * them in linear memory. V8 looks everywhere before it refuses a buffer; others count what they were asked for, and look soon.
 */
export function collectGarbage(): void {
  try {
    granted += new ArrayBuffer(PRESSURE).byteLength;
    granted += new ArrayBuffer(MORE_THAN_THERE_IS).byteLength;
  } catch {
    // as it should be
  }
}

let isCollecting = false;

/**
 * Has the garbage looked through for dropped tensors. They come back at a turn of the event loop, so that another look is no use
 * before.
 */
export function collectDropped(): void {
  if (dropped === undefined || isCollecting) return;
  isCollecting = true;
  dropCanary();
  collectGarbage();
}

/** It comes back with the others. A function of its own: the frame of the caller must not hold it. */
function dropCanary(): void {
  watch(
    {},
    {
      release() {
        isCollecting = false;
      },
    },
  );
}
