import { describe, expect, it } from "vitest";
import { suggestion } from "../../src/cli/names.js";
import { type Command, decimalNumber, helpOf, listOf, oneOf, readLine, wholeNumber } from "../../src/cli/options.js";

const command: Command<"target" | "resume"> = {
  summary: "Does it.",
  usage: ["do FILE"],
  arguments: [0, 1],
  options: { target: { value: "NAME", help: "what to do" }, resume: { help: "again" } },
  run: async () => 0,
};
const read = (...line: string[]) => readLine(line, command)!;

describe("a command's line", () => {
  it("has values, flags and files, in any order", () => {
    const { values, flags, files, line } = read("--target", "a b", "x.csv", "--resume");
    expect([{ ...values }, [...flags], files]).toEqual([{ target: "a b" }, ["resume"], ["x.csv"]]);
    expect(line).toEqual(["--target", "a b", "x.csv", "--resume"]);
    expect({ ...read("--target=-a").values }).toEqual({ target: "-a" });
    expect(read("--", "--target").files).toEqual(["--target"]);
    expect(read("-").files).toEqual(["-"]);
  });

  it.each([
    [["--tagret", "a"], "there is no option --tagret; did you mean --target?"],
    [["--zzzzzz"], "there is no option --zzzzzz"],
    [["-x"], "there is no option -x"],
    [["--toString"], "there is no option --toString"],
    [["--target"], "--target takes a value: --target NAME"],
    [["--target="], "--target takes a value: --target NAME"],
    [["--target", "--resume"], '--target takes a value, got "--resume"; if that is meant, write --target=--resume'],
    [["--resume=yes"], '--resume takes no value, got "yes"'],
    [["a", "b"], 'got "b", which is one argument too many'],
  ])("%j is told what is wrong", (line, message) => {
    expect(() => read(...line)).toThrow(message);
  });

  it("asks for help, whatever else is there", () => {
    for (const line of [["--help"], ["-h"], ["--help", "--zzz"], ["a", "b", "--help"]]) {
      expect(readLine(line, command)).toBeUndefined();
    }
    expect(helpOf(command)).toBe(
      [
        "Does it.",
        "Usage: npx lanegrad do FILE",
        "",
        "  --target NAME  what to do",
        "  --resume       again",
        "  --help         this text",
      ].join("\n"),
    );
  });
});

it("values are numbers, choices and lists", () => {
  expect(wholeNumber("epochs", "12", { least: 1 })).toBe(12);
  for (const text of ["", "0", "-1", "1.5", "1e3", "x", " 1"]) {
    expect(() => wholeNumber("epochs", text, { least: 1 })).toThrow(
      `--epochs takes a whole number of at least 1, got "${text}"`,
    );
  }
  expect(decimalNumber("lr", "1e-3", (value) => value > 0, "above 0")).toBe(1e-3);
  for (const text of ["0", "", "x", "Infinity"]) {
    expect(() => decimalNumber("lr", text, (value) => value > 0, "above 0")).toThrow(
      `--lr takes a number above 0, got "${text}"`,
    );
  }
  expect(oneOf("optimizer", "adam", ["adam", "sgd"])).toBe("adam");
  expect(() => oneOf("optimizer", "adm", ["adam", "sgd"])).toThrow(
    '--optimizer takes one of adam, sgd, got "adm"; did you mean adam?',
  );
  expect(listOf("a, b,c")).toEqual(["a", "b", "c"]);
});

it("a name is suggested where one is near, whatever its capitals", () => {
  expect(suggestion("AREA", ["price", "Area"])).toBe("; did you mean Area?");
  expect(suggestion("x", ["y"])).toBe("");
  expect(suggestion("colour", [])).toBe("");
});
