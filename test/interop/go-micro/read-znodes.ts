import { ZooKeeperLink } from "@micro-es/zookeeper";
import { getChildren, getData } from "../../../drivers/zookeeper/src/wire/operations.ts";

/** A znode, as it was read. */
export interface RecordedZnode {
  readonly path: string;
  readonly data: string;
  /** Whether it ends with the session that created it. */
  readonly isEphemeral: boolean;
}

/** Reads all znodes below a path, those above first. */
export async function readZnodes(servers: string, root: string): Promise<readonly RecordedZnode[]> {
  const link = new ZooKeeperLink({ servers });
  try {
    const found: RecordedZnode[] = [];
    const visit = async (path: string): Promise<void> => {
      const what = `read ${path}`;
      const { data, stat } = await link.call(getData(path), what);
      const isEphemeral = stat.ephemeralOwner !== 0n;
      found.push({ path, data: Buffer.from(data).toString(), isEphemeral });
      const { children } = await link.call(getChildren(path), what);
      for (const child of [...children].sort()) await visit(`${path}/${child}`);
    };
    await visit(root);
    return found;
  } finally {
    await link.close();
  }
}
