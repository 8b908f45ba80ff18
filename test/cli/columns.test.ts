import { describe, expect, it } from "vitest";
import { type ColumnChoice, encodeRows, inputsOf, learnColumns, momentsOf } from "../../src/cli/columns.js";
import { readTable } from "../../src/cli/csv.js";
import { encodeTarget, labelledRows, learnTarget, type Task, taskOf } from "../../src/cli/target.js";

const tableOf = (...lines: string[]) => readTable(Buffer.from(lines.join("\n")), "a.csv");
const NOTHING: ColumnChoice = { without: [], categories: [] };

function learn(lines: string[], choice: Partial<ColumnChoice> = {}) {
  const table = tableOf(...lines);
  const rows = [...table.rows.keys()];
  const { columns, notes } = learnColumns(table, rows, { ...NOTHING, ...choice });
  return { columns, notes, table, rows, x: encodeRows(columns, table, rows).x };
}

describe("columns", () => {
  it("standardises numbers", () => {
    const { columns, x } = learn(["a", "1", "2", "6", "-1e0", " 2.0 "]);
    const deviation = Math.sqrt((1 + 0 + 16 + 9 + 0) / 5);
    expect(columns).toEqual([{ kind: "number", name: "a", mean: 2, deviation, missing: false }]);
    expect([...x]).toEqual([-1, 0, 4, -3, 0].map((value) => Math.fround(value / deviation)));
  });

  it("gives a category an input for each value, the most frequent first", () => {
    const { columns, x } = learn(["a", "x", "y", "y", " y ", "z"]);
    expect(columns).toEqual([{ kind: "category", name: "a", values: ["y", "x", "z"], others: false, missing: false }]);
    expect([...x]).toEqual([0, 1, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1]);
  });

  it("fills a missing number with the mean, and says in an input of its own that it is missing", () => {
    const { columns, x } = learn(["a,b", "1,p", "NA,", "3,q", "n/a,p", "?,None"]);
    expect(columns).toEqual([
      { kind: "number", name: "a", mean: 2, deviation: 1, missing: true },
      { kind: "category", name: "b", values: ["p", "q"], others: false, missing: true },
    ]);
    const rows = [
      [-1, 0, 1, 0, 0],
      [0, 1, 0, 0, 1],
      [1, 0, 0, 1, 0],
      [0, 1, 1, 0, 0],
      [0, 1, 0, 0, 1],
    ];
    expect([...x]).toEqual(rows.flat());
  });

  it("does with rows that training did not have what it can, and says so", () => {
    const { columns } = learn(["a,b", "1,p", "3,q", "2,p"]);
    const table = tableOf("c,b,a", "9,new,NA", "9,,1e300", "9,q,2");
    const { x, notes } = encodeRows(columns, table, [0, 1, 2]);
    expect([...x]).toEqual([0, 0, 0, 1000, 0, 0, 0, 0, 1]);
    expect(notes).toEqual(['column "b": 1 row with values unknown to the model: "new"']);
  });

  it("keeps the most frequent of very many values, and one input for the others", () => {
    const frequent = Array.from({ length: 192 }, (_, i) => `v${i % 64}`);
    const { columns, x } = learn(["a", ...frequent, "rare1", "rare2"]);
    expect(inputsOf(columns)).toBe(65);
    expect(x.slice(192 * 65 + 64, 193 * 65)).toEqual(Float32Array.of(1));
    const { notes } = encodeRows(columns, tableOf("a", "never seen"), [0]);
    expect(notes).toEqual([]);
  });

  it("leaves out what says nothing, and says why", () => {
    const names = Array.from({ length: 70 }, (_, i) => `${i % 2},7,,name ${i},x,${i}`);
    const { columns, notes } = learn([",a,b,c,d,e", ...names]);
    expect(notes).toEqual([
      "1 column without a name: left out",
      'column "a" is always 7: left out',
      'column "b" has no values: left out',
      'column "c" has 70 values in 70 rows: left out, as names or texts are',
      'column "d" is always "x": left out',
    ]);
    expect(columns.map(({ name }) => name)).toEqual(["e"]);
    expect(() => learn(["a", "1", "1"])).toThrow('a.csv: no column to learn from: column "a" is always 1: left out');
  });

  it("is told which columns to leave out, and whose numbers are names", () => {
    const { columns } = learn(["a,b,c", "1,10,5", "2,20,6"], { without: ["a"], categories: ["b"] });
    expect(columns.map(({ name, kind }) => [name, kind])).toEqual([
      ["b", "category"],
      ["c", "number"],
    ]);
  });

  it("takes a column of numbers with a text as categories, and says where the text is", () => {
    const { columns, notes } = learn(["a", "1", "2", "1", "oops"]);
    expect(columns[0].kind).toBe("category");
    expect(notes).toEqual(['column "a" is taken as categories, since line 5 has "oops"']);
  });

  it("does not know a column that is not there", () => {
    expect(() => learn(["Area,b", "1,2", "2,3"], { without: ["area"] })).toThrow(
      'a.csv: there is no column "area"; did you mean Area?; the columns are Area, b',
    );
    const { columns } = learn(["a", "1", "2"]);
    expect(() => encodeRows(columns, tableOf("a", "1", "x"), [0, 1])).toThrow(
      'a.csv: line 3: column "a": got "x", expected a number',
    );
    expect(() => encodeRows(columns, tableOf("a", "1e999"), [0])).toThrow('got "1e999", which is too large');
  });

  it("has moments of large numbers, and of numbers that hardly differ", () => {
    expect(momentsOf([1e300, 3e300])).toEqual({ mean: 2e300, deviation: 1e300 });
    const { mean, deviation } = momentsOf([1e9, 1e9 + 2]);
    expect([mean, deviation]).toEqual([1e9 + 1, 1]);
  });
});

describe("the target", () => {
  const task = (...cells: string[]) => {
    const table = tableOf("y", ...cells);
    return taskOf(table, 0, labelledRows(table, 0));
  };
  const target = (name: Task, ...cells: string[]) => {
    const table = tableOf("y,x", ...cells.map((cell) => `${cell},1`));
    const rows = labelledRows(table, 0);
    const learned = learnTarget(table, 0, name, rows, rows);
    return { learned, y: [...encodeTarget(learned, table, 0, rows)] };
  };

  it("is a class where it is a text or one of few whole numbers", () => {
    expect(task("a", "b", "3")).toBe("classification");
    expect(task("0", "1", "", "1.0")).toBe("classification");
    expect(task("0.5", "1")).toBe("regression");
    expect(task(...Array.from({ length: 11 }, (_, i) => String(i)))).toBe("regression");
  });

  it("has its classes in order, numbers by size, however they are written", () => {
    expect(target("classification", "10", "9", "9.0", "1e1").learned).toMatchObject({ classes: ["9", "10"] });
    const { learned, y } = target("classification", "b", "a", "b", "NA", " a");
    expect(learned).toEqual({ task: "classification", name: "y", classes: ["a", "b"] });
    expect(y).toEqual([1, 0, 1, 0]);
  });

  it("may have a class called none", () => {
    expect(target("classification", "None", "?", "low", "None", "low").y).toEqual([0, 1, 0, 1]);
  });

  it("is standardised where it is a number", () => {
    const { learned, y } = target("regression", "10", "", "30");
    expect(learned).toEqual({ task: "regression", name: "y", mean: 20, deviation: 10 });
    expect(y).toEqual([-1, 1]);
  });

  it("is nothing to learn where it is always the same, or always another", () => {
    expect(() => target("classification", "a", "a")).toThrow('a.csv: column "y" is always "a": nothing to learn');
    expect(() => target("regression", "7", "7.0")).toThrow('a.csv: column "y" is always 7: nothing to learn');
    expect(() => target("regression", "7", "x")).toThrow('a.csv: line 3: column "y": got "x", expected a number');
    expect(() => target("classification", "1", "2", "3")).toThrow(
      'a.csv: column "y" has 3 classes in 3 rows, too few rows of each; --task regression learns numbers',
    );
  });
});
