// Prices of houses: a table with numbers, categories and missing values, and a program by hand that learns it.

import * as lg from "lanegrad";
import { Random } from "../support/random.js";

export interface House {
  readonly area: number | undefined;
  readonly rooms: number;
  readonly age: number | undefined;
  readonly city: string;
  readonly heating: string | undefined;
  readonly price: number;
}

const CITIES = ["Berlin", "Paris", "Rome", "Oslo, Norway", "Bonn"];
const PRICE_OF_AREA = [3000, 5200, 2600, 4100, 2100];
const HEATINGS = ["gas", "oil", "heat pump"];
const PRICE_OF_HEATING = [0, -20_000, 25_000];

export function makeHouses(count: number, seed: number): House[] {
  const random = new Random(seed);
  const orNothing = <T>(value: T, chance: number): T | undefined => (random.next() < chance ? undefined : value);
  return Array.from({ length: count }, () => {
    const city = random.integer(0, CITIES.length - 1);
    const heating = random.integer(0, HEATINGS.length - 1);
    const area = random.integer(300, 2000) / 10;
    const rooms = random.integer(1, 6);
    const age = random.integer(0, 99);
    const noise = random.values(4).reduce((sum, value) => sum + value, 0) * 8000;
    const worth = area * PRICE_OF_AREA[city] * (1 - 0.004 * age + 0.00003 * age ** 2) + rooms * 4000;
    return {
      area: orNothing(area, 0.05),
      rooms,
      age: orNothing(age, 0.1),
      city: CITIES[city],
      heating: orNothing(HEATINGS[heating], 0.08),
      price: Math.round(worth + PRICE_OF_HEATING[heating] + noise),
    };
  });
}

const quoted = (text: string): string => (text.includes(",") ? `"${text}"` : text);

/** The houses as CSV with some columns, in some order. */
export const houseCsv = (houses: readonly House[], columns: readonly (keyof House | "note")[], end = "\n"): string =>
  [
    columns.join(","),
    ...houses.map((house) =>
      columns.map((name) => quoted(name === "note" ? "n" : String(house[name] ?? ""))).join(","),
    ),
  ].join(end);

/** What a programmer would write who knows this table: the RMSE of a trained net on other houses. */
export async function rmseByHand(houses: readonly House[], others: readonly House[]): Promise<number> {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const present = (name: "area" | "age") => houses.flatMap((house) => house[name] ?? []);
  const means = { area: mean(present("area")), age: mean(present("age")) };
  const encode = (house: House): number[] => [
    ((house.area ?? means.area) - 115) / 49,
    Number(house.area === undefined),
    (house.rooms - 3.5) / 1.7,
    ((house.age ?? means.age) - 50) / 29,
    Number(house.age === undefined),
    ...CITIES.map((city) => Number(city === house.city)),
    ...HEATINGS.map((heating) => Number(heating === house.heating)),
    Number(house.heating === undefined),
  ];
  const [middle, scale] = [mean(houses.map(({ price }) => price)), 200_000];
  const engine = lg.createEngine({ seed: 1 });
  const inputs = encode(houses[0]).length;
  const net = new lg.Sequential(
    new lg.LinearPReLU(inputs, 128, { engine }),
    new lg.LinearPReLU(128, 64, { engine }),
    new lg.Linear(64, 1, { engine }),
  );
  await lg.fit(net, {
    train: {
      x: Float32Array.from(houses.flatMap(encode)),
      y: Float32Array.from(houses, ({ price }) => (price - middle) / scale),
    },
    test: 0.2,
    epochs: 100,
    batchSize: 32,
    loss: lg.mseLoss,
    optimizer: new lg.Adam(net.parameters(), { lr: 3e-3 }),
    schedule: lg.schedules.linear(),
    earlyStopping: { patience: 20 },
  });
  const outputs = lg.predict(net, Float32Array.from(others.flatMap(encode)));
  engine.dispose();
  return rmse(
    others,
    Array.from(outputs, (output) => output * scale + middle),
  );
}

export const rmse = (houses: readonly House[], predictions: readonly number[]): number =>
  Math.sqrt(houses.reduce((sum, { price }, i) => sum + (price - predictions[i]) ** 2, 0) / houses.length);
