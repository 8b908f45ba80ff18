import * as lg from "lanegrad";

const layer = new lg.LinearPReLU(3, 2, { numParameters: 1 });
const y: lg.Tensor = layer.forward([[1, 2, 3]]);
const engine: lg.Engine = lg.createEngine({ kernels: "simd", maximumMemory: 1 << 24 });
const training: Promise<lg.EpochRecord[]> = lg.fit(layer, {
  train: { x: [[1, 2, 3]], y: [0] },
  epochs: 1,
  batchSize: 1,
  optimizer: new lg.SGD(layer.parameters(), { lr: 1 }),
  onEpoch: ({ epoch, loss }) => void [epoch, loss],
});
engine[Symbol.dispose]();

// what nests is indexed without being taken apart
const value: number = y.toArray()[0][1];
const rows: number[][] = y.toArray();
for (const row of y.toArray()) for (const item of row) void (item * 2);

// layers
const net = new lg.Sequential({ first: layer, act: new lg.ReLU(), last: new lg.Linear(2, 2, { bias: false }) });
const [first]: readonly lg.Layer[] = net.layers;
const { name, grad }: lg.Parameter = layer.weight;
const messages: lg.Tensor[] = [net.backward(y), net.backwardInput([[1, 2]])];
net.backwardParams(y);
const state: Record<string, lg.Tensor> = net.train().eval().stateDict();
const numbers: number[] = [layer.inFeatures, layer.outFeatures, layer.slopes()[0], layer.slope.value.size];
const moves: lg.Tensor = lg.jacobian(net, [1, 2, 3]).params["first.weight"];

/** A layer of one's own: y = x · W, with W trained. */
class Product extends lg.Layer {
  readonly weight: lg.Parameter;
  private x: lg.Tensor | undefined;

  constructor(
    size: number,
    private readonly engine: lg.Engine,
  ) {
    super();
    const shape = [size, size];
    this.weight = { name: "weight", value: engine.zeros(shape), grad: engine.zeros(shape) };
  }

  override forward(x: lg.Input): lg.Tensor {
    this.x = x instanceof lg.Tensor ? x : this.engine.tensor(x);
    return lg.matmul(this.x, this.weight.value);
  }

  override backwardInput(dy: lg.Input): lg.Tensor {
    return lg.matmul(dy as lg.Tensor, this.weight.value, { transposeB: true });
  }

  override backwardParams(dy: lg.Input): void {
    lg.matmul(this.x!, dy as lg.Tensor, { transposeA: true, out: this.weight.grad, accumulate: true });
  }

  override parameters(): lg.Parameter[] {
    return [this.weight];
  }
}
const own: lg.Sequential = new lg.Sequential(new Product(3, lg.defaultEngine()), layer);

// training
const adam = new lg.Adam([{ params: own.parameters(), lr: 0.1 }, { params: [layer.weight] }], { betas: [0.9, 0.99] });
adam.groups[0].lr = adam.lr / 2;
adam.loadStateDict(adam.stateDict());
const distance = (output: lg.Tensor, target: lg.Tensor): lg.LossResult => lg.mseLoss(output, target);
const { accuracy }: lg.Evaluation = lg.evaluate(net, { x: new Float32Array(3), y: [0] }, { loss: distance });
const bytes: Uint8Array = lg.save(net);
lg.load(net, bytes);
try {
  net.zeroGrad();
} catch (error) {
  if (error instanceof lg.LanegradError) console.log(error.code satisfies string);
}
declare const console: { log(text: string): void };

// @ts-expect-error internals stay inside
y.memory;
// @ts-expect-error
layer.describe();
// @ts-expect-error
layer.shapeAfter([1, 3]);
// @ts-expect-error
layer.map;
// @ts-expect-error
adam.update;
// @ts-expect-error unknown options are refused
new lg.Linear(3, 2, { biass: true });
// @ts-expect-error an engine is made by createEngine
new lg.Engine({});

export type Used = [
  typeof training,
  typeof value,
  typeof rows,
  typeof first,
  typeof name,
  typeof grad,
  typeof messages,
];
export type UsedToo = [typeof state, typeof numbers, typeof moves, typeof accuracy];
