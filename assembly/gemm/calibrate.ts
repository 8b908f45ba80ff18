import { additions } from "./tiles";
import { block, panel } from "./work";

/**
 * Repeats additions of vectors that lie together, which V8 can merge into 256 bits, or apart, which it cannot. The host compares the
 * times to find out whether V8 merges.
 */
export function calibrate(together: bool, repeats: i32): void {
  memory.fill(panel, 0, 1024);
  additions(together, repeats, panel, block);
}
