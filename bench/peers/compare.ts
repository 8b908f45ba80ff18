import { openEngines } from "../engines.js";
import { FEWEST_ROUNDS, Probe } from "../measure.js";
import { describeMachine } from "../report.js";
import { Scope } from "../row.js";
import { openLanegrad } from "./lanegrad.js";
import { type Measured, measureInTurns } from "./measure.js";
import { specsOf } from "./packages.js";
import { type Opened, openPeer, PEERS } from "./peers.js";
import type { Contenders, PeerRow } from "./rows.js";
import { type PeerResult, PeerTable } from "./table.js";

const OURS = "lanegrad";

/**
 * `npm run bench -- peers`: the training step and the forward pass of other libraries beside ours, one thread each, in
 * turns in one process. What was measured, for --json.
 */
export async function comparePeers(rows: readonly PeerRow[], print: (text: string) => void): Promise<object> {
  using engines = openEngines();
  const machine = describeMachine();
  print(`lanegrad · Node ${machine.node} · V8 ${machine.v8} · ${machine.kernels} kernels · 1 thread\n${machine.cpu}`);

  const peers = new Map<string, Opened>();
  for (const peer of PEERS) {
    const opened = await openPeer(peer);
    peers.set(peer.title, opened);
    const packages = specsOf(peer.packages).join(" ");
    print(`${peer.title.padEnd(12)} ${packages}${"missing" in opened ? `: ${opened.missing}` : ""}`);
  }
  const contenders = new Map([[OURS, openLanegrad(engines.wasm)]]);
  for (const [title, opened] of peers) if ("contender" in opened) contenders.set(title, opened.contender);

  const table = new PeerTable(OURS, [...peers.keys()]);
  print(`\n${table.heading()}`);
  using probe = new Probe(engines.wasm);
  const results: PeerResult[] = [];
  for (const row of rows) {
    const result = resultOf(row, await measureRow(row, contenders, probe), peers);
    results.push(result);
    print(table.line(result));
  }

  print(`\n${footing(results)}`);
  const about = PEERS.map(({ title, packages }) => {
    const opened = peers.get(title)!;
    return { title, packages, ...("missing" in opened && { missing: opened.missing }) };
  });
  return { ...machine, peers: about, bestProbe: probe.best, results };
}

async function measureRow(row: PeerRow, contenders: Contenders, probe: Probe): Promise<Measured> {
  using scope = new Scope();
  return await measureInTurns(await row.prepare(contenders, scope), probe, row.milliseconds);
}

function resultOf({ name, cannot }: PeerRow, measured: Measured, peers: ReadonlyMap<string, Opened>): PeerResult {
  const { [OURS]: ours, ...theirs } = measured.milliseconds;
  const without = [...peers]
    .filter(([title]) => !(title in theirs))
    .map(([title, opened]) => [title, "missing" in opened ? "not here" : cannot]);
  return {
    name,
    ...measured,
    times: Object.fromEntries(Object.entries(theirs).map(([title, time]) => [title, time / ours])),
    without: Object.fromEntries(without),
  };
}

function footing(results: readonly PeerResult[]): string {
  const lines = [
    "Milliseconds are medians over rounds in which the contenders take turns; x says how many times as long as ours.",
    "All have the same data and parameters; losses and logits were seen to agree before they were measured.",
  ];
  if (results.some(({ noisy }) => noisy)) {
    lines.push(`! fewer than ${FEWEST_ROUNDS} rounds were quiet: the row is of all its rounds, and not to be quoted.`);
  }
  return lines.join("\n");
}
