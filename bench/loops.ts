/**
 * Small WebAssembly loops that show what the processor can do, assembled by hand. The AssemblyScript compiler must not run in this
 * process: it detaches an ArrayBuffer, and from then on V8 checks every access to any other. That alone makes pure JavaScript, our opponent,
 * 40 % slower.
 */
export type Loop = (turns: number, seed: number) => number;

const I32 = 0x7f;
const F32 = 0x7d;
const V128 = 0x7b;
const END = 0x0b;

const i32Const = (value: number): number[] => [0x41, ...(value < 64 ? [value] : [(value % 128) | 128, value >>> 7])];
const localGet = (index: number): number[] => [0x20, index];
const localSet = (index: number): number[] => [0x21, index];
const i32Add = [0x6a];
const i32Subtract = [0x6b];
const loop = [0x03, 0x40];
const repeatIf = [0x0d, 0x00];
const f32FromI32 = [0xb2];
const splat = [0xfd, 0x13];
const vectorLoad = (offset: number): number[] => [0xfd, 0x00, 0, offset];
const firstLane = [0xfd, 0x1f, 0x00];
const anyTrue = [0xfd, 0x53];
const add = [0xfd, 0xe4, 0x01];
const multiply = [0xfd, 0xe6, 0x01];

/** The parameters of all loops. */
const TURNS = 0;
const SEED = 1;

/** x += y; y += x; and so on: each of the 2 x `unrolled` additions of a turn waits for the one before, and takes one cycle. */
export function dependentAdditions(unrolled: number): Loop {
  const [x, y] = [2, 3];
  const pair = [...assign(x, x, i32Add, y), ...assign(y, y, i32Add, x)];
  return instantiate(I32, { type: I32, count: 2 }, [
    ...[...localGet(SEED), ...localSet(x), ...localGet(SEED), ...localSet(y)],
    ...countDown(repeated(pair, unrolled)),
    ...localGet(x),
  ]);
}

/**
 * `chains` chains of products and as many of sums, all in registers and independent of each other. A turn does `unrolled` f32x4
 * operations in each.
 */
export function independentProductsAndSums(chains: number, unrolled: number): Loop {
  const constant = 2;
  const products = Array.from({ length: chains }, (_, i) => constant + 1 + i);
  const sums = products.map((product) => product + chains);
  const all = [...products, ...sums];
  const step = products.flatMap((product, i) => [
    ...assign(product, product, multiply, constant),
    ...assign(sums[i], sums[i], add, constant),
  ]);
  return instantiate(F32, { type: V128, count: 1 + all.length }, [
    ...[...localGet(SEED), ...splat, ...localSet(constant)],
    // different numbers, so that the compiler cannot merge the chains
    ...all.flatMap((local, i) => [...i32Const(i), ...f32FromI32, ...splat, ...localSet(local)]),
    ...countDown(repeated(step, unrolled)),
    ...localGet(constant),
    ...all.flatMap((local) => [...localGet(local), ...add]),
    ...firstLane,
  ]);
}

/** Floats that a turn of `reading` reads: as many vectors as hide the latency of additions. */
export const READ_FLOATS = 32;

/** Reads the floats from the address `seed` on, in order, out of a shared memory; the result tells nothing. */
export function reading(memory: WebAssembly.Memory): Loop {
  const sums = Array.from({ length: READ_FLOATS / 4 }, (_, i) => SEED + 1 + i);
  return instantiate(
    I32,
    { type: V128, count: sums.length },
    [
      ...countDown([
        ...sums.flatMap((sum, i) => [
          ...[...localGet(SEED), ...vectorLoad(16 * i), ...localGet(sum), ...add, ...localSet(sum)],
        ]),
        ...[...localGet(SEED), ...i32Const(4 * READ_FLOATS), ...i32Add, ...localSet(SEED)],
      ]),
      ...[...localGet(sums[0]), ...sums.slice(1).flatMap((sum) => [...localGet(sum), ...add]), ...anyTrue],
    ],
    memory,
  );
}

const repeated = (code: number[], times: number): number[] => Array.from({ length: times }, () => code).flat();

const assign = (target: number, left: number, operation: number[], right: number): number[] => [
  ...localGet(left),
  ...localGet(right),
  ...operation,
  ...localSet(target),
];

const countDown = (body: number[]): number[] => [
  ...loop,
  ...body,
  ...assignConstant(TURNS, i32Subtract, 1),
  ...localGet(TURNS),
  ...repeatIf,
  END,
];

const assignConstant = (local: number, operation: number[], value: number): number[] => [
  ...localGet(local),
  ...i32Const(value),
  ...operation,
  ...localSet(local),
];

/** A module with one function (turns: i32, seed: `type`) -> `type`, over a shared memory if there is one. */
function instantiate(
  type: number,
  locals: { type: number; count: number },
  body: number[],
  memory?: WebAssembly.Memory,
): Loop {
  const code = [1, locals.count, locals.type, ...body, END];
  const bytes = [
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 2, I32, type, 1, type]),
    ...(memory ? section(2, [1, ...named("env"), ...named("memory"), ...SHARED_MEMORY]) : []),
    ...section(3, [1, 0]),
    ...section(7, [1, ...named("loop"), 0x00, 0]),
    ...section(10, [1, ...sized(code)]),
  ];
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(bytes)), {
    ...(memory && { env: { memory } }),
  });
  return exports.loop as Loop;
}

/** A memory, shared, of 0 to 65536 pages. */
const SHARED_MEMORY = [0x02, 0x03, 0, ...leb128(65_536)];

const named = (name: string): number[] => sized([...new TextEncoder().encode(name)]);

const section = (id: number, content: number[]): number[] => [id, ...sized(content)];

const sized = (content: number[]): number[] => [...leb128(content.length), ...content];

function leb128(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...leb128(value >>> 7)];
}
