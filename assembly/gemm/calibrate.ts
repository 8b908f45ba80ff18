import { additions } from "./tiles";
import { block, panel } from "./work";

/**
 * So many times the same additions in the work area, of vectors that lie together, which V8 can merge into 256 bits, or apart, which it
 * cannot: by its time the host tells whether those that lie together were merged.
 */
export function calibrate(together: bool, repeats: i32): void {
  memory.fill(panel, 0, 1024);
  additions(together, repeats, panel, block);
}
