// The names are static, too: Node prints the class's name before an uncaught error, and bundlers shorten it.

/** The base of all errors that lanegrad throws. The message says what was given and what was expected; `code` never changes. */
export class LanegradError extends Error {
  static override readonly name: string = "LanegradError";
  readonly code: string = "ERR_LANEGRAD";
  override readonly name: string = "LanegradError";
}

/** A shape, length or rank that does not fit. */
export class ShapeError extends LanegradError {
  static override readonly name: string = "ShapeError";
  override readonly code = "ERR_LANEGRAD_SHAPE";
  override readonly name = "ShapeError";
}

/** A wrong type, option or value. */
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

/** Kernels that this runtime does not have, two engines in one call, a disposed engine. */
export class EngineError extends LanegradError {
  static override readonly name: string = "EngineError";
  override readonly code: string = "ERR_LANEGRAD_ENGINE";
  override readonly name = "EngineError";
}

/** The linear memory cannot grow as far as it would have to. */
export class MemoryError extends LanegradError {
  static override readonly name: string = "MemoryError";
  override readonly code = "ERR_LANEGRAD_MEMORY";
  override readonly name = "MemoryError";
}

/** Bytes that are not what they should be. */
export class FormatError extends LanegradError {
  static override readonly name: string = "FormatError";
  override readonly code = "ERR_LANEGRAD_FORMAT";
  override readonly name = "FormatError";
}
