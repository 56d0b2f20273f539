import type { DescFile, DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import type { SourceCodeInfo_Location } from "@bufbuild/protobuf/wkt";
import { sourceFile } from "./source-paths.ts";

/** An element that can have options and comments. */
export type Element = DescFile | DescService | DescMethod | DescMessage;

// Field numbers of descriptor.proto, which form the paths into a file.
const FILE_MESSAGE = 4;
const FILE_SERVICE = 6;
const SERVICE_METHOD = 2;
const MESSAGE_NESTED = 3;

const indexes = new WeakMap<DescFile, Map<string, SourceCodeInfo_Location>>();

/** The location of an element in its .proto; undefined without source information. */
export function sourceLocation(element: Element): SourceCodeInfo_Location | undefined {
  return locationsOf(fileOf(element)).get(sourcePath(element).join());
}

/**
 * `file:line:column` of an option on an element, or of the nearest position in the source
 * information. The file is a path relative to the working directory if it is found there.
 */
export function sourcePosition(element: Element, optionPath: readonly number[] = []): string {
  const file = fileOf(element);
  const path = nearestPath(element, optionPath);
  const [line, column] = locationsOf(file).get(path.join())?.span ?? [];
  const name = sourceFile(file.proto.name);
  if (line === undefined || column === undefined) return name;
  return `${name}:${line + 1}:${column + 1}`;
}

/**
 * The path to an option on an element, or to its nearest parent if the source information has no
 * location for the option itself; empty if it has none at all.
 */
export function nearestPath(element: Element, optionPath: readonly number[] = []): number[] {
  const locations = locationsOf(fileOf(element));
  const path = [...sourcePath(element), ...optionPath];
  while (path.length > 0 && !locations.has(path.join())) path.pop();
  return path;
}

export function fileOf(element: Element): DescFile {
  switch (element.kind) {
    case "file":
      return element;
    case "rpc":
      return element.parent.file;
    default:
      return element.file;
  }
}

function sourcePath(element: Element): number[] {
  switch (element.kind) {
    case "file":
      return [];
    case "service":
      return [FILE_SERVICE, element.file.proto.service.indexOf(element.proto)];
    case "rpc": {
      const service = element.parent;
      return [...sourcePath(service), SERVICE_METHOD, service.proto.method.indexOf(element.proto)];
    }
    case "message": {
      const { parent } = element;
      return parent === undefined
        ? [FILE_MESSAGE, element.file.proto.messageType.indexOf(element.proto)]
        : [...sourcePath(parent), MESSAGE_NESTED, parent.proto.nestedType.indexOf(element.proto)];
    }
  }
}

/**
 * An index of each file's locations: a search for each of a thousand rpcs would walk all of them
 * each time.
 */
function locationsOf(file: DescFile): Map<string, SourceCodeInfo_Location> {
  let index = indexes.get(file);
  if (index === undefined) {
    index = new Map();
    for (const location of file.proto.sourceCodeInfo?.location ?? []) {
      const path = location.path.join();
      if (!index.has(path)) index.set(path, location);
    }
    indexes.set(file, index);
  }
  return index;
}
