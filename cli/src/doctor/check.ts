/** Environment variables. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** Result of a check. `missing`: something that only some need. `wrong`: services will not work. */
export interface Finding {
  readonly state: "good" | "missing" | "wrong";
  readonly found: string;
  /** How to fix it. */
  readonly fix?: string;
}

export interface Check {
  readonly name: string;
  examine(environment: Variables, signal: AbortSignal): Promise<Finding>;
}
