// The convolutional PReLU network for colour images of 32x32: two blocks of Conv2d, PReLU with a slope for each channel, BatchNorm2d and
// MaxPool2d, then two dense layers with Dropout between them. Prints where its parameters are, and trains it for some steps on
// made-up images: stripes that lean one of ten ways, in random colours.
//   npm run build && node examples/image-network.mjs
import * as lg from "lanegrad";

const CLASSES = 10;
const SIZE = 32;
const BATCH = 16;
const STEPS = 40;

const block = (from, to) => [
  new lg.Conv2d(from, to, 3, { padding: 1 }),
  new lg.PReLU({ numParameters: to }),
  new lg.BatchNorm2d(to),
  new lg.MaxPool2d(2), // halves height and width
];

const net = new lg.Sequential(
  ...block(3, 64), // [N, 3, 32, 32] -> [N, 64, 16, 16]
  ...block(64, 128), // -> [N, 128, 8, 8]
  new lg.Flatten(), // -> [N, 8192]
  new lg.Linear(128 * 8 * 8, 512),
  new lg.PReLU({ numParameters: 512 }),
  new lg.Dropout(0.5),
  new lg.Linear(512, CLASSES),
);

const { layers, parameters, slopes } = lg.summary(net);
console.table(layers.filter((layer) => layer.parameters > 0));
console.log(`${parameters} parameters, ${slopes} of them slopes (${((100 * slopes) / parameters).toFixed(3)} %)`);

/** Evenly spread over 0..1, the same numbers every time (Park and Miller's generator). */
let state = 1;
const random = () => {
  state = (state * 16807) % 2147483647;
  return state / 2147483647;
};

/** A batch of stripes: their direction is the label. */
function nextBatch() {
  const labels = Array.from({ length: BATCH }, () => Math.floor(random() * CLASSES));
  const images = new Float32Array(BATCH * 3 * SIZE * SIZE);
  let i = 0;
  for (const label of labels) {
    const angle = (Math.PI * label) / CLASSES;
    const [dx, dy, phase] = [Math.cos(angle), Math.sin(angle), 6 * random()];
    for (let channel = 0; channel < 3; channel++) {
      const strength = 0.5 + random();
      for (let y = 0; y < SIZE; y++) {
        for (let x = 0; x < SIZE; x++) images[i++] = strength * Math.sin(dx * x + dy * y + phase);
      }
    }
  }
  // images go in as a tensor [N, C, H, W]; one tensor could be kept and refilled through its data
  return { x: lg.tensor(images, [BATCH, 3, SIZE, SIZE]), labels };
}

const optimizer = new lg.Adam(net.parameters(), { lr: 5e-4 });
for (let step = 1; step <= STEPS; step++) {
  const { x, labels } = nextBatch();
  net.zeroGrad();
  const { loss, grad } = lg.crossEntropy(net.forward(x), labels);
  net.backwardParams(grad);
  optimizer.step();
  x.dispose();
  if (step % 10 === 0) console.log(`step ${step}: loss ${loss.toFixed(3)}`);
}

// eval mode: BatchNorm uses its running statistics, Dropout lets everything pass
const { x, labels } = nextBatch();
const scores = lg.predict(net, x);
const classes = lg.argmax(lg.tensor(scores, [BATCH, CLASSES]));
const right = labels.filter((label, i) => classes[i] === label).length;
console.log(`${right} of ${BATCH} new images recognised`);
console.table(lg.slopeStats(net));
