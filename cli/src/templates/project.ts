/** The kinds of project that `micro new` creates. */
export const projectKinds = ["service", "pubsub", "fullstack", "driver"] as const;
export type ProjectKind = (typeof projectKinds)[number];

/**
 * The model of project templates. Templates of users depend on it: a name is never removed within a
 * `modelVersion`.
 */
export interface ProjectModel {
  readonly modelVersion: 1;
  /** The given name, such as `order-book`. */
  readonly name: string;
  /** In protobuf and names of generated files, such as `order_book`. */
  readonly package: string;
  /** In types, such as `OrderBook`. */
  readonly pascal: string;
  /** In values, such as `orderBook`. */
  readonly camel: string;
  readonly events: boolean;
  readonly web: boolean;
  /** Whether `packages` refers to tarballs in the project's folder `vendor`. */
  readonly vendored: boolean;
  /** Where to install Micro-ES from: versions, or tarballs. */
  readonly packages: {
    readonly runtime: string;
    readonly generator: string;
    readonly cli: string;
    readonly contract: string;
  };
  readonly versions: typeof versions;
}

/** Versions of a new project; the same as this repository's, which a test checks. */
export const versions = {
  protobuf: "2.17.0",
  buf: "1.74.0",
  protocGenEs: "2.13.0",
  typesNode: "20.19.43",
  jose: "6.2.18",
  tsx: "4.23.15",
  typescript: "7.0.2",
} as const;

/** The names derived from a project's name. */
export function namesOf(name: string): Pick<ProjectModel, "name" | "package" | "pascal" | "camel"> {
  const words = name.split("-");
  const pascal = words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join("");
  const camel = pascal.slice(0, 1).toLowerCase() + pascal.slice(1);
  return { name, package: words.join("_"), pascal, camel };
}

/** A file of a new project and its template. */
export interface TemplateFile {
  readonly path: string;
  readonly template: string;
}

/** All files of a project of this kind. */
export function projectFiles(kind: ProjectKind, model: ProjectModel): readonly TemplateFile[] {
  const { name, package: package_ } = model;
  const own = (path: string, template: string): TemplateFile => {
    // A full stack project is a service with a page, so it uses the templates of a service.
    const shared = kind === "fullstack" && !["main.ts", "web.ts", "index.html"].includes(template);
    return { path, template: `${shared ? "service" : kind}/${template}` };
  };
  const project = (path: string, template = path): TemplateFile => ({
    path,
    template: `project/${template}`,
  });
  if (kind === "driver") {
    return [
      own("package.json", "package.json"),
      own("tsconfig.json", "tsconfig.json"),
      own("tsconfig.test.json", "tsconfig.test.json"),
      project(".gitignore", "gitignore"),
      own("README.md", "README.md"),
      own("src/index.ts", "index.ts"),
      own("src/driver.ts", "driver.ts"),
      own("src/registry.ts", "registry.ts"),
      own("test/registry.test.ts", "registry.test.ts"),
      own("test/node.ts", "node.ts"),
    ];
  }
  return [
    project("package.json"),
    project("tsconfig.json"),
    project("tsconfig.test.json"),
    project("buf.yaml"),
    project("buf.gen.yaml"),
    project("Dockerfile"),
    project(".dockerignore", "dockerignore"),
    project(".gitignore", "gitignore"),
    project(".github/workflows/ci.yml", "ci.yml"),
    project("README.md"),
    own(`proto/${package_}/v1/${package_}.proto`, "service.proto"),
    own("src/main.ts", "main.ts"),
    project("src/access.ts", "access.ts"),
    own(`src/${name}-service.ts`, "handler.ts"),
    own(`test/${name}-service.test.ts`, "handler.test.ts"),
    ...(model.web ? [own("src/web.ts", "web.ts"), own("web/index.html", "index.html")] : []),
  ];
}
