import { decode } from "dns-packet";
import { describe, expect, test } from "vitest";
import {
  type ResponseRecords,
  readHeader,
  readRecords,
} from "../../drivers/dns/src/link/read-response.ts";
import { DnsFuzzFinding, type DnsParser, fuzzDns } from "./dns.ts";

describe("fuzzed responses of DNS", () => {
  test("are refused, or read as dns-packet does", () => {
    const { refused, agreed } = fuzzDns({ count: 3_000, seed: 20_261_201 });
    expect(refused).toBeGreaterThan(200);
    expect(agreed).toBeGreaterThan(200);
  });

  const real = { readHeader, readRecords };
  const sections = (bytes: Buffer): ResponseRecords => readRecords(bytes);
  /** Broken on purpose: the fuzzer must find each out. */
  const planted: Record<string, DnsParser> = {
    "a parser that throws what it likes": {
      ...real,
      readRecords(bytes) {
        decode(bytes);
        return sections(bytes);
      },
    },
    "a parser that takes any number of questions": {
      ...real,
      readHeader(bytes) {
        const header = readHeader(bytes);
        return { ...header, question: { name: "_echo._tcp.shop.test", type: "SRV" } };
      },
    },
    "a parser that loses the last record": {
      ...real,
      readRecords(bytes) {
        const records = sections(bytes);
        return { ...records, answers: records.answers.slice(0, 39) };
      },
    },
  };
  for (const [name, parser] of Object.entries(planted)) {
    test(`find ${name}`, () => {
      let finding: unknown;
      try {
        fuzzDns({ count: 3_000, seed: 5, parser });
      } catch (error) {
        finding = error;
      }
      expect(finding).toBeInstanceOf(DnsFuzzFinding);
      const { index, input } = finding as DnsFuzzFinding;
      let again: unknown;
      try {
        fuzzDns({ count: 1, seed: 5, from: index, parser });
      } catch (error) {
        again = error;
      }
      expect((again as DnsFuzzFinding).input).toEqual(input);
    });
  }
});
