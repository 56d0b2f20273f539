import { Project, type SourceFile, type Type, type TypeNode, ts } from "ts-morph";

/** A type that a signature names, and how a file gets it. */
export interface NamedType {
  /** As the signature has it. */
  readonly name: string;
  /** As its module exports it. */
  readonly exported: string;
  /** The module as the generated file imports it; undefined for what the generated file itself exports. */
  readonly module: string | undefined;
}

/** One method that a handler has to have. */
export interface HandlerMethod {
  readonly name: string;
  readonly parameters: readonly { readonly name: string; readonly type: string }[];
  /** What the handler's own method is declared to return. */
  readonly returns: string;
  /** Answers with a stream, and is therefore written as a generator. */
  readonly streams: boolean;
  /** The schema's words on it, without the generator's. */
  readonly docs: string;
  readonly types: readonly NamedType[];
}

/** An interface that the generator wrote for a service. */
export interface HandlerInterface {
  /** Such as `GreeterHandler`. */
  readonly name: string;
  /** The generated file. */
  readonly file: string;
  /** How generated files import each other: `.ts`, `.js` or nothing. */
  readonly extension: string;
  readonly methods: readonly HandlerMethod[];
}

/** A parser that resolves nothing: only the text counts. */
export function newProject(): Project {
  return new Project({
    useInMemoryFileSystem: true,
    skipLoadingLibFiles: true,
    skipFileDependencyResolution: true,
    compilerOptions: { target: ts.ScriptTarget.ESNext },
  });
}

/** The handler interfaces of one generated file, `…_micro.ts` or `…_micro.d.ts`. */
export function handlerInterfaces(file: string, text: string): readonly HandlerInterface[] {
  const source = newProject().createSourceFile(file, text);
  const imported = importedNames(source);
  const extension = extensionOf(source);
  return source.getInterfaces().flatMap((declaration): HandlerInterface[] => {
    const name = declaration.getName();
    const isHandler = name.endsWith("Handler") && declaration.isExported();
    if (!isHandler || source.getFunction(`register${name}`) === undefined) return [];
    const methods = declaration.getMethods().map((method): HandlerMethod => {
      const answer = method.getReturnTypeNodeOrThrow();
      const streams = answer.getText().startsWith("AsyncIterable<");
      const returns = streams ? answer.getText() : `Promise<${argumentOf(answer)}>`;
      const parameters = method.getParameters().map((parameter) => ({
        name: parameter.getName(),
        type: parameter.getTypeNodeOrThrow().getText(),
      }));
      const words = [returns, ...parameters.map(({ type }) => type)]
        .join(" ")
        .match(/[\p{ID_Start}_$][\p{ID_Continue}$]*/gu);
      const types = [...new Set(words)].flatMap((word): NamedType[] => {
        const from = imported.get(word);
        if (from !== undefined) return [from];
        const own = source.getTypeAlias(word) ?? source.getInterface(word);
        return own === undefined ? [] : [{ name: word, exported: word, module: undefined }];
      });
      return { name: method.getName(), parameters, returns, streams, docs: docsOf(method), types };
    });
    return [{ name, file, extension, methods }];
  });
}

function importedNames(source: SourceFile): ReadonlyMap<string, NamedType> {
  const found = new Map<string, NamedType>();
  for (const declaration of source.getImportDeclarations()) {
    const module = declaration.getModuleSpecifierValue();
    for (const specifier of declaration.getNamedImports()) {
      const exported = specifier.getName();
      const name = specifier.getAliasNode()?.getText() ?? exported;
      found.set(name, { name, exported, module });
    }
  }
  return found;
}

function extensionOf(source: SourceFile): string {
  const relative = source
    .getImportDeclarations()
    .map((declaration) => declaration.getModuleSpecifierValue())
    .find((module) => module.startsWith("."));
  return relative === undefined ? ".js" : (/\.[cm]?[jt]s$/.exec(relative)?.[0] ?? "");
}

/** What `Awaitable<…>` holds. */
function argumentOf(type: TypeNode<ts.TypeNode> | Type): string {
  const text = type.getText();
  const open = text.indexOf("<");
  return open < 0 ? text : text.slice(open + 1, text.lastIndexOf(">"));
}

interface Documented {
  getJsDocs(): readonly { getDescription(): string }[];
}

function docsOf(method: Documented): string {
  return method
    .getJsDocs()
    .map((doc) => doc.getDescription().trim())
    .join("\n");
}
