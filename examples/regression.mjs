// Regression: numbers instead of classes. Prices of made-up flats from their area, age and floor. Inputs and outputs are standardised
// (mean 0, standard deviation 1) with the figures of the training data: a network learns slowly, or not at all, from values of 10 beside
// values of 100,000.
//   npm run build && node examples/regression.mjs
import * as lg from "lanegrad";

const FEATURES = ["area", "age", "floor"];
const SAMPLES = 1000;
const TRAINED_ON = 800;

/** Evenly spread over 0..1, the same numbers every time (Park and Miller's generator). */
let state = 1;
const random = () => {
  state = (state * 16807) % 2147483647;
  return state / 2147483647;
};

/** A price in euros: dear when large, new or high up, with some noise. */
function nextFlat() {
  const [area, age, floor] = [30 + 120 * random(), 100 * random(), Math.floor(12 * random())];
  const price = area * (3000 + 2500 * Math.exp(-age / 20) + 60 * floor) + 20000 * (random() - 0.5);
  return { features: [area, age, floor], price };
}

/** Functions that standardise the columns of rows of `width`, and undo it. */
function createScaler(values, width) {
  const columns = Array.from({ length: width }, (_, j) => values.filter((_, i) => i % width === j));
  const means = columns.map((column) => column.reduce((sum, value) => sum + value, 0) / column.length);
  const deviations = columns.map((column, j) => {
    const variance = column.reduce((sum, value) => sum + (value - means[j]) ** 2, 0) / column.length;
    return Math.sqrt(variance) || 1; // a column of one value is none to divide by
  });
  return {
    scale: (rows) => Float32Array.from(rows, (value, i) => (value - means[i % width]) / deviations[i % width]),
    restore: (rows) => Float32Array.from(rows, (value, i) => value * deviations[i % width] + means[i % width]),
  };
}

const flats = Array.from({ length: SAMPLES }, nextFlat);
const x = flats.flatMap(({ features }) => features); // [1000, 3], all samples in a row
const y = flats.map(({ price }) => price);
const split = TRAINED_ON * FEATURES.length;
const [trainX, testX, trainY, testY] = [x.slice(0, split), x.slice(split), y.slice(0, TRAINED_ON), y.slice(TRAINED_ON)];

const inputs = createScaler(trainX, FEATURES.length);
const outputs = createScaler(trainY, 1);

const engine = lg.createEngine({ seed: 1 });
const net = new lg.Sequential(new lg.LinearPReLU(FEATURES.length, 32, { engine }), new lg.Linear(32, 1, { engine }));
const history = await lg.fit(net, {
  train: { x: inputs.scale(trainX), y: outputs.scale(trainY) },
  test: { x: inputs.scale(testX), y: outputs.scale(testY) },
  epochs: 60,
  batchSize: 32,
  loss: lg.mseLoss,
  optimizer: new lg.Adam(net.parameters(), { lr: 0.01 }),
});
// in units of the outputs' variance: always predicting the mean would give 1
console.log(`test loss ${history[0].testLoss.toFixed(3)} -> ${history.at(-1).testLoss.toFixed(3)}`);

const euros = (value) => `${Math.round(value).toLocaleString("en-US")} €`;
const error = (predicted) => predicted.reduce((sum, value, i) => sum + Math.abs(value - testY[i]), 0) / testY.length;
const predicted = outputs.restore(lg.predict(net, inputs.scale(testX)));
for (let i = 0; i < 3; i++) {
  const features = flats[TRAINED_ON + i].features.map((value, j) => `${FEATURES[j]} ${Math.round(value)}`);
  console.log(`${features.join(", ")}: ${euros(predicted[i])}, in truth ${euros(testY[i])}`);
}
const mean = trainY.reduce((sum, value) => sum + value, 0) / TRAINED_ON;
console.log(
  `off by ${euros(error(predicted))} on average; the mean price is off by ${euros(error(testY.map(() => mean)))}`,
);
