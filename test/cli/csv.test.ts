import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { csvLine, readTable } from "../../src/cli/csv.js";

const read = (text: string | Uint8Array) => readTable(Buffer.from(text as string), "a.csv");
const content = (text: string) => {
  const { names, rows } = read(text);
  return [names, ...rows];
};

describe("readTable", () => {
  it.each([
    ["line feeds", "a,b\n1,2\n3,4\n"],
    ["no end of the last line", "a,b\n1,2\n3,4"],
    ["CRLF", "a,b\r\n1,2\r\n3,4\r\n"],
    ["CR", "a,b\r1,2\r3,4\r"],
    ["mixed line ends", "a,b\r\n1,2\n3,4\r\n"],
    ["a byte order mark", "\ufeffa,b\n1,2\n3,4\n"],
    ["quotes", '"a","b"\n"1","2"\n3,"4"\n'],
    ["semicolons", "a;b\n1;2\n3;4\n"],
    ["tabs", "a\tb\n1\t2\n3\t4\n"],
    ["bars", "a|b\n1|2\n3|4\n"],
    ["empty lines", "\na,b\n\n1,2\n3,4\n\n\n"],
    ["spaces around names", " a , b \n1,2\n3,4\n"],
  ])("reads %s", (_, text) => {
    expect(content(text)).toEqual([
      ["a", "b"],
      ["1", "2"],
      ["3", "4"],
    ]);
  });

  it("keeps what is in quotes: separators, quotes and line ends", () => {
    expect(content('a,b\n"x, y","say ""hi""\nthere"\n')).toEqual([
      ["a", "b"],
      ["x, y", 'say "hi"\nthere'],
    ]);
  });

  it("takes the separator from outside of quotes", () => {
    expect(content('"a,b,c,d";e\n1;2\n')).toEqual([
      ["a,b,c,d", "e"],
      ["1", "2"],
    ]);
  });

  it("knows the lines that rows end in", () => {
    expect(read('a,b\n1,"x\ny"\n\n3,4\n').lines).toEqual([3, 5]);
  });

  it("reads a cell of a megabyte", () => {
    expect(read(`a,b\n${"x".repeat(1e6)},2\n`).rows[0][0]).toHaveLength(1e6);
  });

  it.each([
    ["no bytes", "", "a.csv: is empty, expected CSV with a header"],
    ["nothing but line ends", "\n\r\n", "a.csv: has no header"],
    ["a header alone", "a,b\n", "a.csv: has a header and no rows"],
    ["too many cells", "a,b\n1,2\n1,2,3\n", "a.csv: line 3 has 3 cells, the header has 2"],
    ["too few cells", "a,b\n1\n", "a.csv: line 2 has 1 cell, the header has 2"],
    ["a name twice", "a,b,a\n1,2,3\n", 'a.csv: the header has "a" twice'],
    ["an open quote", 'a,b\n"1,2\n3,4\n', "a.csv: a quote is opened and not closed by the end of the file, line 3"],
    [
      "a quote in the middle",
      'a,b\n1,x"y\n',
      'a.csv: line 2 has a quote inside a cell without quotes; write "a ""word"" in quotes"',
    ],
    [
      "text behind a quote",
      'a,b\n"1"x,2\n',
      'a.csv: line 2 has text behind a closing quote; write "a ""word"" in quotes"',
    ],
    ["UTF-16", Buffer.from("a,b\n1,2\n", "utf16le"), "a.csv: is no text in UTF-8: expected CSV with a header"],
    ["Latin-1", Buffer.from("a,b\ncafé,2\n", "latin1"), "a.csv: is not in UTF-8: save it as such"],
  ])("refuses %s", (_, text, message) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ message }));
  });
});

it("csvLine writes what readTable reads", () => {
  const cell = fc.string({ unit: "binary" }).filter((text) => !text.includes("\0") && text.trim() !== "");
  fc.assert(
    fc.property(fc.array(fc.array(cell, { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 5 }), (rows) => {
      const text = ["p,q,r", ...rows.map(csvLine)].join("\n");
      expect(content(text).slice(1)).toEqual(rows);
    }),
    { numRuns: 100 },
  );
});
