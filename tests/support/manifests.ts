/** The manifests of `deploy/kubernetes`, read without a cluster. */
import { parseAllDocuments } from "../packages/yaml.ts";
import { ROOT } from "./sources.ts";

export const MANIFESTS = new URL("deploy/kubernetes/", ROOT);

export interface Manifest {
  file: string;
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  // deno-lint-ignore no-explicit-any -- each kind has its own; `kubernetes-models` checks it
  spec?: any;
  data?: Record<string, string>;
  stringData?: Record<string, string>;
  resources?: string[];
}

export async function readManifests(): Promise<Manifest[]> {
  const files = [...Deno.readDirSync(MANIFESTS)].map(({ name }) => name).filter((name) => name.endsWith(".yaml"))
    .sort();
  const found = await Promise.all(files.map(async (file) => {
    const documents = parseAllDocuments(await Deno.readTextFile(new URL(file, MANIFESTS)));
    return documents.map((document) => {
      if ("errors" in document && document.errors.length > 0) throw document.errors[0];
      return { file, ...(document as { toJS: () => Omit<Manifest, "file"> }).toJS() };
    });
  }));
  return found.flat();
}
