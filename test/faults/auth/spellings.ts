/**
 * Ways to write the name of a method, its own first, as attackers, proxies and libraries write it.
 *
 * @param service full name, such as `acme.v1.Stock`
 */
export function spellingsOf(service: string, rpc: string): readonly string[] {
  const dot = service.lastIndexOf(".");
  const [packageName, simple] = [service.slice(0, dot), service.slice(dot + 1)];
  const name = `${service}/${rpc}`;
  const escaped = (text: string) => `%${text.charCodeAt(0).toString(16)}${text.slice(1)}`;
  return [
    name,
    // Case.
    `${service.toLowerCase()}/${rpc}`,
    `${service.toUpperCase()}/${rpc}`,
    `${service}/${rpc.toLowerCase()}`,
    `${service}/${rpc.toUpperCase()}`,
    `${packageName.toUpperCase()}.${simple}/${rpc}`,
    name.toLowerCase(),
    name.toUpperCase(),
    `${service}/${rpc[0]?.toLowerCase()}${rpc.slice(1)}`,
    // Slashes.
    `/${name}`,
    `//${name}`,
    `${service}//${rpc}`,
    `${service}///${rpc}`,
    `${name}/`,
    `${name}//`,
    `${service}\\${rpc}`,
    `${service}/./${rpc}`,
    `./${name}`,
    `../${name}`,
    `x/../${name}`,
    `${service}/../${simple}/${rpc}`,
    `${service}/x/../${rpc}`,
    `${service}/${rpc}/..`,
    `${service}/${rpc}/x`,
    `x/${name}`,
    `api/${name}`,
    // Escapes.
    name.replace("/", "%2f"),
    name.replace("/", "%2F"),
    name.replace("/", "%252f"),
    name.replace("/", "%5c"),
    name.replace("/", "/%2e/"),
    name.replaceAll(".", "%2e"),
    `${service}/${escaped(rpc)}`,
    `${escaped(service)}/${rpc}`,
    `${name}%00`,
    `${name}%20`,
    `${name}%0a`,
    `${name}+`,
    `${name}%`,
    // Dots.
    `${name}.`,
    `${service}./${rpc}`,
    `.${name}`,
    `${service}/.${rpc}`,
    `${packageName}..${simple}/${rpc}`,
    `${service}.${rpc}`,
    `${name}.json`,
    // Other packages, and none.
    `${simple}/${rpc}`,
    `${simple}.${rpc}`,
    `other.${simple}/${rpc}`,
    `${packageName}.other.${simple}/${rpc}`,
    `other.${name}`,
    `${packageName.slice(packageName.indexOf(".") + 1)}.${simple}/${rpc}`,
    `${packageName}.${simple}2/${rpc}`,
    `${service}/${rpc}2`,
    `${service}/${rpc.slice(0, -1)}`,
    // Parts of URLs, and what some servers cut off.
    `${name};a=b`,
    `${service};a/${rpc}`,
    `${name}:read`,
    `${name}@1`,
    `${name}~`,
    `${name}*`,
    `${name},`,
    `*`,
    `${service}/*`,
    // Characters that look alike, or are not seen, as UTF-8 of one byte a character.
    Buffer.from(name.replace("c", "с")).toString("latin1"),
    Buffer.from(`${name}​`).toString("latin1"),
    Buffer.from(name.replace("/", "／")).toString("latin1"),
  ];
}
