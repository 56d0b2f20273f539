import type { Contender } from "../contender.ts";
import { caller, PlainSocket, serve } from "../raw-tcp.ts";

export const contender: Contender = {
  name: "raw-tcp-plain",
  about: "length-prefixed bytes over TCP, one write a frame, no codec",
  serve: () => serve(PlainSocket),
  connect: (address) => caller(address, PlainSocket),
};
