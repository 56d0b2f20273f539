/** The kinds of project that `micro new` can start. */
export const projectKinds = ["service", "pubsub", "fullstack"] as const;
export type ProjectKind = (typeof projectKinds)[number];

/**
 * What templates of projects can use. Templates of users rely on it: a name is never taken away within a
 * `modelVersion`.
 */
export interface ProjectModel {
  readonly modelVersion: 1;
  /** As it was given, such as `order-book`. */
  readonly name: string;
  /** As protobuf and files of generated code have it, such as `order_book`. */
  readonly package: string;
  /** As types have it, such as `OrderBook`. */
  readonly pascal: string;
  readonly events: boolean;
  readonly web: boolean;
  /** What to install Micro-ES from: versions, or tarballs. */
  readonly packages: { readonly runtime: string; readonly generator: string; readonly cli: string };
  readonly versions: typeof versions;
}

/** What a new project is built with; the same as this repository, which a test holds it to. */
export const versions = {
  protobuf: "2.17.0",
  buf: "1.74.0",
  protocGenEs: "2.17.0",
  typesNode: "20.19.43",
  tsx: "4.23.15",
  typescript: "7.0.2",
} as const;

/** The names that a project's name gives. */
export function namesOf(name: string): Pick<ProjectModel, "name" | "package" | "pascal"> {
  const words = name.split("-");
  const pascal = words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join("");
  return { name, package: words.join("_"), pascal };
}

/** A file of a new project and the template that it comes from. */
export interface TemplateFile {
  readonly path: string;
  readonly template: string;
}

/** Every file of a project of this kind. */
export function projectFiles(kind: ProjectKind, model: ProjectModel): readonly TemplateFile[] {
  const { name, package: package_ } = model;
  const own = (path: string, template: string): TemplateFile => {
    // A full stack is a service with a page: what they share is the service's.
    const shared = kind === "fullstack" && !["main.ts", "web.ts", "index.html"].includes(template);
    return { path, template: `${shared ? "service" : kind}/${template}` };
  };
  const project = (path: string, template = path): TemplateFile => ({
    path,
    template: `project/${template}`,
  });
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
    own(`src/${name}-service.ts`, "handler.ts"),
    own(`test/${name}-service.test.ts`, "handler.test.ts"),
    ...(model.web ? [own("src/web.ts", "web.ts"), own("web/index.html", "index.html")] : []),
  ];
}
