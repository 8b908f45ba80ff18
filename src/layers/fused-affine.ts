import type { Reservation } from "../buffers.js";
import type { Tensor } from "../tensor.js";
import { ActivationLayer } from "./activation-layer.js";
import { AffineLayer } from "./affine.js";
import { type Layer, MessageName, type Parameter } from "./layer.js";

/** A Linear or Conv2d layer and the activation behind it, as one layer over their parameters. They stay the owners. */
class FusedAffine extends AffineLayer {
  static readonly isOurs = true;

  constructor(
    readonly front: AffineLayer,
    readonly activationLayer: ActivationLayer,
  ) {
    super(front.map, activationLayer.activation);
  }

  /** In training mode where both are. */
  override planForward(inputShape: readonly number[], memory: Reservation): ReturnType<AffineLayer["planForward"]> {
    this.training = this.front.training && this.activationLayer.training;
    return super.planForward(inputShape, memory);
  }

  /** In the mode of its plan, since another plan may have been begun after that one. Its halves forget what they remembered. */
  override forwardOf(x: Tensor, plan: Parameters<AffineLayer["forwardOf"]>[1]): Tensor {
    this.training = plan.training;
    this.front.forget();
    this.activationLayer.forget();
    return super.forwardOf(x, plan);
  }

  override shapeAfter(shape: readonly number[]): readonly number[] {
    const outputShape = super.shapeAfter(shape);
    this.activationLayer.activation.checkShape(outputShape, new MessageName(this.activationLayer, "forward"));
    return outputShape;
  }

  /** Its halves keep the parameters: without one of them there is nothing to run. */
  override assertUsable(): void {
    super.assertUsable();
    this.front.assertUsable();
    this.activationLayer.assertUsable();
  }

  override parameters(): Parameter[] {
    return [];
  }

  override describe(): string {
    return this.front.describe();
  }
}

/** Layers that run as one. */
export interface Group {
  readonly layer: Layer;
  readonly children: readonly Layer[];
}

/** Layers of a net as they run: a Linear or Conv2d with an activation behind it is one. */
export function fuse(layers: readonly Layer[]): Group[] {
  const groups: Group[] = [];
  for (let i = 0; i < layers.length; i++) {
    const layer = layers[i];
    const next = layers[i + 1];
    const isFront = layer instanceof AffineLayer && layer.isPlain && layer.isForeseeable;
    if (isFront && next instanceof ActivationLayer && next.isForeseeable) {
      groups.push({ layer: new FusedAffine(layer, next), children: [layer, next] });
      i++;
    } else {
      groups.push({ layer, children: [layer] });
    }
  }
  return groups;
}
