/**
 * A set that does not keep its members alive. A runtime without weak references never collects tensors, so there it may hold its members.
 */
export class WeakBag<T extends object> {
  readonly #links = new Set<Link<T>>();
  readonly #linkOf = new WeakMap<T, Link<T>>();
  /** At this size, links to collected members are removed. */
  #limit = 8;

  add(member: T): void {
    if (this.#links.size >= this.#limit) this.#tidy();
    const link = linkTo(member);
    this.#linkOf.set(member, link);
    this.#links.add(link);
  }

  delete(member: T): void {
    const link = this.#linkOf.get(member);
    if (link !== undefined) this.#links.delete(link);
  }

  /** The members that are still alive. Deleting some during the loop is fine. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (const link of this.#links) {
      const member = link.deref();
      if (member !== undefined) yield member;
    }
  }

  #tidy(): void {
    for (const link of this.#links) if (link.deref() === undefined) this.#links.delete(link);
    this.#limit = Math.max(8, 2 * this.#links.size);
  }
}

interface Link<T> {
  deref(): T | undefined;
}

const linkTo = <T extends object>(member: T): Link<T> =>
  typeof WeakRef === "undefined" ? { deref: () => member } : new WeakRef(member);
