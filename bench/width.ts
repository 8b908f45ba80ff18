import type { Run, RunRow } from "./run.js";

/** The contenders of ours: the kernels as they are compiled everywhere, and the same widened to 256 bits. */
export const NORMAL = "lanegrad";
export const WIDE = "wide";
export const WIDE_CONTENDER: Run["contenders"][number] = {
  name: WIDE,
  about: "the same kernels, widened to 256 bits",
};
/** The name of the normal kernels where the wide ones come first. */
export const SECOND = "normal";

type Head = Pick<Run, "contenders" | "limit">;

export const hasWide = ({ contenders }: Pick<Run, "contenders">): boolean =>
  contenders.some(({ name }) => name === WIDE);

/** A run without the wide kernels. */
export const normalHead = <Of extends Head>(head: Of): Of => ({
  ...head,
  contenders: head.contenders.filter(({ name }) => name !== WIDE),
});

export function normalRow<Of extends Pick<RunRow, "milliseconds">>(row: Of): Of {
  const { [WIDE]: _, ...milliseconds } = row.milliseconds;
  return { ...row, milliseconds };
}

/** A run in which the wide kernels are lanegrad and the normal ones another contender. The limit is twice as high. */
export function wideHead<Of extends Head>(head: Of): Of {
  const { limit } = head;
  return {
    ...head,
    contenders: head.contenders.map((contender) =>
      contender.name === WIDE ? { name: SECOND, about: "the same kernels, not widened" } : contender,
    ),
    limit: limit && {
      ...limit,
      flopPerCycle: 2 * limit.flopPerCycle,
      explanation: `${limit.explanation}, twice for 256 bits`,
    },
  };
}

/** Undefined if the wide kernels have no time. */
export function wideRow<Of extends Pick<RunRow, "milliseconds">>(row: Of): Of | undefined {
  const { [NORMAL]: normal, [WIDE]: wide, ...others } = row.milliseconds;
  return wide === undefined ? undefined : { ...row, milliseconds: { [NORMAL]: wide, [SECOND]: normal, ...others } };
}

/** How many times as fast the wide kernels are. */
export const gainOf = ({ milliseconds }: Pick<RunRow, "milliseconds">): number | undefined =>
  WIDE in milliseconds ? milliseconds[NORMAL] / milliseconds[WIDE] : undefined;
