/** Something that frees memory when its holder was collected. */
export interface Reclaimable {
  release(): void;
}

/**
 * Frees the storage of dropped tensors. One registry for all engines, never collected: if a registry is collected while it has work
 * to do, V8 in Node 20 runs no finalizer of the process any more. Some edge runtimes have no registries; there only `dispose` frees.
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

/** More than any address space has, so it is refused. */
const MORE_THAN_THERE_IS = 2 ** 49;
const PRESSURE = 64 << 20;

/** Exported, so that no compiler drops the allocations. */
export let granted = 0;

/**
 * Makes the runtime collect garbage now. By itself it would not: it counts the few bytes of a handle, not the linear memory behind it. V8
 * collects everything before it refuses a buffer; other engines count the bytes that were asked for, and collect soon.
 */
export function collectGarbage(): void {
  try {
    granted += new ArrayBuffer(PRESSURE).byteLength;
    granted += new ArrayBuffer(MORE_THAN_THERE_IS).byteLength;
  } catch {
    // refused, as intended
  }
}

let isCollecting = false;

/** Collects dropped tensors. Their storage is freed at a turn of the event loop: until then another collection is no use. */
export function collectDropped(): void {
  if (dropped === undefined || isCollecting) return;
  isCollecting = true;
  dropCanary();
  collectGarbage();
}

/** An object that is collected with the others, and tells so. Made here, so that the caller's frame does not hold it. */
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
