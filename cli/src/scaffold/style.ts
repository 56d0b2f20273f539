/** The code style of a file, so that added code matches. */
export interface Style {
  readonly newline: string;
  readonly quote: '"' | "'";
  readonly semicolon: "" | ";";
  /** One step of indentation. */
  readonly indent: string;
}

export const defaultStyle: Style = { newline: "\n", quote: '"', semicolon: ";", indent: "  " };

/** Detects the style from the text; falls back to defaults. */
export function styleOf(text: string): Style {
  const modules = [...text.matchAll(/\bfrom\s*(["'])[^"'\n]*\1[ \t]*(;?)/g)];
  const [first] = modules;
  const indents = [...text.matchAll(/^([ \t]+)\S/gm)].map(([, indent = ""]) => indent);
  const tabs = indents.filter((indent) => indent.startsWith("\t")).length;
  const widths = indents.filter((indent) => /^ +$/.test(indent)).map((indent) => indent.length);
  return {
    newline: text.includes("\r\n") ? "\r\n" : "\n",
    quote: first?.[1] === "'" ? "'" : '"',
    semicolon: first !== undefined && modules.every(([, , end]) => end === "") ? "" : ";",
    indent:
      tabs > indents.length / 2
        ? "\t"
        : widths.length === 0
          ? defaultStyle.indent
          : " ".repeat(Math.min(8, Math.max(1, Math.min(...widths)))),
  };
}
