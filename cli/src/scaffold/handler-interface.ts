import { Project, type SourceFile, type Type, type TypeNode, ts } from "ts-morph";
import { generatedFrom } from "./project-files.ts";

/** A type in a signature, and how a file imports it. */
export interface NamedType {
  /** As written in the signature. */
  readonly name: string;
  /** As exported by its module. */
  readonly exported: string;
  /**
   * The module to import it from, relative to the generated file; undefined for the generated file
   * itself.
   */
  readonly module: string | undefined;
}

/** A method that a handler needs. */
export interface HandlerMethod {
  readonly name: string;
  readonly parameters: readonly { readonly name: string; readonly type: string }[];
  /** The declared return type of the handler's method. */
  readonly returns: string;
  /** Returns a stream, and is therefore written as a generator. */
  readonly streams: boolean;
  /** The schema's comment, without the generator's additions. */
  readonly docs: string;
  readonly types: readonly NamedType[];
}

/** A generated interface of a service. */
export interface HandlerInterface {
  /** Such as `GreeterHandler`. */
  readonly name: string;
  /** The generated file. */
  readonly file: string;
  /** The .proto that it was generated from. */
  readonly proto: string;
  /** How generated files import each other: `.ts`, `.js` or nothing. */
  readonly extension: string;
  readonly methods: readonly HandlerMethod[];
}

/** A parser without resolution; it only needs the text. */
export function newProject(): Project {
  return new Project({
    useInMemoryFileSystem: true,
    skipLoadingLibFiles: true,
    skipFileDependencyResolution: true,
    compilerOptions: { target: ts.ScriptTarget.ESNext },
  });
}

/** The handler interfaces of a generated file, `…_micro.ts` or `…_micro.d.ts`. */
export function handlerInterfaces(file: string, text: string): readonly HandlerInterface[] {
  const source = newProject().createSourceFile(file, text);
  const imported = importedNames(source);
  const extension = extensionOf(source);
  const proto = generatedFrom(text) ?? "";
  return source.getInterfaces().flatMap((declaration): HandlerInterface[] => {
    const name = declaration.getName();
    const isHandler = name.endsWith("Handler") && declaration.isExported();
    if (!isHandler || source.getFunction(`register${name}`) === undefined) return [];
    const methods = declaration.getMethods().map((method): HandlerMethod => {
      const returnType = method.getReturnTypeNodeOrThrow();
      const streams = returnType.getText().startsWith("AsyncIterable<");
      const returns = streams ? returnType.getText() : `Promise<${argumentOf(returnType)}>`;
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
      // The generator quotes `new`, which would otherwise be a constructor.
      const name = method.getName().replaceAll('"', "");
      return { name, parameters, returns, streams, docs: docsOf(method), types };
    });
    return [{ name, file, proto, extension, methods }];
  });
}

function importedNames(source: SourceFile): ReadonlyMap<string, NamedType> {
  const found = new Map<string, NamedType>();
  const reexported = source
    .getExportDeclarations()
    .filter((declaration) => declaration.isNamespaceExport())
    .map((declaration) => declaration.getModuleSpecifierValue());
  for (const declaration of source.getImportDeclarations()) {
    const from = declaration.getModuleSpecifierValue();
    const module = reexported.includes(from) ? undefined : applicationModule(from);
    for (const specifier of declaration.getNamedImports()) {
      const exported = specifier.getName();
      const name = specifier.getAliasNode()?.getText() ?? exported;
      found.set(name, { name, exported, module });
    }
  }
  return found;
}

/** Codecs are generated into separate files, whose exports applications import from `…_micro`. */
function applicationModule(module: string): string {
  return module.startsWith(".") ? module.replace(/_codec((\.[cm]?[jt]s)?)$/, "_micro$1") : module;
}

function extensionOf(source: SourceFile): string {
  const relative = source
    .getImportDeclarations()
    .map((declaration) => declaration.getModuleSpecifierValue())
    .find((module) => module.startsWith("."));
  return relative === undefined ? ".js" : (/\.[cm]?[jt]s$/.exec(relative)?.[0] ?? "");
}

/** The type argument of `Awaitable<…>`. */
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
