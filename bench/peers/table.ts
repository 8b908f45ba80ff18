import type { Measured } from "./measure.js";

export interface PeerResult extends Measured {
  name: string;
  /** By peer: how many times as long as ours. */
  times: Record<string, number>;
  /** By peer: why it has no time. */
  without: Record<string, string>;
}

const NAME_WIDTH = 18;
const OUR_WIDTH = 8;
const PEER_WIDTH = 12;
const TIMES_WIDTH = 5;

/** Lines of a table in milliseconds: ours, then each peer's with how many times as long it takes. */
export class PeerTable {
  readonly #ours: string;
  readonly #peers: readonly string[];

  constructor(ours: string, peers: readonly string[]) {
    this.#ours = ours;
    this.#peers = peers;
  }

  heading(): string {
    const peers = this.#peers.flatMap((peer) => [peer.padStart(PEER_WIDTH), "x".padStart(TIMES_WIDTH)]);
    return ["ms".padEnd(NAME_WIDTH), this.#ours.padStart(OUR_WIDTH), ...peers, "  rounds"].join("  ");
  }

  line({ name, milliseconds, times, without, rounds, countedRounds, noisy }: PeerResult): string {
    const peers = this.#peers.flatMap((peer) => {
      const isMeasured = peer in times;
      return [
        (isMeasured ? threeDigits(milliseconds[peer]) : without[peer]).padStart(PEER_WIDTH),
        (isMeasured ? times[peer].toFixed(times[peer] < 1 ? 2 : 1) : "").padStart(TIMES_WIDTH),
      ];
    });
    const ours = threeDigits(milliseconds[this.#ours]).padStart(OUR_WIDTH);
    const counted = `${countedRounds}/${rounds}${noisy ? "!" : ""}`.padStart(8);
    return [name.padEnd(NAME_WIDTH), ours, ...peers, counted].join("  ");
  }
}

function threeDigits(milliseconds: number): string {
  return milliseconds < 100 ? milliseconds.toPrecision(3) : milliseconds.toFixed(0);
}
