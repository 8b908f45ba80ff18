/**
 * Something thrown, in a form that crosses threads whole: structured clone keeps neither the class of an error, unless it is the language's
 * own, nor its properties.
 */
export type Thrown =
  | { readonly kind: "value"; readonly value: unknown }
  | {
      readonly kind: "error" | "DOMException";
      readonly name: string;
      readonly message: string;
      readonly stack: string | undefined;
      readonly cause: Thrown | undefined;
      readonly properties: readonly Property[];
    };

interface Property {
  readonly name: string;
  readonly value: unknown;
  readonly enumerable: boolean;
}

export type ErrorClass = new (message: string) => Error;

/** What has a place of its own in `Thrown`. */
const TOLD = ["name", "message", "stack", "cause"];
/** Causes may go in circles. */
const DEEPEST_CAUSE = 8;

export function describeThrown(thrown: unknown, depth = 0): Thrown {
  const tag = Object.prototype.toString.call(thrown);
  if (!(thrown instanceof Error) && tag !== "[object Error]" && tag !== "[object DOMException]") {
    return { kind: "value", value: isCloneable(thrown) ? thrown : String(thrown) };
  }
  const error = thrown as Error;
  return {
    kind: tag === "[object DOMException]" ? "DOMException" : "error",
    name: String(error.name),
    message: String(error.message),
    stack: typeof error.stack === "string" ? error.stack : undefined,
    cause: "cause" in error && depth < DEEPEST_CAUSE ? describeThrown(error.cause, depth + 1) : undefined,
    properties: propertiesOf(error),
  };
}

function propertiesOf(error: Error): Property[] {
  const properties: Property[] = [];
  for (const [name, { value, enumerable = false }] of Object.entries(Object.getOwnPropertyDescriptors(error))) {
    if (!TOLD.includes(name) && isCloneable(value)) properties.push({ name, value, enumerable });
  }
  return properties;
}

function isCloneable(value: unknown): boolean {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}

/** `classOf` gives the class for a name; without one it is one of the language's own, or Error. */
export function reviveThrown(
  thrown: Thrown,
  classOf: (name: string, code: unknown) => ErrorClass | undefined,
): unknown {
  if (thrown.kind === "value") return thrown.value;
  const { name, message, stack, cause, properties } = thrown;
  const code = properties.find((property) => property.name === "code")?.value;
  const error = thrown.kind === "DOMException" ? domException(message, name) : undefined;
  const revived = error ?? new (classOf(name, code) ?? ownClass(name))(message);
  const define = (key: string, value: unknown, enumerable = false) =>
    Object.defineProperty(revived, key, { value, enumerable, writable: true, configurable: true });
  if (revived.name !== name) define("name", name);
  if (stack !== undefined) define("stack", stack);
  if (cause !== undefined) define("cause", reviveThrown(cause, classOf));
  for (const { name: key, value, enumerable } of properties) define(key, value, enumerable);
  return revived;
}

function domException(message: string, name: string): Error | undefined {
  const { DOMException } = globalThis as { DOMException?: new (message: string, name: string) => Error };
  return DOMException === undefined ? undefined : new DOMException(message, name);
}

const OWN_CLASSES: readonly ErrorClass[] = [TypeError, RangeError, SyntaxError, ReferenceError, URIError, EvalError];

const ownClass = (name: string): ErrorClass => OWN_CLASSES.find((own) => own.name === name) ?? Error;
