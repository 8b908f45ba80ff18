import { COPY, reading, show } from "../checks.js";
import { ArgumentError } from "../errors.js";
import { isLayer, type Layer } from "./layer.js";

/** Layers in a row, or one record of them by name. */
export type GivenLayers = readonly (Layer | Readonly<Record<string, Layer>>)[];

export type NamedLayer = readonly [name: string, layer: Layer];

/** The layers that a container was given with their names: "0", "1", ..., or the keys of a record. Throws ArgumentError. */
export function namedLayers(given: GivenLayers, what: string): NamedLayer[] {
  const [first] = given;
  const isNamed = given.length === 1 && typeof first === "object" && first !== null && !isMarked(first, what);
  const entries = isNamed
    ? reading(what, () => Object.entries(first))
    : given.map((layer, i) => [String(i), layer] as const);
  if (entries.length === 0) throw new ArgumentError(`${what}: got no layers, expected at least one`);
  return entries.map(([name, layer]) => {
    if (!isLayer(layer)) throw new ArgumentError(`${what}: ${name}: got ${show(layer)}, expected a Layer`);
    if (name === "" || name.includes(".")) {
      throw new ArgumentError(`${what}: got the name ${show(name)}, expected one that is not empty and has no dot`);
    }
    if (isNamed && isIndex(name)) {
      throw new ArgumentError(
        `${what}: got the name ${show(name)}, a number, which JavaScript moves in front of all other names: expected another name, or the layers in a row, new ${what}(a, b, ...)`,
      );
    }
    return [name, layer];
  });
}

/** Whether it is a layer, or anything else that carries the mark: of this copy of the library or another. */
const isMarked = (value: object, what: string): boolean => reading(what, () => COPY in value);

/** An array index: an object lists such keys first, in numeric order. */
const isIndex = (name: string): boolean => /^(0|[1-9]\d*)$/.test(name) && Number(name) < 2 ** 32 - 1;
