// The names are static, too: Node prints the class's name before an uncaught error, and bundlers shorten it.

/** The base of all errors that lanegrad throws. The message says what was given and what was expected; `code` never changes. */
export class LanegradError extends Error {
  static override readonly name: string = "LanegradError";
  /** "ERR_LANEGRAD_SHAPE", "ERR_LANEGRAD_ARGUMENT", ...: the same in every version. */
  readonly code: string = "ERR_LANEGRAD";
  /** The class's name. */
  override readonly name: string = "LanegradError";
}

/** A shape, length or rank that does not fit; the mean of no samples; a kernel larger than the padded input. */
export class ShapeError extends LanegradError {
  static override readonly name: string = "ShapeError";
  override readonly code = "ERR_LANEGRAD_SHAPE";
  override readonly name = "ShapeError";
}

/** A wrong type, option or value; an unknown option, which is answered by the names of those that exist. */
export class ArgumentError extends LanegradError {
  static override readonly name: string = "ArgumentError";
  override readonly code = "ERR_LANEGRAD_ARGUMENT";
  override readonly name = "ArgumentError";
}

/** A call that does not fit what happened before: no remembered forward, a disposed tensor, a layer or parameter used twice. */
export class StateError extends LanegradError {
  static override readonly name: string = "StateError";
  override readonly code = "ERR_LANEGRAD_STATE";
  override readonly name = "StateError";
}

/** Kernels that this runtime does not have, two engines in one call, a disposed engine, a thread that was lost. */
export class EngineError extends LanegradError {
  static override readonly name: string = "EngineError";
  override readonly code: string = "ERR_LANEGRAD_ENGINE";
  override readonly name = "EngineError";
}

/** The linear memory cannot grow as far as it would have to. The message says how much was asked, used and allowed. */
export class MemoryError extends LanegradError {
  static override readonly name: string = "MemoryError";
  override readonly code = "ERR_LANEGRAD_MEMORY";
  override readonly name = "MemoryError";
}

/** A file whose bytes are not what they should be, or say that more follows than they can hold. */
export class FormatError extends LanegradError {
  static override readonly name: string = "FormatError";
  override readonly code = "ERR_LANEGRAD_FORMAT";
  override readonly name = "FormatError";
}
