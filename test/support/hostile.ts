import { runInNewContext } from "node:vm";
import { pick } from "./fuzz.js";
import type { Random } from "./random.js";

const refuse = (): never => {
  throw new Error("hostile");
};

/** A proxy whose traps throw, all of them or some. */
function trapped(random: Random, target: object): object {
  const traps = [
    "get",
    "has",
    "ownKeys",
    "getOwnPropertyDescriptor",
    "getPrototypeOf",
    "set",
    "defineProperty",
  ] as const;
  const chosen = traps.filter(() => random.next() < 0.5);
  return new Proxy(target, Object.fromEntries(chosen.map((trap) => [trap, refuse])));
}

/** A proxy that answers anything with something. */
function liar(random: Random, target: object): object {
  return new Proxy(target, {
    get: (_, key) =>
      key === Symbol.toPrimitive ? refuse : pick(random, [0, -1, 1e9, NaN, "x", undefined, null, {}, [], refuse]),
  });
}

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

function cyclic(): unknown[] {
  const loop: unknown[] = [1, 2];
  loop[1] = loop;
  loop[0] = loop;
  return loop;
}

function deep(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

function detached(array: ArrayBufferView): ArrayBufferView {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  return array;
}

class Liar extends Float32Array {
  // @ts-expect-error: an accessor of the prototype, which some versions of the library declare as a property
  get length(): number {
    return 1e6;
  }
}

/** Values that no function expects: what programs pass by mistake, and what an attacker would. */
export function hostile(random: Random): unknown {
  return pick<() => unknown>(random, [
    () => undefined,
    () => null,
    () => true,
    () => pick(random, [0, -0, -1, 0.5, 2 ** 31, 2 ** 32, 2 ** 53, 1e300, Infinity, -Infinity, NaN]),
    () => pick(random, ["", "1", "x".repeat(1e5), "__proto__", "constructor"]),
    () => pick(random, [0n, 3n, 2n ** 64n, -1n]),
    () => Symbol("s"),
    () => () => {},
    () => refuse,
    () => class {},
    () => ({}),
    () => [],
    () => [[], []],
    () => [[1, 2], [3]],
    () => [1, "2", 3],
    () => new Array(pick(random, [3, 2 ** 32 - 1])),
    () => cyclic(),
    () => deep(pick(random, [5, 40, 10_000])),
    () => ({ length: 2 ** 32 }),
    () => ({ length: 3, 0: 1, 1: 2, 2: 3 }),
    () => Object.create(null),
    () => ({
      get lr() {
        return refuse();
      },
      get params() {
        return refuse();
      },
      get value() {
        return refuse();
      },
      get shape() {
        return refuse();
      },
    }),
    () => ({
      toString: refuse,
      valueOf: refuse,
      toJSON: refuse,
      [Symbol.toPrimitive]: refuse,
      get [Symbol.toStringTag]() {
        return refuse();
      },
    }),
    () => ({
      get constructor() {
        return refuse();
      },
    }),
    () => trapped(random, pick(random, [{}, [1, 2, 3], () => {}])),
    () => liar(random, pick(random, [{}, [1, 2, 3]])),
    () => revoked(pick(random, [{}, [1]])),
    () => new Date(NaN),
    () => new Map([[1, 2]]),
    () => new WeakMap(),
    () => Promise.resolve(1),
    () => new DataView(new ArrayBuffer(8)),
    () => new ArrayBuffer(pick(random, [0, 8, 64])),
    () => new SharedArrayBuffer(64),
    () => new Uint8Array(pick(random, [0, 3, 16])),
    () => new BigInt64Array(4),
    () => new Float32Array(pick(random, [0, 4, 5, 12])),
    () => new Float64Array(4),
    () => new Liar([1, 2, 3, 4]),
    () => detached(new Float32Array(4)),
    () => detached(new Int32Array(4)),
    () => runInNewContext("new Float32Array(4)"),
    () => runInNewContext("[[1, 2, 3, 4]]"),
    () => runInNewContext("({})"),
    () => runInNewContext("new Proxy([], { get() { throw new Error('hostile'); } })"),
    () => globalThis,
    () => new Error("not thrown"),
  ])();
}
