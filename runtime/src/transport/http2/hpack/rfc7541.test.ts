import { expect, test } from "vitest";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";
import { HeaderField } from "./header-field.ts";
import type { HeaderList } from "./header-list.ts";

/** The examples of RFC 7541 appendix C: blocks, what they mean, and the table afterwards. */
const series: readonly {
  readonly name: string;
  readonly maxTableBytes: number;
  readonly blocks: readonly {
    readonly hex: string;
    readonly list: readonly string[];
    readonly table: readonly string[];
  }[];
}[] = [
  {
    name: "C.3, requests without Huffman coding",
    maxTableBytes: 4096,
    blocks: [
      {
        hex: "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        list: [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
        table: [":authority: www.example.com"],
      },
      {
        hex: "8286 84be 5808 6e6f 2d63 6163 6865",
        list: [
          ":method: GET",
          ":scheme: http",
          ":path: /",
          ":authority: www.example.com",
          "cache-control: no-cache",
        ],
        table: ["cache-control: no-cache", ":authority: www.example.com"],
      },
      {
        hex: "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        list: [
          ":method: GET",
          ":scheme: https",
          ":path: /index.html",
          ":authority: www.example.com",
          "custom-key: custom-value",
        ],
        table: [
          "custom-key: custom-value",
          "cache-control: no-cache",
          ":authority: www.example.com",
        ],
      },
    ],
  },
  {
    name: "C.4, requests with Huffman coding",
    maxTableBytes: 4096,
    blocks: [
      {
        hex: "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        list: [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
        table: [":authority: www.example.com"],
      },
      {
        hex: "8286 84be 5886 a8eb 1064 9cbf",
        list: [
          ":method: GET",
          ":scheme: http",
          ":path: /",
          ":authority: www.example.com",
          "cache-control: no-cache",
        ],
        table: ["cache-control: no-cache", ":authority: www.example.com"],
      },
      {
        hex: "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        list: [
          ":method: GET",
          ":scheme: https",
          ":path: /index.html",
          ":authority: www.example.com",
          "custom-key: custom-value",
        ],
        table: [
          "custom-key: custom-value",
          "cache-control: no-cache",
          ":authority: www.example.com",
        ],
      },
    ],
  },
  {
    name: "C.5, responses without Huffman coding, evicting",
    maxTableBytes: 256,
    blocks: [
      {
        hex: "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        list: [
          ":status: 302",
          "cache-control: private",
          "date: Mon, 21 Oct 2013 20:13:21 GMT",
          "location: https://www.example.com",
        ],
        table: [
          "location: https://www.example.com",
          "date: Mon, 21 Oct 2013 20:13:21 GMT",
          "cache-control: private",
          ":status: 302",
        ],
      },
      {
        hex: "4803 3330 37c1 c0bf",
        list: [
          ":status: 307",
          "cache-control: private",
          "date: Mon, 21 Oct 2013 20:13:21 GMT",
          "location: https://www.example.com",
        ],
        table: [
          ":status: 307",
          "location: https://www.example.com",
          "date: Mon, 21 Oct 2013 20:13:21 GMT",
          "cache-control: private",
        ],
      },
      {
        hex: "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
        list: [
          ":status: 200",
          "cache-control: private",
          "date: Mon, 21 Oct 2013 20:13:22 GMT",
          "location: https://www.example.com",
          "content-encoding: gzip",
          "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
        ],
        table: [
          "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
          "content-encoding: gzip",
          "date: Mon, 21 Oct 2013 20:13:22 GMT",
        ],
      },
    ],
  },
  {
    name: "C.6, responses with Huffman coding, evicting",
    maxTableBytes: 256,
    blocks: [
      {
        hex: "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        list: [
          ":status: 302",
          "cache-control: private",
          "date: Mon, 21 Oct 2013 20:13:21 GMT",
          "location: https://www.example.com",
        ],
        table: [
          "location: https://www.example.com",
          "date: Mon, 21 Oct 2013 20:13:21 GMT",
          "cache-control: private",
          ":status: 302",
        ],
      },
      {
        hex: "4883 640e ffc1 c0bf",
        list: [
          ":status: 307",
          "cache-control: private",
          "date: Mon, 21 Oct 2013 20:13:21 GMT",
          "location: https://www.example.com",
        ],
        table: [
          ":status: 307",
          "location: https://www.example.com",
          "date: Mon, 21 Oct 2013 20:13:21 GMT",
          "cache-control: private",
        ],
      },
      {
        hex: "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        list: [
          ":status: 200",
          "cache-control: private",
          "date: Mon, 21 Oct 2013 20:13:22 GMT",
          "location: https://www.example.com",
          "content-encoding: gzip",
          "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
        ],
        table: [
          "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
          "content-encoding: gzip",
          "date: Mon, 21 Oct 2013 20:13:22 GMT",
        ],
      },
    ],
  },
];

const limits = { maxTableBytes: 4096, maxListBytes: 65_536, maxFields: 256 };

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
}

function decode(decoder: HpackDecoder, hex: string): HeaderList {
  const bytes = bytesOf(hex);
  return decoder.decode(bytes, 0, bytes.length);
}

function lines(list: HeaderList): string[] {
  return list.fields.map(({ name, value }) => `${name}: ${value}`);
}

function fieldOf(line: string): HeaderField {
  const at = line.indexOf(": ", 1);
  return new HeaderField(line.slice(0, at), line.slice(at + 2));
}

test.each(series)("decodes $name", ({ maxTableBytes, blocks }) => {
  const decoder = new HpackDecoder({ ...limits, maxTableBytes });
  for (const { hex, list, table } of blocks) {
    expect(lines(decode(decoder, hex))).toEqual(list);
    // Index 62 is the newest field of the dynamic table.
    const indexes = table.map((_, at) => (0x80 + 62 + at).toString(16)).join("");
    expect(lines(decode(decoder, indexes))).toEqual(table);
    expect(() => decode(new HpackDecoder(limits), "be")).toThrow("field 62");
  }
});

test.each([
  [
    "C.2.1",
    "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
    "custom-key",
    "custom-header",
    false,
  ],
  ["C.2.2", "040c 2f73 616d 706c 652f 7061 7468", ":path", "/sample/path", false],
  ["C.2.3", "1008 7061 7373 776f 7264 0673 6563 7265 74", "password", "secret", true],
  ["C.2.4", "82", ":method", "GET", false],
])("decodes %s, a single field", (_section, hex, name, value, isSensitive) => {
  const { fields } = decode(new HpackDecoder(limits), hex);
  expect(fields).toHaveLength(1);
  expect(fields[0]).toMatchObject({ name, value, isSensitive, isValid: true });
});

test("encodes the requests of C.4 exactly", () => {
  const encoder = new HpackEncoder();
  for (const { hex, list } of series[1]!.blocks) {
    const length = encoder.encode(undefined, list.map(fieldOf));
    expect(Buffer.from(encoder.bytes.subarray(0, length)).toString("hex")).toBe(
      hex.replaceAll(" ", ""),
    );
  }
});
