import { show, showShape } from "../checks.js";
import { ArgumentError, StateError } from "../errors.js";
import type { Bytes } from "../host.js";
import type { Layer } from "../layers/layer.js";
import { sameShape, type Tensor } from "../tensor.js";
import { checkNet } from "../training/modes.js";
import { decodeSafeTensors, encodeSafeTensors, METADATA, type StoredTensor } from "./safetensors.js";

/** Metadata key of a constrained slope: its value says how β gives the slope. */
const constraintKey = (name: string): string => `constraint.${name}`;

/**
 * The net's state (parameters and running statistics) as a safetensors file, which PyTorch reads. Names are PyTorch's for nets of
 * plain layers; a slope with a constraint is saved as its β, and the metadata say so.
 */
export function save(net: Layer): Bytes {
  checkNet(net, "save");
  const state = net.stateDict();
  if (Object.hasOwn(state, METADATA)) {
    throw new ArgumentError(`save: got a parameter called ${METADATA}, which the format keeps for itself`);
  }
  const tensors = new Map(
    Object.entries(state).map(([name, tensor]): [string, StoredTensor] => [
      name,
      { dtype: dtypeOf(tensor), shape: tensor.shape, bytes: bytesOf(tensor) },
    ]),
  );
  const constraints = Object.entries(net.constraints()).map(([name, constraint]) => [constraintKey(name), constraint]);
  return encodeSafeTensors({ tensors, metadata: { format: "pt", ...Object.fromEntries(constraints) } });
}

/**
 * Reads what `save` or PyTorch wrote into a net of the same names and shapes. Throws FormatError for bytes that are no safetensors
 * file, and one StateError that lists what is missing, unexpected, of another shape, type or constraint; then nothing is changed.
 */
export function load(net: Layer, bytes: Uint8Array): void {
  checkNet(net, "load");
  if (!(bytes instanceof Uint8Array)) throw new ArgumentError(`load: got ${show(bytes)}, expected a Uint8Array`);
  const { tensors, metadata } = decodeSafeTensors(bytes);
  const state = net.stateDict();
  const problems = [...mismatches(state, tensors), ...otherConstraints(net, metadata)];
  if (problems.length > 0) throw new StateError(`load: ${problems.join("; ")}`);
  for (const [name, tensor] of Object.entries(state)) {
    readBytes(tensor, tensors.get(name)!.bytes);
  }
}

/** Counters are int64, as in PyTorch. */
const dtypeOf = ({ exact }: Tensor): StoredTensor["dtype"] => (exact === undefined ? "F32" : "I64");

function bytesOf(tensor: Tensor): Uint8Array {
  if (tensor.exact === undefined) return new Uint8Array(tensor.liveView().slice().buffer);
  const bytes = new Uint8Array(8);
  const { counted } = tensor;
  new DataView(bytes.buffer).setBigInt64(0, BigInt(Number.isFinite(counted) ? Math.trunc(counted) : 0), true);
  return bytes;
}

function readBytes(tensor: Tensor, bytes: Uint8Array): void {
  if (tensor.exact !== undefined) {
    tensor.setCounted(Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigInt64(0, true)));
    return;
  }
  // by bytes: the bits of a NaN survive
  const { data } = tensor;
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength).set(bytes);
  tensor.storage.version++;
}

function mismatches(state: Readonly<Record<string, Tensor>>, tensors: ReadonlyMap<string, StoredTensor>): string[] {
  const problems: string[] = [];
  for (const [name, tensor] of Object.entries(state)) {
    const { shape } = tensor;
    const dtype = dtypeOf(tensor);
    const stored = tensors.get(name);
    if (stored === undefined) problems.push(`${name} is missing`);
    else if (stored.dtype !== dtype) problems.push(`${name} is ${stored.dtype}, expected ${dtype}`);
    else if (!sameShape(stored.shape, shape)) {
      problems.push(`${name} is ${showShape(stored.shape)}, expected ${showShape(shape)}`);
    }
  }
  for (const name of tensors.keys()) if (!Object.hasOwn(state, name)) problems.push(`${name} is unexpected`);
  return problems;
}

/** A constraint by name, "none" where there is no entry; a name may be that of anything an object inherits. */
function lookUp(constraints: Readonly<Record<string, string>>, name: string): string {
  return Object.hasOwn(constraints, name) ? constraints[name] : "none";
}

function otherConstraints(net: Layer, metadata: Readonly<Record<string, string>>): string[] {
  const own = net.constraints();
  return Object.keys(net.stateDict()).flatMap((name) => {
    const stored = lookUp(metadata, constraintKey(name));
    const expected = lookUp(own, name);
    return stored === expected
      ? []
      : [`${name} was saved under the constraint ${show(stored)}, expected ${show(expected)}`];
  });
}
