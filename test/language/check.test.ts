import { describe, expect, test } from "vitest";
import { check } from "./check.ts";
import { phrases } from "./phrases.ts";

const lines = (path: string, source: string) =>
  check(path, source).map(({ line, message }) => `${line}: ${message}`);

describe("a phrase that reads as translated", () => {
  test.each(phrases.map(({ bad, suggestion }) => [bad, suggestion]))(
    "is found in a comment, a string and a page: %s",
    (bad, suggestion) => {
      for (const [path, source] of [
        ["a.ts", `const a = 1;\n// ${bad}\nconst b = 2;`],
        ["a.ts", `const a = 1;\nconst text = ${JSON.stringify(bad)};`],
        ["a.md", `# Title\n${bad}\n`],
        ["a.proto", `message A {\n  string b = 1; // ${bad}\n}`],
        ["a.ts.hbs", `import { {{name}} } from "./a.js";\n/** ${bad} */\nconst a = 1;`],
      ] as const) {
        expect(lines(path, source), source).toContainEqual(expect.stringContaining(suggestion));
        expect(check(path, source)[0]).toMatchObject({ path, line: 2 });
      }
    },
  );

  test.each(phrases.flatMap(({ good = [] }) => good))("is not found in: %s", (good) => {
    expect(lines("a.md", `${good}\n`)).toEqual([]);
  });

  test("is found across the end of a line", () => {
    expect(lines("a.ts", "/**\n * The value is\n * no number.\n */\nconst a = 1;")).toEqual([
      expect.stringMatching(/^2: "is no number" reads as translated: use "is not a/),
    ]);
    expect(lines("a.ts", "f();\n// The value is\n// no number.\ng();")).toHaveLength(1);
    expect(lines("a.md", "The value is\nno number.\n")).toHaveLength(1);
    expect(lines("a.md", "- The value is\n- no number.\n")).toEqual([]);
  });

  test("is found in the parts of a template, and not in code", () => {
    const template = `const a = \`\${b} is no number, \${c}\`;`;
    expect(lines("a.ts", template)).toHaveLength(1);
    expect(lines("a.ts", "const beside = anew(/whom/);")).toEqual([]);
    expect(lines("a.md", "The option `beside` is set.\n")).toEqual([]);
    expect(lines("a.md", "```sh\nmicro run # starts it anew\n```\n")).toHaveLength(1);
  });
});

describe("a line that is too wide", () => {
  const wide = "word ".repeat(21);
  const address = `https://example.com/${"a".repeat(90)}`;

  test("is found in a comment and in prose", () => {
    expect(lines("a.ts", `const a = 1;\n// ${wide}.`)).toEqual([
      "2: is 109 columns wide: wrap at 100",
    ]);
    expect(lines("a.md", `# Title\n\n${wide}.\n`)).toHaveLength(1);
    expect(lines("a.proto", `// ${wide}.`)).toHaveLength(1);
  });

  test("may be one that cannot be wrapped", () => {
    expect(lines("a.ts", `// ${address}`)).toEqual([]);
    expect(lines("a.md", `- ${address}\n`)).toEqual([]);
    expect(lines("a.md", `| ${wide} |\n\n# ${wide}\n\n\`\`\`\n${wide}\n\`\`\`\n`)).toEqual([]);
    expect(lines("a.ts", `const a = "${wide}";`)).toEqual([]);
  });
});
