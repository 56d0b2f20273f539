import type { Contender } from "../contender.ts";
import { CoalescingSocket, caller, serve } from "../raw-tcp.ts";

export const contender: Contender = {
  name: "raw-tcp",
  about: "length-prefixed bytes over TCP, one write a tick, no codec",
  serve: () => serve(CoalescingSocket),
  connect: (address) => caller(address, CoalescingSocket),
};
