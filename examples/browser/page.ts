// What is on the page; the training itself is in trainer.ts.
import { Histogram, LineChart } from "./charts.js";
import { Drawing, paint } from "./drawing.js";
import { CLASSES, type FromTrainer, type Progress, type Settings, type TestImage, type ToTrainer } from "./messages.js";

const find = <T extends Element>(selector: string): T => document.querySelector<T>(selector)!;
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const whole = (value: number): string => Math.round(value).toLocaleString("en");

const GALLERY_PAGE = 24;
/** Decay of the smoothed loss: each batch weighs this fraction of the next one. */
const SMOOTHING = 0.9;
/** The slopes' axis reaches this far beyond them, and beyond where they started. */
const SLOPE_MARGIN = 0.12;

const trainer = new Worker("trainer.js", { type: "module" });
const send = (message: ToTrainer): void => trainer.postMessage(message);

const form = find<HTMLFormElement>("#controls");
const runButton = find<HTMLButtonElement>("#run");
const restartButton = find<HTMLButtonElement>("#restart");
const othersButton = find<HTMLButtonElement>("#others");

function settings(): Settings {
  const data = new FormData(form);
  const read = (name: string): number => Number(data.get(name));
  return { learningRate: read("learningRate"), initialSlope: read("initialSlope"), speed: read("speed") };
}

let seed = 0;
let isRunning = false;
let initialSlope = 0;
let testCount = 0;

/** What is known of the network: all its losses, smoothed losses and accuracies. */
let losses: [number, number][] = [];
let smooth: [number, number][] = [];
let accuracies: [number, number][] = [];
let latest: Progress | undefined;

function setRunning(wanted: boolean): void {
  isRunning = wanted;
  runButton.textContent = wanted ? "Pause" : "Train";
  send({ type: "run", isRunning });
}

function restart(): void {
  seed++;
  losses = [];
  smooth = [];
  accuracies = [];
  latest = undefined;
  runButton.disabled = false;
  ({ initialSlope } = settings());
  send({ type: "restart", settings: settings(), seed });
  setRunning(isRunning);
}

runButton.addEventListener("click", () => setRunning(!isRunning));
restartButton.addEventListener("click", restart);
form.addEventListener("change", () => {
  if (settings().initialSlope !== initialSlope) restart();
  else send({ type: "settings", settings: settings() });
});

const accuracyChart = new LineChart(find("#accuracy-chart"), {
  label: (value) => `${Number((100 * value).toFixed(1))} %`,
  top: 1,
});
const lossChart = new LineChart(find("#loss-chart"), { label: (value) => String(Number(value.toFixed(3))), top: 2.5 });

let isDrawDue = false;

/** Many messages may come before the screen shows anything else. */
function drawSoon(): void {
  if (isDrawDue) return;
  isDrawDue = true;
  requestAnimationFrame(() => {
    isDrawDue = false;
    draw();
  });
}

function takeIn(progress: Progress): void {
  const first = progress.step - progress.losses.length + 1;
  for (const [i, loss] of progress.losses.entries()) {
    const before = smooth.at(-1)?.[1] ?? loss;
    // the first ones average themselves, since nothing is before them
    const weight = Math.max(1 - SMOOTHING, 1 / (smooth.length + 1));
    losses.push([first + i, loss]);
    smooth.push([first + i, before + weight * (loss - before)]);
  }
  if (progress.accuracy !== undefined) accuracies.push([progress.step, progress.accuracy]);
  latest = progress;
}

function draw(): void {
  if (latest === undefined) return;
  const { step, epoch, slopes, answer, samplesPerSecond } = latest;
  accuracyChart.draw(accuracies);
  lossChart.draw(smooth, losses);
  const accuracy = accuracies.at(-1)?.[1];
  find("#accuracy").textContent = accuracy === undefined ? "–" : percent(accuracy);
  find("#right-ones").textContent =
    accuracy === undefined ? "" : `${whole(accuracy * testCount)} of ${whole(testCount)} images`;
  find("#loss").textContent = smooth.at(-1)?.[1].toFixed(3) ?? "–";
  find("#step").textContent = `step ${whole(step)}, epoch ${epoch}`;
  find("#pace").textContent = samplesPerSecond > 0 ? `${whole(samplesPerSecond)} images/s` : "";
  drawSlopes(slopes);
  if (answer?.id === questions) drawProbabilities(answer.probabilities);
}

interface SlopeFigure {
  caption: HTMLElement;
  chart: Histogram;
}

const slopeFigures: SlopeFigure[] = [];

function addSlopeFigure(i: number, units: number): SlopeFigure {
  const figure = document.createElement("figure");
  figure.innerHTML =
    `<figcaption>Layer ${i + 1} <span class="units"></span></figcaption>` +
    `<svg role="img" aria-label="Histogram of the ${units} slopes of layer ${i + 1}"></svg>`;
  find("#slopes").append(figure);
  return { caption: figure.querySelector<HTMLElement>(".units")!, chart: new Histogram(figure.querySelector("svg")!) };
}

function drawSlopes(slopes: Float32Array[]): void {
  const all = slopes.flatMap((layer) => [...layer]);
  const low = Math.min(initialSlope - 0.2, ...all) - SLOPE_MARGIN;
  const high = Math.max(initialSlope + 0.2, ...all) + SLOPE_MARGIN;
  for (const [i, layer] of slopes.entries()) {
    slopeFigures[i] ??= addSlopeFigure(i, layer.length);
    const { caption, chart } = slopeFigures[i];
    const mean = layer.reduce((sum, slope) => sum + slope, 0) / layer.length;
    caption.textContent = `${layer.length} slopes, mean ${mean.toFixed(3)}`;
    chart.draw(layer, [low, high], initialSlope);
  }
}

/** The test image that the drawing was before anybody changed it. */
let picked: TestImage | undefined;

const drawing = new Drawing(find("#drawing"), () => {
  pick(undefined);
  ask();
});

/** Questions asked so far. */
let questions = 0;

function ask(): void {
  questions++;
  send({ type: "image", image: { id: questions, pixels: drawing.pixels.slice() } });
}

const bars = CLASSES.map((name) => {
  const row = document.createElement("li");
  row.innerHTML = `<span>${name}</span><span class="bar"><i></i></span><span class="share"></span>`;
  row.querySelector("i")!.style.transform = "scaleX(0)";
  find("#probabilities").append(row);
  return { row, bar: row.querySelector("i")!, share: row.querySelector(".share")! };
});

function drawProbabilities(probabilities: Float32Array): void {
  const best = probabilities.indexOf(Math.max(...probabilities));
  for (const [i, { row, bar, share }] of bars.entries()) {
    row.classList.toggle("first", i === best);
    bar.style.transform = `scaleX(${probabilities[i]})`;
    share.textContent = `${(100 * probabilities[i]).toFixed(0)} %`;
  }
  const truth =
    picked === undefined ? "" : picked.label === best ? ", and it is right." : `; it is: ${CLASSES[picked.label]}.`;
  find("#verdict").textContent = `It says: ${CLASSES[best]}${truth}`;
}

function pick(image: TestImage | undefined, button?: HTMLButtonElement): void {
  picked = image;
  for (const other of find("#gallery").children) other.setAttribute("aria-pressed", String(other === button));
  if (image === undefined) return;
  drawing.show(Float32Array.from(image.pixels, (value) => value / 255));
  ask();
}

let images: TestImage[] = [];
let galleryStart = 0;

function showGallery(): void {
  const shown = images.slice(galleryStart, galleryStart + GALLERY_PAGE);
  const buttons = shown.map((image, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = CLASSES[image.label];
    button.setAttribute("aria-label", `Test image ${galleryStart + i + 1}: ${CLASSES[image.label]}`);
    const canvas = document.createElement("canvas");
    paint(
      canvas,
      Float32Array.from(image.pixels, (value) => value / 255),
    );
    button.append(canvas);
    button.addEventListener("click", () => pick(image, button));
    return button;
  });
  find("#gallery").replaceChildren(...buttons);
}

othersButton.addEventListener("click", () => {
  galleryStart = (galleryStart + GALLERY_PAGE) % images.length;
  showGallery();
});
find("#clear").addEventListener("click", () => {
  pick(undefined);
  drawing.show(new Float32Array(drawing.pixels.length));
  ask();
});
for (const input of document.querySelectorAll<HTMLInputElement>("input[name=brush]")) {
  input.addEventListener("change", () => {
    drawing.isErasing = input.value === "erase";
  });
}

function obey(message: FromTrainer): void {
  switch (message.type) {
    case "ready":
      ({ images, testCount } = message);
      find("#about").textContent =
        `${whole(message.parameters)} parameters learn to tell clothes apart from ${whole(message.trainCount)} images, ` +
        `here in your browser, with lanegrad's ${message.kernels} kernels.`;
      restartButton.disabled = false;
      othersButton.disabled = false;
      showGallery();
      pick(images[0], find("#gallery").firstElementChild as HTMLButtonElement);
      return;
    case "progress":
      // a network that has been replaced may still have sent something
      if (message.seed !== seed) return;
      takeIn(message);
      drawSoon();
      return;
    case "finished":
      if (message.seed !== seed) return;
      setRunning(false);
      runButton.disabled = true;
      runButton.textContent = "Trained";
      return;
    case "failed":
      fail(message.message);
  }
}

function fail(message: string): void {
  const status = find("#status");
  status.textContent = `It does not work here: ${message}`;
  status.classList.add("failed");
}

trainer.addEventListener("message", ({ data }: MessageEvent<FromTrainer>) => obey(data));
trainer.addEventListener("error", ({ message }) => fail(message));
restart();
