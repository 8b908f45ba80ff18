import * as lg from "lanegrad";
import { wrong } from "../support/state.js";
import { describeWrongCalls, type Row, row } from "../support/wrong-calls.js";

const { ArgumentError, FormatError } = lg;

const idx: Row[] = [
  row("readIdx of nothing", ArgumentError, /readIdx: got undefined, expected a Uint8Array/, () =>
    lg.readIdx(wrong(undefined)),
  ),
  row("readIdx of a path", ArgumentError, /readIdx: got "train-images", expected a Uint8Array/, () =>
    lg.readIdx(wrong("train-images")),
  ),
  row("readIdx of no bytes", FormatError, /readIdx: got 0 bytes, expected a header/, () =>
    lg.readIdx(new Uint8Array()),
  ),
  row("readIdx of a text", FormatError, /readIdx: got the magic bytes 110 97, expected 0 0/, () =>
    lg.readIdx(new TextEncoder().encode("name,value")),
  ),
];

describeWrongCalls({
  readIdx: idx,
});
