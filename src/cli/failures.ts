// What the person at the keyboard can mend. It is shown as one line, without a stack.

import * as lg from "lanegrad";

/** Exit statuses. */
export const FAILED = 1;
export const MISUSED = 2;

/** A wrong command, option or value: status 2. */
export class UsageError extends Error {}

/** A file, or something in it, that cannot be read, written or used: status 1. */
export class InputError extends Error {}

/** Whether an error comes from outside: the file system, or values that the library refuses. */
export const isFromOutside = (error: unknown): error is Error =>
  isSystemError(error) || error instanceof lg.LanegradError;

export const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && "code" in error && "syscall" in error;

/** Why a call failed, without what the system adds: "ENOENT: no such file or directory, open 'x'" → "no such file or directory". */
export function reasonOf(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException;
  if (code === "EISDIR") return "is a folder";
  return isSystemError(error) ? message.replace(/^[A-Z0-9_]+: /, "").replace(/, \w+( .*)?$/s, "") : message;
}
