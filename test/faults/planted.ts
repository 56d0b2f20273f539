import type { Figure } from "./figure.ts";

/** What a recipe finds that has to notice a flaw. */
export async function noticed(
  running: Promise<Figure>,
  flaw: string,
  finding: RegExp,
): Promise<Figure> {
  const figure = await running;
  return {
    ...figure,
    id: `${figure.id}-planted`,
    bound: `${flaw}, which ${figure.id} notices`,
    holds: !figure.holds && finding.test(figure.found),
  };
}

/** A part with other methods than its own. */
export function replacing<T extends object>(part: T, methods: Partial<T>): T {
  return new Proxy(part, {
    get(target, name) {
      if (Object.hasOwn(methods, name)) return methods[name as keyof T];
      const found: unknown = Reflect.get(target, name, target);
      return typeof found === "function" ? found.bind(target) : found;
    },
  });
}
