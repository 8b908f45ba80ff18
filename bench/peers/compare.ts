import { assertWide, openEngines } from "../engines.js";
import { noiseNote, wideNote } from "../legend.js";
import { describeSetup } from "../machine.js";
import { Probe } from "../measure.js";
import type { Options } from "../options.js";
import { Scope } from "../row.js";
import type { Measured, RunRow } from "../run.js";
import { Table } from "../table.js";
import { NORMAL, WIDE, WIDE_CONTENDER } from "../width.js";
import { openLanegrad } from "./lanegrad.js";
import { measureInTurns } from "./measure.js";
import { specsOf } from "./packages.js";
import { type Opened, openPeer, PEERS } from "./peers.js";
import type { Contenders, PeerRow } from "./rows.js";

/**
 * `npm run bench -- peers`: the training step and the forward pass of other libraries and ours, which take turns in one process, each on one
 * thread. Each row is measured for `pace` times its usual time.
 */
export async function comparePeers(
  rows: readonly PeerRow[],
  options: Pick<Options, "kernels" | "wide">,
  pace: number,
  print: (text: string) => void,
): Promise<Measured> {
  using engines = openEngines(options);
  const { node, v8, kernels, machine } = describeSetup(options.kernels);
  print(`lanegrad · Node ${node} · V8 ${v8} · ${kernels} kernels · 1 thread\n${machine.cpu}`);

  const peers = new Map<string, Opened>();
  const contenders: Measured["contenders"] = [{ name: NORMAL }, ...(engines.wide ? [WIDE_CONTENDER] : [])];
  for (const peer of PEERS) {
    const { title: name, packages } = peer;
    const opened = await openPeer(peer);
    const missing = "missing" in opened ? opened.missing : undefined;
    const about = specsOf(packages).join(" ");
    peers.set(name, opened);
    contenders.push({ name, about, missing });
    print(`${name.padEnd(12)} ${about}${missing === undefined ? "" : `: ${missing}`}`);
  }
  const present = new Map([[NORMAL, openLanegrad(engines.wasm)]]);
  if (engines.wide) present.set(WIDE, openLanegrad(engines.wide));
  for (const [name, opened] of peers) if ("contender" in opened) present.set(name, opened.contender);

  const table = new Table(rows, { contenders });
  print(`\n${table.heading()}`);
  using probe = new Probe(engines.wasm);
  const measured: RunRow[] = [];
  for (const row of rows) {
    const result = await measureRow(row, present, pace, probe);
    result.without = reasons(row, result, peers);
    if (engines.wide) assertWide(engines.wide);
    measured.push(result);
    print(table.line(result));
  }

  print(`\n${[...FOOTING, ...wideNote({ contenders }), ...noiseNote(measured)].join("\n")}`);
  return { bench: "peers", bestProbe: probe.best, contenders, rows: measured };
}

async function measureRow(
  { name, milliseconds, prepare }: PeerRow,
  contenders: Contenders,
  pace: number,
  probe: Probe,
): Promise<RunRow> {
  using scope = new Scope();
  return { name, ...(await measureInTurns(await prepare(contenders, scope), probe, pace * milliseconds)) };
}

/** Why those that were not measured were not. */
function reasons({ cannot }: PeerRow, { milliseconds }: RunRow, peers: ReadonlyMap<string, Opened>) {
  const without = [...peers]
    .filter(([name]) => !(name in milliseconds))
    .map(([name, opened]) => [name, "missing" in opened ? "not here" : cannot]);
  return Object.fromEntries(without);
}

const FOOTING = [
  "Times are medians over rounds in which the contenders take turns; x says how many times as long as ours.",
  "All have the same data and parameters; losses and logits were seen to agree before they were measured.",
];
