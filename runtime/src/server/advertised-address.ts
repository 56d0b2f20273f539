export * from "../advertised-address.ts";
