import { readFileSync, writeFileSync } from "node:fs";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";

/** A safetensors file of any header text or bytes, as a hostile writer would make it. */
export function fileOf(header: unknown, data: Uint8Array = new Uint8Array(0), length?: bigint): Uint8Array {
  const text = Buffer.isBuffer(header)
    ? header
    : Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(text.length));
  return Buffer.concat([prefix, text, data]);
}

/** The same bytes in every form that a program may have them in. */
export function forms(bytes: Uint8Array): Record<string, () => unknown> {
  const plain = () => Uint8Array.from(bytes);
  const shared = () => {
    const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
    copy.set(bytes);
    return copy;
  };
  const resizable = () => {
    // an option that the types of this version do not know
    const Resizable = ArrayBuffer as unknown as new (length: number, options: { maxByteLength: number }) => ArrayBuffer;
    const copy = new Uint8Array(new Resizable(bytes.length, { maxByteLength: bytes.length + 100 }));
    copy.set(bytes);
    return copy;
  };
  return {
    "a Uint8Array": plain,
    "a Buffer": () => Buffer.from(bytes),
    "a Uint8ClampedArray": () => Uint8ClampedArray.from(bytes),
    "a subclass that reports another length": () =>
      new (class extends Uint8Array {
        // @ts-expect-error: an accessor of the prototype, which some versions of the library declare as a property
        get length(): number {
          return 3;
        }
      })(plain().buffer),
    "an ArrayBuffer": () => plain().buffer,
    "a SharedArrayBuffer": () => shared().buffer,
    "a view of a SharedArrayBuffer": shared,
    "a resizable ArrayBuffer": () => resizable().buffer,
    "a view of a resizable ArrayBuffer": resizable,
    "a Uint8Array of another realm": () => runInNewContext("Uint8Array.from(bytes)", { bytes }),
    "an ArrayBuffer of another realm": () => runInNewContext("Uint8Array.from(bytes).buffer", { bytes }),
  };
}

/** What holds no bytes, or no longer. */
export function notBytes(bytes: Uint8Array): unknown[] {
  const moved = Uint8Array.from(bytes);
  const { buffer } = moved;
  structuredClone(buffer, { transfer: [buffer] });
  return [
    undefined,
    null,
    "text",
    [...bytes],
    Promise.resolve(bytes),
    new Response("x"),
    new Int8Array(bytes),
    new Float32Array(4),
    new DataView(new ArrayBuffer(8)),
    new Proxy(Uint8Array.from(bytes), {}),
    { byteLength: 8 },
    moved,
    buffer,
  ];
}

const text = (content: string): Uint8Array => new TextEncoder().encode(content);

/** Files that programs pass by mistake. */
export const OTHER_FILES: Record<string, { readonly bytes: Uint8Array; readonly says: RegExp }> = {
  "an HTML page": {
    bytes: text("\n<!DOCTYPE html>\n<html><head><title>Not found</title></head></html>"),
    says: /got an HTML page/,
  },
  "an HTML page without a type, behind a byte order mark": {
    bytes: text("\ufeff<html lang=en>"),
    says: /got an HTML page/,
  },
  "a git-lfs pointer": {
    bytes: text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"),
    says: /got a git-lfs pointer/,
  },
  "a zip archive": {
    bytes: Buffer.concat([text("PK\x03\x04\x14\0\x08\0"), Buffer.alloc(99)]),
    says: /got a zip archive/,
  },
  "a pickle": {
    bytes: Buffer.concat([Buffer.of(0x80, 2, 0x8a, 10), Buffer.alloc(99, 7)]),
    says: /got a Python pickle/,
  },
  "an HDF5 file": { bytes: Buffer.concat([Buffer.of(0x89), text("HDF\r\n\x1a\n"), Buffer.alloc(99)]), says: /HDF5/ },
  "JSON text": { bytes: text('{"error": "not found"}'), says: /got JSON text/ },
};

export const gzip = (bytes: Uint8Array): Uint8Array => new Uint8Array(gzipSync(bytes));

/** What a call costs: processor milliseconds, and bytes of memory at its highest above where it began. */
export function costOf(call: () => void): { milliseconds: number; bytes: number } {
  const before = highest();
  const cpu = process.cpuUsage();
  const begin = performance.now();
  call();
  const wall = performance.now() - begin;
  const { user, system } = process.cpuUsage(cpu);
  // the processor's time has the collector's threads in it, the clock's has what else the machine does
  return { milliseconds: Math.min(wall, (user + system) / 1000), bytes: highest(false) - before };
}

/** The most memory that was resident since the last time; where Linux does not say it, what is now. */
function highest(anew = true): number {
  try {
    if (anew) writeFileSync("/proc/self/clear_refs", "5");
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]) * 1024;
  } catch {
    return process.memoryUsage().rss;
  }
}
