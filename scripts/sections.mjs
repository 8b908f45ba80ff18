// Sections of WebAssembly modules that some use of them leaves out.
import { readSections, writeSections } from "./sources.mjs";

const CUSTOM_SECTION = 0;

/** A module without some sections, or, if none is given, without names and whatever else has no meaning. */
export const withoutSections = (bytes, ids = [CUSTOM_SECTION]) =>
  writeSections(readSections(bytes).filter(({ id }) => !ids.includes(id)));
