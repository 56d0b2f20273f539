import assert from "node:assert/strict";
import { deadlineAfter } from "@micro-es/runtime";
import { abortAt, abortMoments } from "./abort-moments.ts";
import type { ContractCase } from "./contract.ts";
import { answering, failure, type TransportUnderTest, until } from "./transport-fixture.ts";

/** How a dial fails, and how it is cancelled. */
export function dialContract(under: TransportUnderTest): readonly ContractCase[] {
  const { dialled = (address: string) => address } = under;
  return [
    {
      name: "cannot dial an address without a listener",
      run: async () => {
        const error = await failure(
          under.create().dial(under.nowhere),
          "unavailable",
          "not-executed",
        );
        assert.ok(error.message.includes(under.nowhere), error.message);
      },
    },
    {
      name: "does not dial after its deadline or its signal",
      run: async () => {
        const transport = under.create();
        const listener = await transport.listen(under.freeAddress(), answering({}));
        await failure(
          transport.dial(dialled(listener.address), { signal: AbortSignal.abort() }),
          "canceled",
          "not-executed",
        );
        await failure(
          transport.dial(dialled(listener.address), { deadline: deadlineAfter(-1) }),
          "deadline_exceeded",
          "not-executed",
        );
        await listener.close();
      },
    },
    {
      name: "ends a dial at its signal, whenever it aborts, and closes a connection opened meanwhile",
      run: async () => {
        const transport = under.create();
        const listener = await transport.listen(under.freeAddress(), answering({}));
        const connected = {
          name: "upon connection",
          reached: () => until(() => listener.connections > 0),
        };
        try {
          for (const moment of [...abortMoments, connected]) {
            const dialling = (signal: AbortSignal) =>
              transport.dial(dialled(listener.address), { signal });
            const channel = await abortAt(moment, dialling);
            assert.equal(channel?.state ?? "open", "open", moment.name);
            await channel?.close();
            await until(() => listener.connections === 0);
          }
        } finally {
          await listener.close();
        }
      },
    },
  ];
}
