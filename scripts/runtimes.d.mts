export function installed(name: string, specs: readonly string[]): Promise<string>;
