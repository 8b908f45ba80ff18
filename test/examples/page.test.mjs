import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { servePage } from "../../examples/browser/server.js";
import { launchChromium } from "../../scripts/runtimes.mjs";

let server;
let browser;
let url = "";
let page;
let complaints = [];

beforeAll(async () => {
  server = await servePage(0);
  url = `http://localhost:${server.address().port}`;
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  server?.close();
});

afterEach(async () => {
  await page.context().close();
});

async function open(options = {}, prepare = () => {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  page = await context.newPage();
  complaints = [];
  page.on("pageerror", ({ message }) => complaints.push(message));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  await prepare();
  await page.goto(url);
}

const openReady = async (options) => {
  await open(options);
  await page.waitForSelector("#gallery button[aria-pressed=true]");
  await page.waitForSelector("#verdict:has-text('It says')");
};

const text = (selector) => page.textContent(selector);
const numberIn = (words) => Number(/[\d,.]+/.exec(words)[0].replaceAll(",", ""));
const step = async () => numberIn(/step [\d,]+/.exec(await text("#step"))[0]);
const untilStep = (least) =>
  page.waitForFunction(
    (wanted) => Number(/step ([\d,]+)/.exec(document.querySelector("#step").textContent)[1].replace(",", "")) >= wanted,
    least,
  );
const speed = (name) => page.getByText(name, { exact: true }).click();
const bars = (layer) => page.getAttribute(`#slopes figure:nth-child(${layer}) .bars`, "d");
const slopeMeans = async () =>
  (await page.locator("#slopes .units").allTextContents()).map((words) => Number(/mean (\S+)/.exec(words)[1]));
const shares = async () => (await page.locator("#probabilities .share").allTextContents()).map(numberIn);

describe("the page", () => {
  beforeEach(() => openReady());
  afterEach(() => expect(complaints).toEqual([]));

  test("shows a network learn: accuracy, loss and slopes move, and it stops when told to", async () => {
    expect(numberIn(await text("#accuracy"))).toBeLessThan(35);
    expect(await slopeMeans()).toEqual([0.25, 0.25, 0.25]);
    expect((await bars(1)).match(/M/g)).toHaveLength(1);

    await speed("Full");
    await page.click("#run");
    await untilStep(300);
    expect(numberIn(await text("#accuracy"))).toBeGreaterThan(70);
    expect(numberIn(await text("#loss"))).toBeLessThan(0.9);
    expect((await bars(1)).match(/M/g).length).toBeGreaterThan(10);
    for (const mean of await slopeMeans()) expect(mean).not.toBe(0.25);
    for (const chart of ["accuracy", "loss"]) {
      const points = (await page.getAttribute(`#${chart}-chart .curve`, "d")).match(/[ML]/g);
      expect(points.length).toBeGreaterThanOrEqual(chart === "loss" ? 300 : 20);
    }

    await page.click("#run:has-text('Pause')");
    // what was under way when it was told
    await page.waitForTimeout(200);
    const at = await step();
    await page.waitForTimeout(300);
    expect(await step()).toBe(at);
    await page.click("#run:has-text('Train')");
    await untilStep(at + 50);
  });

  test("goes on drawing while the network trains as fast as it can", async () => {
    await speed("Full");
    await page.click("#run");
    await untilStep(50);
    const seen = await page.evaluate(async () => {
      const steps = new Set();
      for (let frame = 0; frame < 30; frame++) {
        await new Promise(requestAnimationFrame);
        steps.add(document.querySelector("#step").textContent);
      }
      return steps.size;
    });
    expect(seen).toBeGreaterThan(5);
  });

  test("trains to the end, recognises what it has never seen, and starts again", async () => {
    await speed("Full");
    await page.click("#run");
    await page.waitForSelector("#run:disabled:has-text('Trained')");
    expect(await step()).toBe(20 * Math.ceil(6000 / 64));
    expect(numberIn(await text("#accuracy"))).toBeGreaterThan(80);
    let right = 0;
    for (const button of await page.locator("#gallery button").all()) {
      const label = await button.getAttribute("title");
      await button.click();
      const verdict = await page.waitForFunction((truth) => {
        const words = document.querySelector("#verdict").textContent;
        return (words === `It says: ${truth}, and it is right.` || words.endsWith(`; it is: ${truth}.`)) && words;
      }, label);
      if (/right\.$/.test(await verdict.jsonValue())) right++;
    }
    expect(right).toBeGreaterThan(16);

    await page.click("#restart");
    await page.waitForSelector("#step:has-text('step 0,')");
    expect(await slopeMeans()).toEqual([0.25, 0.25, 0.25]);
    await page.click("#run:enabled:has-text('Train')");
    await untilStep(20);
  });

  test("answers what is drawn, even while it does not train", async () => {
    await speed("Full");
    await page.click("#run");
    await untilStep(400);
    await page.click("#run");
    await page.click("#clear");
    await page.waitForTimeout(100);
    const blank = await shares();
    expect(await page.locator("#gallery [aria-pressed=true]").count()).toBe(0);

    const ink = () =>
      page.evaluate(() => {
        const { data } = document.querySelector("#drawing").getContext("2d").getImageData(0, 0, 28, 28);
        return data.filter((value, i) => i % 4 === 0 && value > 0).length;
      });
    const { x, y, width, height } = await page.locator("#drawing").boundingBox();
    const stroke = async (...points) => {
      const [[fromX, fromY], ...rest] = points.map(([a, b]) => [x + a * width, y + b * height]);
      await page.mouse.move(fromX, fromY);
      await page.mouse.down();
      for (const [toX, toY] of rest) await page.mouse.move(toX, toY, { steps: 10 });
      await page.mouse.up();
    };
    expect(await ink()).toBe(0);
    // a waist and two legs
    await stroke([0.38, 0.08], [0.62, 0.08]);
    for (const leg of [0.38, 0.43, 0.57, 0.62]) await stroke([leg, 0.08], [leg, 0.92]);
    await page.waitForTimeout(100);
    const drawn = await ink();
    expect(drawn).toBeGreaterThan(100);
    expect(await shares()).not.toEqual(blank);
    expect(await text("#verdict")).toBe("It says: Trousers");

    await page.getByText("Erase", { exact: true }).click();
    await stroke([0.38, 0.5], [0.38, 0.92]);
    expect(await ink()).toBeLessThan(drawn);
  });

  test("starts another network where its slopes are to start elsewhere", async () => {
    await page.click("#run");
    await untilStep(20);
    await page.selectOption("select[name=initialSlope]", "1");
    await page.waitForFunction(() => /mean 1\.0|mean 0\.9/.test(document.querySelector("#slopes .units").textContent));
    await page.selectOption("select[name=learningRate]", "0.01");
    await untilStep(20);
    for (const mean of await slopeMeans()) expect(Math.abs(mean - 1)).toBeLessThan(0.3);
  });

  test("says what a point of a curve is", async () => {
    await speed("Full");
    await page.click("#run");
    await untilStep(120);
    await page.hover("#loss-chart");
    await page.waitForFunction(() => /^step [\d,]+: \d/.test(document.querySelector("#loss-chart .value").textContent));
  });
});

test.each([
  ["a phone", { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }],
  ["a phone in the dark", { viewport: { width: 390, height: 844 }, isMobile: true, colorScheme: "dark" }],
  ["a tablet", { viewport: { width: 820, height: 1100 } }],
])("fits %s", async (_, options) => {
  await openReady(options);
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
  await page.click("#run");
  await untilStep(10);
  expect(complaints).toEqual([]);
});

test("says so where the images cannot be had", async () => {
  await open({}, () => page.route("**/t10k-*", (route) => route.fulfill({ status: 404 })));
  await page.waitForSelector("#status.failed");
  expect(await text("#status")).toMatch(/^It does not work here: .*t10k.*: 404$/);
  expect((await fetch(`${url}/server.ts`)).status).toBe(404);
  expect((await fetch(`${url}/%2e%2e/package.json`)).status).toBe(404);
});
