import fc from "fast-check";
import * as lg from "lanegrad";

/** A net of lanegrad's layers, and the shape of a sample that it takes. */
export interface SampleNet {
  readonly net: lg.Sequential;
  readonly inputShape: readonly number[];
}

type Make = () => lg.Layer;

const size = (most: number) => fc.integer({ min: 1, max: most });
const slopeOptions = fc.record({
  constraint: fc.constantFrom("none", "exp", "square"),
  init: fc.double({ min: 0.01, max: 1.5, noNaN: true }),
});
const number = fc.double({ min: 0.01, max: 2, noNaN: true });

/** An activation of so many channels. */
const activation = (channels: number): fc.Arbitrary<Make> =>
  fc.oneof(
    fc.constant(() => new lg.ReLU()),
    number.map((negativeSlope) => () => new lg.LeakyReLU({ negativeSlope })),
    number.map((alpha) => () => new lg.ELU({ alpha })),
    fc.tuple(slopeOptions, fc.constantFrom(1, channels)).map(
      ([options, numParameters]) =>
        () =>
          new lg.PReLU({ ...options, numParameters }),
    ),
    fc.constant(() => new lg.Dropout(0.4)),
  );

const denseBlock = (inputs: number, outputs: number): fc.Arbitrary<Make[]> =>
  fc
    .oneof(
      fc.boolean().map((bias) => () => new lg.Linear(inputs, outputs, { bias })),
      fc.tuple(slopeOptions, fc.boolean(), fc.constantFrom(1, outputs)).map(
        ([options, bias, numParameters]) =>
          () =>
            new lg.LinearPReLU(inputs, outputs, { ...options, bias, numParameters }),
      ),
      number.map((alpha) => () => new lg.LinearELU(inputs, outputs, { alpha })),
    )
    .chain((first: Make) =>
      fc
        .array(
          fc.oneof(
            activation(outputs),
            fc.constant(() => new lg.BatchNorm1d(outputs)),
          ),
          { maxLength: 2 },
        )
        .map((others) => [first, ...others]),
    );

/** Layers of images [C, H, W], and the shape after them. */
const imageBlock = ([channels, height, width]: readonly number[]): fc.Arbitrary<{
  layers: Make[];
  after: number[];
}> => {
  const window = fc.record({
    kernel: fc.tuple(size(3), size(3)),
    stride: fc.tuple(size(2), size(2)),
    outChannels: size(5),
    bias: fc.boolean(),
    pools: fc.boolean(),
  });
  return window.chain(({ kernel, stride, outChannels, bias, pools }) => {
    const padding = kernel.map((length) => Math.floor(length / 2)) as [number, number];
    const after = [height, width].map((side, i) => Math.floor((side + 2 * padding[i] - kernel[i]) / stride[i]) + 1);
    const c = pools ? channels : outChannels;
    const first: Make = pools
      ? () => new lg.MaxPool2d(kernel, { stride, padding })
      : () => new lg.Conv2d(channels, outChannels, kernel, { stride, padding, bias });
    return fc
      .array(
        fc.oneof(
          activation(c),
          number.map((eps) => () => new lg.BatchNorm2d(c, { eps })),
        ),
        { maxLength: 2 },
      )
      .map((others) => ({ layers: [first, ...others], after: [c, ...after] }));
  });
};

const named = (layers: lg.Layer[]): lg.Sequential =>
  new lg.Sequential(
    Object.fromEntries(layers.map((layer, i) => [["input", "output", "a b", "x"][i] ?? `l${i}`, layer])),
  );

/** Dense nets and nets for images, some of them nested, with layers' names that a file might trip over. */
export const nets: fc.Arbitrary<() => SampleNet> = fc.oneof(
  fc.array(size(20), { minLength: 2, maxLength: 4 }).chain((sizes) =>
    fc.tuple(...sizes.slice(1).map((outputs, i) => denseBlock(sizes[i], outputs))).map((blocks) => () => ({
      net: new lg.Sequential(...blocks.map((block) => new lg.Sequential(...block.map((make) => make())))),
      inputShape: [sizes[0]],
    })),
  ),
  fc.tuple(size(3), fc.integer({ min: 4, max: 9 }), fc.integer({ min: 4, max: 9 })).chain((inputShape) =>
    imageBlock(inputShape).chain(({ layers, after }) =>
      imageBlock(after).chain((second) =>
        denseBlock(
          second.after.reduce((a, b) => a * b),
          3,
        ).map((dense) => () => ({
          net: named([
            named(layers.map((make) => make())),
            ...second.layers.map((make) => make()),
            new lg.Flatten(),
            ...dense.map((make) => make()),
          ]),
          inputShape,
        })),
      ),
    ),
  ),
);

/** A few steps towards a target of noise, so that slopes and statistics are not those of the start. */
export function trainALittle({ net, inputShape }: SampleNet): void {
  const engine = lg.defaultEngine();
  const optimizer = new lg.SGD(net.parameters(), { lr: 0.01 });
  for (let step = 0; step < 3; step++) {
    const y = net.forward(samples(6, inputShape));
    const { grad } = lg.mseLoss(y, lg.init.kaimingNormal_(engine.zeros(y.shape), { fanIn: 2 }));
    optimizer.zeroGrad();
    net.backwardParams(grad);
    lg.clipGradNorm(net.parameters(), 1);
    optimizer.step();
  }
  optimizer.dispose();
}

/** A batch of noise. */
export const samples = (count: number, inputShape: readonly number[]): lg.Tensor =>
  lg.init.kaimingNormal_(lg.defaultEngine().zeros([count, ...inputShape]), { fanIn: 2 });
