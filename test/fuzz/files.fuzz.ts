import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { fuzzFiles } from "../support/file-fuzz.js";
import { fuzz } from "../support/fuzz.js";

describe("damaged and hostile files", () => {
  it("are read as what they are or refused, at once, and change nothing then", async () => {
    const engine = lg.createEngine({ kernels: "js" });
    let read = 0;
    const rounds = await fuzz((random) => {
      read += fuzzFiles(engine, random);
    });
    expect(read).toBeGreaterThan(0);
    console.log(`${rounds} rounds, ${read} files that could be read`);
  });
});
