import { FormatError } from "../errors.js";
import { coders } from "../host-types.js";

/** The most bytes of all strings of a header together: more than any net needs, and still read quickly. */
export const MOST_TEXT = 2 ** 25;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** The largest character of one byte. */
const LAST_ASCII = 0x7f;
/** Up to this length a string is built faster character by character than by a decoder. */
const SHORT = 16;

/**
 * Reads the JSON of a safetensors header: objects, strings and whole numbers. It goes byte by byte and throws a FormatError at the first
 * byte that does not belong there. So hostile bytes cost no more than their own length: nothing is copied twice, and nothing nests
 * deeper than the caller asks.
 */
export class HeaderReader {
  readonly #bytes: Uint8Array;
  readonly #decoder = new (coders().TextDecoder)("utf-8", { fatal: true, ignoreBOM: true });
  #at = 0;
  #text = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** An object; `member` reads the value of each name. */
  object(member: (name: string) => void): void {
    this.#expect("{");
    if (this.#accept("}")) return;
    do {
      const name = this.string();
      this.#expect(":");
      member(name);
    } while (this.#accept(","));
    this.#expect("}");
  }

  /** An array of at most `most` integers from 0 to 2^53 - 1. */
  integers(most: number): number[] {
    this.#expect("[");
    const values: number[] = [];
    if (this.#accept("]")) return values;
    do {
      if (values.length === most) throw this.#wrong(`at most ${most} numbers in a list`);
      values.push(this.#integer());
    } while (this.#accept(","));
    this.#expect("]");
    return values;
  }

  string(): string {
    this.#expect('"');
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    let isPlain = true;
    const limit = start + MOST_TEXT;
    for (; bytes[at] !== QUOTE && at <= limit; at++) {
      const byte = bytes[at];
      if (byte === BACKSLASH) at++;
      // at the end `byte` is undefined
      if (!(byte >= 0x20)) {
        this.#at = at;
        throw this.#wrong("a character of a string");
      }
      if (byte === BACKSLASH || byte > LAST_ASCII) isPlain = false;
    }
    this.#at = at + 1;
    this.#text += at - start;
    if (this.#text > MOST_TEXT) {
      throw new FormatError(`safetensors: the header's names and metadata take more than ${MOST_TEXT} bytes`);
    }
    if (isPlain && at - start <= SHORT) return this.#characters(start, at);
    const content = bytes.subarray(start, at);
    return isPlain ? this.#decoder.decode(content) : this.#decode(content);
  }

  #characters(start: number, end: number): string {
    let text = "";
    for (let at = start; at < end; at++) text += String.fromCharCode(this.#bytes[at]);
    return text;
  }

  /** Nothing but spaces may follow. */
  end(): void {
    this.#skipSpaces();
    if (this.#at < this.#bytes.length) throw this.#wrong("its end");
  }

  /** A string with escapes, or one that is not all ASCII. */
  #decode(content: Uint8Array): string {
    let text: string;
    try {
      text = this.#decoder.decode(content);
      if (content.includes(BACKSLASH)) text = JSON.parse(`"${text}"`);
    } catch (cause) {
      throw new FormatError("safetensors: the header has a string that is no UTF-8 or no JSON", { cause });
    }
    if (hasLoneSurrogate(text)) throw new FormatError("safetensors: the header has a string with half a character");
    return text;
  }

  #integer(): number {
    this.#skipSpaces();
    const start = this.#at;
    let value = 0;
    for (; isDigit(this.#bytes[this.#at]); this.#at++) {
      value = value * 10 + this.#bytes[this.#at] - 0x30;
      const isPadded = this.#at > start && this.#bytes[start] === 0x30;
      if (isPadded || value > Number.MAX_SAFE_INTEGER) throw this.#wrong("an integer of at most 2^53 - 1");
    }
    if (this.#at === start) throw this.#wrong("an integer >= 0");
    return value;
  }

  #accept(character: string): boolean {
    this.#skipSpaces();
    const isThere = this.#bytes[this.#at] === character.charCodeAt(0);
    if (isThere) this.#at++;
    return isThere;
  }

  #expect(character: string): void {
    if (!this.#accept(character)) throw this.#wrong(character);
  }

  #skipSpaces(): void {
    const bytes = this.#bytes;
    let at = this.#at;
    while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) at++;
    this.#at = at;
  }

  #wrong(expected: string): FormatError {
    const byte = this.#bytes[this.#at];
    const isVisible = byte > 0x20 && byte < LAST_ASCII;
    const got = byte === undefined ? "the end" : isVisible ? String.fromCharCode(byte) : `the byte ${byte}`;
    return new FormatError(`safetensors: the header has ${got} at ${this.#at}, expected ${expected}`);
  }
}

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;

/** UTF-8 cannot hold half of a surrogate pair. */
export const hasLoneSurrogate = (text: string): boolean => /\p{Surrogate}/u.test(text);
