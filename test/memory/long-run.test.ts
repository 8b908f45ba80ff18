import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { LinearMemory } from "../../src/memory.js";
import { describeEngines } from "../support/engines.js";
import { collectGarbage } from "../support/garbage.js";
import { Random } from "../support/random.js";
import { expectRefusal, refusal } from "../support/state.js";

const PAGE = 2 ** 16;
const MIB = 2 ** 20;

describe("a long training run", () => {
  describeEngines((engine) => {
    it("of 100,000 steps with changing batch sizes uses the memory of its first steps", {
      timeout: 120_000,
    }, async () => {
      const own = lg.createEngine({ kernels: engine().kernels, seed: 1 });
      const net = new lg.Sequential(
        new lg.Linear(8, 12, { engine: own }),
        new lg.PReLU({ numParameters: 12, engine: own }),
        new lg.LinearPReLU(12, 4, { engine: own }),
      );
      const adam = new lg.Adam(net.parameters());
      const random = new Random(1);
      const samples = random.values(17 * 8);
      const labels = Uint8Array.from({ length: 17 }, (_, i) => i % 4);
      const step = (): number => {
        const size = random.integer(1, 17);
        net.zeroGrad();
        const { loss, grad } = lg.crossEntropy(net.forward(samples.subarray(0, size * 8)), labels.subarray(0, size));
        net.backward(grad);
        adam.step();
        return loss;
      };
      const settle = (): number => {
        // buffers follow the batch: compare where it is the same
        net.backward(lg.crossEntropy(net.forward(samples), labels).grad);
        return own.memory.used;
      };
      const measure = async (): Promise<NodeJS.MemoryUsage> => {
        await collectGarbage(() => false);
        return process.memoryUsage();
      };
      for (let i = 0; i < 20_000; i++) step();
      const used = settle();
      const { peak, reserved } = own.memory;
      const before = await measure();
      for (let i = 0; i < 80_000; i++) step();
      expect(settle()).toBe(used);
      expect(own.memory).toMatchObject({ peak, reserved });
      const after = await measure();
      // one tensor object a step that stays would be 16 MB in the host's heap
      expect(after.heapUsed - before.heapUsed).toBeLessThan(4 * MIB);
      // what V8 reserves for young objects is its own choice and differs by version; beside it, a kilobyte a step that stays would be
      // 80 MB; the compilers take some 20 MB
      const outside = ({ rss, heapTotal }: NodeJS.MemoryUsage): number => rss - heapTotal;
      expect(outside(after) - outside(before)).toBeLessThan(32 * MIB);
      expect(net.parameters().every(({ value }) => value.data.every(Number.isFinite))).toBe(true);
      own.dispose();
    });

    it("of a convolutional net with changing batch sizes uses the memory of its first steps", () => {
      const own = lg.createEngine({ kernels: engine().kernels, seed: 1 });
      const net = new lg.Sequential(
        new lg.Conv2d(1, 8, 3, { padding: 1, engine: own }),
        new lg.PReLU({ numParameters: 8, engine: own }),
        new lg.BatchNorm2d(8, { engine: own }),
        new lg.MaxPool2d(2, { engine: own }),
        new lg.Flatten({ engine: own }),
        new lg.Dropout(0.25, { engine: own }),
        new lg.Linear(128, 4, { engine: own }),
      );
      const adam = new lg.Adam(net.parameters());
      const random = new Random(1);
      const LARGEST = 5;
      const batches = Array.from({ length: LARGEST }, (_, i) =>
        own.tensor(random.values((i + 1) * 64), [i + 1, 1, 8, 8]),
      );
      const labels = Uint8Array.from({ length: LARGEST }, (_, i) => i % 4);
      const step = (size: number): void => {
        const x = batches[size - 1];
        net.zeroGrad();
        const { grad } = lg.crossEntropy(net.forward(x), labels.subarray(0, size));
        // each way back has buffers of its own
        if (random.next() < 0.5) net.backward(grad);
        else net.backwardParams(grad);
        adam.step();
        if (random.next() < 0.1) {
          net.eval().forward(x);
          net.train();
        }
      };
      const settle = (): number => {
        // buffers follow the batch: compare where it is the same
        net.backward(lg.crossEntropy(net.forward(batches[LARGEST - 1]), labels).grad);
        return own.memory.used;
      };
      const run = (steps: number): void => {
        for (let i = 0; i < steps; i++) step(random.integer(1, LARGEST));
      };
      run(200);
      const used = settle();
      const { peak, reserved } = own.memory;
      run(own.kernels === "js" ? 1_000 : 20_000);
      expect(settle()).toBe(used);
      expect(own.memory).toMatchObject({ peak, reserved });
      expect(net.parameters().every(({ value }) => value.data.every(Number.isFinite))).toBe(true);
      net.dispose();
      own.dispose();
    });

    it("of tensors that are disposed reuses their memory", () => {
      const own = lg.createEngine({ kernels: engine().kernels });
      const random = new Random(2);
      const work = (): void => {
        using a = own.zeros([random.integer(1, 40), 16]);
        using b = own.zeros([random.integer(1, 40), 16]);
        using c = lg.matmul(a, b, { transposeB: true });
        using d = c.clone();
        using flat = d.reshape([d.size]);
        flat.fill_(1);
      };
      for (let i = 0; i < 500; i++) work();
      const memory = own.memory;
      for (let i = 0; i < 5000; i++) work();
      expect(own.memory).toEqual({ ...memory, peak: own.memory.peak });
      expect(own.memory.peak).toBeLessThan(memory.peak * 1.1 + 64);
      own.dispose();
    });

    it("makes and disposes nets for ever in the same memory", () => {
      const own = lg.createEngine({ kernels: engine().kernels });
      const life = (): void => {
        using net = new lg.Sequential(new lg.Linear(30, 20, { engine: own }), new lg.PReLU({ engine: own }));
        net.backward(lg.crossEntropy(net.forward(new Float32Array(90)), [0, 1, 2]).grad);
        using cnn = new lg.Sequential(
          new lg.Conv2d(1, 2, 2, { engine: own }),
          new lg.ReLU({ engine: own }),
          new lg.BatchNorm2d(2, { engine: own }),
          new lg.MaxPool2d(2, { engine: own }),
          new lg.Flatten({ engine: own }),
          new lg.Dropout(0.5, { engine: own }),
        );
        using x = own.zeros([3, 1, 5, 5]);
        cnn.backward(lg.crossEntropy(cnn.forward(x), [0, 1, 2]).grad);
        cnn.eval().forward(x);
      };
      life();
      const { used, peak, reserved } = own.memory;
      for (let i = 0; i < 300; i++) life();
      expect(own.memory).toMatchObject({ used, peak, reserved });
      own.dispose();
    });
  });
});

describe("LinearMemory", () => {
  it("hands out aligned, separate blocks of at least what was asked", () => {
    const memory = new LinearMemory({ maximum: 16 * MIB });
    const sizes = [0, 1, 4, 63, 64, 65, 100, 128, 4096, 5000];
    const blocks = sizes.map((bytes) => ({ offset: memory.allocate(bytes), bytes }));
    for (const { offset, bytes } of blocks) {
      expect(offset % 64).toBe(0);
      expect(offset).toBeGreaterThan(0);
      expect(offset + bytes).toBeLessThanOrEqual(memory.reserved);
    }
    const inOrder = blocks.toSorted((a, b) => a.offset - b.offset);
    for (let i = 1; i < inOrder.length; i++) {
      expect(inOrder[i].offset).toBeGreaterThanOrEqual(inOrder[i - 1].offset + Math.max(1, inOrder[i - 1].bytes));
    }
    expect(memory.used).toBe(sizes.reduce((sum, bytes) => sum + Math.max(64, Math.ceil(bytes / 64) * 64), 0));
  });

  it("keeps clear of the lowest page, where the module's own data lies, and of address 0", () => {
    expect(new LinearMemory({ maximum: MIB }).allocate(64)).toBeGreaterThanOrEqual(PAGE);
  });

  it("reuses what was freed, at once and at the same place", () => {
    const memory = new LinearMemory({ maximum: 4 * MIB });
    const [a, b] = [memory.allocate(1000), memory.allocate(1000)];
    memory.free(a);
    expect(memory.allocate(1000)).toBe(a);
    memory.free(a);
    expect(memory.allocate(64)).toBe(a);
    expect(b).not.toBe(a);
  });

  it.each([
    [0, 1, 2],
    [2, 1, 0],
    [0, 2, 1],
    [1, 0, 2],
    [2, 0, 1],
    [1, 2, 0],
  ])("joins neighbours freed in the order %i %i %i", (...order) => {
    const memory = new LinearMemory({ maximum: 2 * PAGE });
    const third = Math.floor(PAGE / 3 / 64) * 64;
    const blocks = [third, third, PAGE - 2 * third].map((bytes) => memory.allocate(bytes));
    expect(() => memory.allocate(1)).toThrow(lg.MemoryError);
    for (const index of order) memory.free(blocks[index]);
    expect(memory.used).toBe(0);
    expect(memory.allocate(PAGE)).toBe(Math.min(...blocks));
  });

  it("grows when it has to, by what is missing at its end, up to its maximum", () => {
    const memory = new LinearMemory({ maximum: 8 * MIB });
    const { reserved } = memory;
    expect(reserved).toBeLessThanOrEqual(2 * MIB);
    memory.f32.fill(1);
    const big = memory.allocate(3 * MIB);
    expect(memory.reserved).toBeGreaterThan(reserved);
    // the end of the old memory was free and is a part of the block
    expect(big).toBeLessThan(reserved);
    expect(memory.f32.length * 4).toBe(memory.reserved);
    expect(memory.i32.length * 4).toBe(memory.reserved);
    expect(memory.f32[reserved / 4 - 1]).toBe(1);
    // to the last page
    memory.allocate(8 * MIB - PAGE - 3 * MIB);
    expect(memory.reserved).toBe(8 * MIB);
    expect(memory.used).toBe(8 * MIB - PAGE);
  });

  it("rounds its maximum down to whole pages", () => {
    const memory = new LinearMemory({ maximum: 2 * PAGE + 100 });
    expect(memory.maximum).toBe(2 * PAGE);
    expect(memory.reserved).toBeLessThanOrEqual(2 * PAGE);
    memory.allocate(PAGE);
    expect(() => memory.allocate(1)).toThrow(lg.MemoryError);
  });

  it.each([1, 1000, PAGE, PAGE + 1])("is refused over %i bytes", async (maximum) => {
    const error = await refusal(() => new LinearMemory({ maximum }));
    expectRefusal(error, lg.MemoryError, new RegExp(`got ${maximum} bytes, expected more than \\d+`));
    // the bound that it names is one that works
    const bound = Number(/more than (\d+)/.exec((error as Error).message)![1]);
    expect(new LinearMemory({ maximum: bound + 1 }).maximum).toBeGreaterThan(PAGE);
  });

  it.each([2 * MIB, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER])(
    "refuses %i bytes with what was asked, used and allowed, and is as it was",
    async (bytes) => {
      const memory = new LinearMemory({ maximum: 2 * MIB });
      const first = memory.allocate(1000);
      const second = memory.allocate(2000);
      memory.free(first);
      const { used, peak, reserved } = memory;
      const error = await refusal(() => memory.allocate(bytes));
      const asked = Math.ceil(bytes / 64) * 64;
      expectRefusal(
        error,
        lg.MemoryError,
        new RegExp(`${asked} bytes were asked for, ${used} are in use, 2097152 are`),
      );
      expect((error as Error).message).toMatch(/synchronous loop dispose/);
      expect(memory).toMatchObject({ used, peak, reserved });
      expect(memory.allocate(1000)).toBe(first);
      memory.free(second);
      expect(memory.allocate(2000)).toBe(second);
    },
  );

  it("against a model: thousands of random requests never overlap, leak or move", () => {
    const random = new Random(7);
    const memory = new LinearMemory({ maximum: 6 * MIB });
    const live = new Map<number, { bytes: number; mark: number }>();
    const rounded = (bytes: number): number => Math.max(64, Math.ceil(bytes / 64) * 64);
    let used = 0;
    let peak = 0;
    let refused = 0;
    for (let turn = 1; turn <= 20_000; turn++) {
      const full = turn % 4000 > 2000;
      if (live.size > 0 && random.next() < (full ? 0.35 : 0.6)) {
        const [offset, { bytes, mark }] = [...live][random.integer(0, live.size - 1)];
        // nobody wrote into it
        expect(memory.i32[offset / 4]).toBe(mark);
        expect(memory.i32[(offset + rounded(bytes)) / 4 - 1]).toBe(mark);
        memory.free(offset);
        live.delete(offset);
        used -= rounded(bytes);
      } else {
        const bytes = random.next() < 0.1 ? random.integer(0, 300_000) : random.integer(0, 5000);
        try {
          const offset = memory.allocate(bytes);
          expect(live.has(offset)).toBe(false);
          memory.i32.fill(turn, offset / 4, (offset + rounded(bytes)) / 4);
          live.set(offset, { bytes, mark: turn });
          used += rounded(bytes);
          peak = Math.max(peak, used);
        } catch (error) {
          expect(error).toBeInstanceOf(lg.MemoryError);
          refused++;
        }
      }
      expect(memory.used).toBe(used);
    }
    expect(refused).toBeGreaterThan(0);
    expect(memory.peak).toBe(peak);
    for (const offset of live.keys()) memory.free(offset);
    expect(memory.used).toBe(0);
    // all of it is one block again
    expect(memory.allocate(memory.reserved - PAGE)).toBe(PAGE);
  });
});
