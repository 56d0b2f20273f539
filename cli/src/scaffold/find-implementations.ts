import { ts } from "ts-morph";
import type { HandlerInterface } from "./handler-interface.ts";
import { generatedFrom, isTest } from "./project-files.ts";

/** An implementation of a handler interface, as TypeScript resolves it. */
export interface FoundImplementation {
  /**
   * The file and the position of the class or object; for one that is defined elsewhere, of its
   * registration.
   */
  readonly path: string;
  readonly start: number;
  /** Whether methods can be added at that position. */
  readonly editable: boolean;
  /** Its methods, including inherited ones. */
  readonly has: ReadonlySet<string>;
  /** Why it may have more methods than TypeScript sees; undefined if it cannot. */
  readonly unsure: string | undefined;
  /** Whether its type is unknown, such as the result of an untyped package. */
  readonly unknown: boolean;
  /** Whether it is passed to the generated `registerXHandler`. */
  readonly registered: boolean;
}

type Body = ts.ClassLikeDeclaration | ts.ObjectLiteralExpression;

/**
 * Finds the classes and objects of a program that implement a handler interface or are registered
 * as one.
 */
export function findImplementations(
  program: ts.Program,
  handler: HandlerInterface,
): readonly FoundImplementation[] {
  return new Search(program, handler).run();
}

class Search {
  readonly #program: ts.Program;
  readonly #checker: ts.TypeChecker;
  readonly #handler: HandlerInterface;
  readonly #bodies = new Map<Body, boolean>();
  readonly #elsewhere: FoundImplementation[] = [];

  constructor(program: ts.Program, handler: HandlerInterface) {
    this.#program = program;
    this.#checker = program.getTypeChecker();
    this.#handler = handler;
  }

  run(): readonly FoundImplementation[] {
    for (const source of this.#program.getSourceFiles()) {
      if (source.isDeclarationFile || generatedFrom(source.text) !== undefined) continue;
      this.#visit(source);
    }
    const bodies = [...this.#bodies].map(([body, registered]) => this.#describe(body, registered));
    // An expression of an unknown type, or of the interface's own, does not identify an
    // implementation.
    const others = this.#elsewhere.filter(
      ({ has, registered }) => bodies.length === 0 || (registered && !this.#isComplete(has)),
    );
    return [...bodies, ...others];
  }

  #isComplete(has: ReadonlySet<string>): boolean {
    return this.#handler.methods.every(({ name }) => has.has(name));
  }

  readonly #visit = (node: ts.Node): void => {
    if (ts.isClassLike(node)) {
      if (this.#implements(node)) this.#add(node, false);
    } else if (ts.isObjectLiteralExpression(node)) {
      const wanted = this.#checker.getContextualType(node);
      if (wanted !== undefined && this.#isHandler(wanted)) this.#add(node, false);
      else if (this.#isNamed(declaredTypeOf(node), this.#handler.name)) this.#add(node, false);
    } else if (ts.isCallExpression(node)) {
      const [, passed] = node.arguments;
      if (passed !== undefined && this.#registers(node.expression)) this.#register(passed);
    } else if (ts.isIdentifier(node) && this.#isHandedOn(node)) {
      this.#handOn(node);
    }
    ts.forEachChild(node, this.#visit);
  };

  #add(body: Body, registered: boolean): void {
    this.#bodies.set(body, registered || this.#bodies.get(body) === true);
  }

  #implements(node: ts.ClassLikeDeclaration): boolean {
    const clauses = (node.heritageClauses ?? []).filter(
      ({ token }) => token === ts.SyntaxKind.ImplementsKeyword,
    );
    // JavaScript declares it in a comment.
    const tags = ts.getJSDocImplementsTags(node).map((tag) => tag.class);
    return [...clauses.flatMap(({ types }) => [...types]), ...tags].some(
      (type) =>
        this.#isHandler(this.#checker.getTypeAtLocation(type)) ||
        this.#isNamed(type.expression, this.#handler.name),
    );
  }

  #registers(callee: ts.Expression): boolean {
    const wanted = `register${this.#handler.name}`;
    if (this.#isNamed(callee, wanted)) return true;
    // Finding the function by its type includes other names for it. One of several functions is
    // passed on.
    return this.#isRegister(this.#checker.getTypeAtLocation(callee).symbol);
  }

  #isRegister(symbol: ts.Symbol | undefined): boolean {
    return (symbol?.declarations ?? []).some(
      (it) =>
        ts.isFunctionDeclaration(it) &&
        it.name?.text === `register${this.#handler.name}` &&
        this.#isGenerated(it),
    );
  }

  /**
   * Whether `registerXHandler` is used as a value, for example as an argument or in a list: its
   * callers are not followed. Tests pass it to servers that lack handlers on purpose.
   */
  #isHandedOn(name: ts.Identifier): boolean {
    const { parent } = name;
    if (ts.isCallExpression(parent) && parent.expression === name) return false;
    if (ts.isVariableDeclaration(parent) && parent.name === name) return false;
    if (ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent)) return false;
    if (ts.isBindingElement(parent) || ts.isTypeQueryNode(parent)) return false;
    if (ts.isFunctionDeclaration(parent) || isTest(name.getSourceFile().fileName)) return false;
    if (ts.isPropertyAccessExpression(parent) && parent.name === name) {
      const { parent: around } = parent;
      if (ts.isCallExpression(around) && around.expression === parent) return false;
    }
    return (
      this.#isNamed(name, `register${this.#handler.name}`) || this.#isRegister(this.#symbolOf(name))
    );
  }

  #handOn(name: ts.Identifier): void {
    const source = name.getSourceFile();
    this.#elsewhere.push({
      path: source.fileName,
      start: name.getStart(source),
      editable: false,
      has: new Set(),
      unsure: `${name.text} is passed on there`,
      unknown: true,
      registered: false,
    });
  }

  /** Follows the argument of `registerXHandler` to its class or object. */
  #register(passed: ts.Expression): void {
    let type = this.#checker.getTypeAtLocation(asWritten(passed));
    type = this.#checker.getAwaitedType(type) ?? type;
    const found = this.#bodiesOf(type);
    for (const body of found) this.#add(body, true);
    if (found.length > 0) return;
    const source = passed.getSourceFile();
    const unknown = (type.flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown)) !== 0;
    this.#elsewhere.push({
      path: source.fileName,
      start: passed.getStart(source),
      editable: false,
      has: new Set(this.#checker.getPropertiesOfType(type).map(({ name }) => name)),
      unsure: unknown
        ? `the type of ${passed.getText(source)}, which is registered there, is not known`
        : `${passed.getText(source)}, which is registered there, is built elsewhere`,
      unknown,
      registered: !this.#isHandler(type) && !unknown,
    });
  }

  #bodiesOf(type: ts.Type): readonly Body[] {
    if (type.isUnion()) return type.types.flatMap((it) => this.#bodiesOf(it));
    return (type.symbol?.declarations ?? []).filter(
      (it): it is Body =>
        (ts.isClassLike(it) || ts.isObjectLiteralExpression(it)) &&
        !it.getSourceFile().isDeclarationFile,
    );
  }

  #describe(body: Body, registered: boolean): FoundImplementation {
    const source = body.getSourceFile();
    const type = this.#checker.getTypeAtLocation(body);
    // A class expression has the type of its constructor.
    const instance = type.getConstructSignatures()[0]?.getReturnType() ?? type;
    const has = new Set(this.#checker.getPropertiesOfType(instance).map(({ name }) => name));
    return {
      path: source.fileName,
      start: body.getStart(source),
      editable: true,
      has,
      unsure: this.#unsure(body),
      unknown: false,
      registered,
    };
  }

  #unsure(body: Body): string | undefined {
    if (!ts.isObjectLiteralExpression(body)) {
      const base = this.#unknownBase(body);
      if (base !== undefined) return `it extends ${base}, which may have them`;
    }
    const members: readonly ts.Node[] = ts.isObjectLiteralExpression(body)
      ? body.properties
      : body.members;
    for (const member of members) {
      if (ts.isSpreadAssignment(member) && this.#isAny(member.expression)) {
        return `it spreads ${member.expression.getText()}, which may have them`;
      }
      const name = (member as ts.NamedDeclaration).name;
      if (name !== undefined && ts.isComputedPropertyName(name)) {
        const type = this.#checker.getTypeAtLocation(name.expression);
        const known = ts.TypeFlags.StringLiteral | ts.TypeFlags.UniqueESSymbol;
        if ((type.flags & known) === 0) return `it has a computed name, ${name.getText()}`;
      }
    }
    return undefined;
  }

  /** The text of the first base class that TypeScript cannot resolve. */
  #unknownBase(node: ts.ClassLikeDeclaration): string | undefined {
    const seen = new Set<ts.Node>();
    for (let it: ts.ClassLikeDeclaration | undefined = node; it && !seen.has(it); ) {
      seen.add(it);
      const clause: ts.HeritageClause | undefined = it.heritageClauses?.find(
        ({ token }) => token === ts.SyntaxKind.ExtendsKeyword,
      );
      const base: ts.ExpressionWithTypeArguments | undefined = clause?.types[0];
      if (base === undefined) return undefined;
      if (this.#isAny(base.expression)) return base.expression.getText();
      it = this.#checker.getTypeAtLocation(base).symbol?.declarations?.find(ts.isClassLike);
    }
    return undefined;
  }

  #isAny(expression: ts.Expression): boolean {
    return (this.#checker.getTypeAtLocation(expression).flags & ts.TypeFlags.Any) !== 0;
  }

  /** Whether a type is the handler interface, or an interface or type parameter that extends it. */
  #isHandler(type: ts.Type): boolean {
    if (type.isUnionOrIntersection()) return type.types.some((it) => this.#isHandler(it));
    if ((type.flags & ts.TypeFlags.TypeParameter) !== 0) {
      const constraint = this.#checker.getBaseConstraintOfType(type);
      return constraint !== undefined && this.#isHandler(constraint);
    }
    const interfaces = (type.symbol?.declarations ?? []).filter(ts.isInterfaceDeclaration);
    if (interfaces.length === 0) return false;
    const { name } = this.#handler;
    if (interfaces.some((it) => it.name.text === name && this.#isGenerated(it))) return true;
    const bases = interfaces.flatMap(
      (it) => it.heritageClauses?.flatMap(({ types }) => [...types]) ?? [],
    );
    return bases.some((it) => this.#isHandler(this.#checker.getTypeAtLocation(it)));
  }

  /**
   * Whether a declaration is in code generated from the handler's .proto, wherever it was copied or
   * built to.
   */
  #isGenerated(declaration: ts.Node): boolean {
    return generatedFrom(declaration.getSourceFile().text) === this.#handler.proto;
  }

  /** Whether an expression refers to an export of this name whose module TypeScript cannot find. */
  #isNamed(expression: ts.Node | undefined, exported: string): boolean {
    if (expression === undefined || !ts.isIdentifier(expression)) return false;
    const symbol = this.#checker.getSymbolAtLocation(expression);
    const specifier = symbol?.declarations?.find(ts.isImportSpecifier);
    if (symbol === undefined || specifier === undefined) return false;
    if ((this.#checker.getAliasedSymbol(symbol).declarations ?? []).length > 0) return false;
    return (specifier.propertyName ?? specifier.name).text === exported;
  }

  #symbolOf(expression: ts.Expression): ts.Symbol | undefined {
    const name = ts.isPropertyAccessExpression(expression) ? expression.name : expression;
    const symbol = this.#checker.getSymbolAtLocation(name);
    const isAlias = symbol !== undefined && (symbol.flags & ts.SymbolFlags.Alias) !== 0;
    return isAlias ? this.#checker.getAliasedSymbol(symbol) : symbol;
  }
}

/** An expression without its type assertions. */
function asWritten(expression: ts.Expression): ts.Expression {
  const says =
    ts.isAsExpression(expression) ||
    ts.isParenthesizedExpression(expression) ||
    ts.isNonNullExpression(expression);
  return says ? asWritten(expression.expression) : expression;
}

/** The name of the type that an object is declared with or satisfies. */
function declaredTypeOf(object: ts.ObjectLiteralExpression): ts.Node | undefined {
  const { parent } = object;
  const type =
    ts.isVariableDeclaration(parent) || ts.isSatisfiesExpression(parent) ? parent.type : undefined;
  return type !== undefined && ts.isTypeReferenceNode(type) ? type.typeName : undefined;
}
