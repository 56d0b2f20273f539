import { readFileSync } from "node:fs";
import { Project, ts } from "ts-morph";
import { strictConfig } from "./workspace.ts";

/**
 * What an editor asks TypeScript about a folder. The compiler is ts-morph's: TypeScript 7 has no
 * such interface.
 */
export class Editor {
  readonly #service: ts.LanguageService;
  readonly #texts = new Map<string, string>();

  constructor(folder: string, files: Readonly<Record<string, string>>) {
    const { compilerOptions } = strictConfig() as { compilerOptions: object };
    const { options } = ts.convertCompilerOptionsFromJson(compilerOptions, folder);
    const project = new Project({ compilerOptions: options });
    for (const [name, text] of Object.entries(files)) {
      this.#texts.set(`${folder}/${name}`, text);
      project.createSourceFile(`${folder}/${name}`, text);
    }
    this.#service = project.getLanguageService().compilerObject;
  }

  /** The file after the quick fix "implement interface". */
  implementInterface(path: string): string {
    const error = this.#service
      .getSemanticDiagnostics(path)
      .find(({ code }) => code === 2420 || code === 2416 || code === 2720)!;
    const start = error.start!;
    const fixes = this.#service.getCodeFixesAtPosition(
      path,
      start,
      start + error.length!,
      [error.code],
      { ...ts.getDefaultFormatCodeSettings("\n"), indentSize: 2 },
      {},
    );
    let text = this.#text(path);
    const changes = fixes[0]!.changes.flatMap((change) => change.textChanges);
    const fromTheEnd = changes.sort((a, b) => a.span.start - b.span.start).reverse();
    for (const { span, newText } of fromTheEnd) {
      text = text.slice(0, span.start) + newText + text.slice(span.start + span.length);
    }
    return text;
  }

  /** The line that a word's definition is on, and the file. */
  definition(path: string, word: string): { file: string; line: string } {
    const [found] = this.#service.getDefinitionAtPosition(path, this.#find(path, word))!;
    const text = this.#text(found!.fileName);
    const { start } = found!.textSpan;
    const from = text.lastIndexOf("\n", start) + 1;
    return { file: found!.fileName, line: text.slice(from, text.indexOf("\n", start)).trim() };
  }

  /** The signature and documentation that hovering over a word shows. */
  hover(path: string, word: string): { signature: string; documentation: string } {
    const info = this.#service.getQuickInfoAtPosition(path, this.#find(path, word))!;
    return {
      signature: ts.displayPartsToString(info.displayParts),
      documentation: ts.displayPartsToString(info.documentation),
    };
  }

  /** The words that are shown struck through. */
  struck(path: string): string[] {
    return this.#service
      .getSuggestionDiagnostics(path)
      .filter((diagnostic) => diagnostic.reportsDeprecated)
      .map(({ start, length }) => this.#text(path).slice(start, start! + length!));
  }

  errors(path: string): string[] {
    return this.#service
      .getSemanticDiagnostics(path)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
  }

  #find(path: string, word: string): number {
    return this.#text(path).lastIndexOf(word);
  }

  #text(path: string): string {
    return this.#texts.get(path) ?? readFileSync(path, "utf8");
  }
}
