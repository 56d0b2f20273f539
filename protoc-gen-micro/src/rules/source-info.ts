import type { DescFile, DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import type { SourceCodeInfo_Location } from "@bufbuild/protobuf/wkt";

/** What options and comments can stand on. */
export type Element = DescFile | DescService | DescMethod | DescMessage;

// Field numbers of descriptor.proto, of which paths into a file consist.
const FILE_MESSAGE = 4;
const FILE_SERVICE = 6;
const SERVICE_METHOD = 2;
const MESSAGE_NESTED = 3;

const indexes = new WeakMap<DescFile, Map<string, SourceCodeInfo_Location>>();

/** Where an element stands in its .proto; undefined when the file came without source information. */
export function sourceLocation(element: Element): SourceCodeInfo_Location | undefined {
  return locationsOf(fileOf(element)).get(sourcePath(element).join());
}

/** `file:line:column` of an option on an element, or as near to it as the source information goes. */
export function sourcePosition(element: Element, optionPath: readonly number[] = []): string {
  const file = fileOf(element);
  const path = nearestPath(element, optionPath);
  const [line, column] = locationsOf(file).get(path.join())?.span ?? [];
  if (line === undefined || column === undefined) return file.proto.name;
  return `${file.proto.name}:${line + 1}:${column + 1}`;
}

/**
 * The path to an option on an element, or to what is around it where the source information has no place for the
 * option itself; empty where it has none at all.
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

/** Indexed once a file: a search for each of a thousand rpcs would go through all locations each time. */
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
