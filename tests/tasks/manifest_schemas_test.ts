/**
 * The manifests against the schemas of Kubernetes: their values by the validators of `kubernetes-models`, their field
 * names by its types, because the schemas allow unknown fields.
 */
import assert from "node:assert/strict";
import * as models from "../packages/kubernetes_models.ts";
import { type Manifest, readManifests } from "../support/manifests.ts";
import { TEST_LOCK } from "../support/servers.ts";
import { ROOT } from "../support/sources.ts";

const GROUPS: Record<string, keyof typeof models> = {
  "v1": "v1",
  "apps/v1": "apps",
  "batch/v1": "batch",
  "networking.k8s.io/v1": "networking",
  "policy/v1": "policy",
};
type Model = new (value: unknown) => { validate(): void };

const manifests = (await readManifests()).filter(({ kind }) => kind !== "Kustomization");

Deno.test("Every manifest is valid by the schema of its kind", () => {
  assert.ok(manifests.length > 20, `only ${manifests.length} manifests were found`);
  for (const { file, ...manifest } of manifests) {
    const group = models[GROUPS[manifest.apiVersion]!] as unknown as Record<string, Model | undefined>;
    const model = group[manifest.kind];
    assert.ok(model, `${file}: there is no ${manifest.kind} in ${manifest.apiVersion}`);
    assert.doesNotThrow(() => new model(manifest).validate(), `${file}: ${manifest.kind} ${manifest.metadata.name}`);
  }
});

Deno.test("No manifest has a field that its kind does not have", async () => {
  const good = await typeCheck(manifests);
  assert.equal(good.code, 0, good.output);
  const wrong = structuredClone(manifests);
  const container = wrong.find(({ kind }) => kind === "Deployment")!.spec.template.spec.containers[0];
  container.readinesProbe = container.readinessProbe;
  const bad = await typeCheck(wrong);
  assert.equal(bad.code, 1);
  assert.match(bad.output, /"readinesProbe"' does not exist/);
});

/** Literals of objects may have no unknown members. */
async function typeCheck(manifests: readonly Manifest[]): Promise<{ code: number; output: string }> {
  const folder = await Deno.makeTempDir({ prefix: "rookery-manifests-" });
  try {
    const lines = manifests.map(({ file: _, ...manifest }, i) =>
      `export const m${i}: models.${GROUPS[manifest.apiVersion]}.I${manifest.kind} = ${JSON.stringify(manifest)};`
    );
    const source = `import type * as models from "${ROOT}tests/packages/kubernetes_models.ts";\n${lines.join("\n")}\n`;
    await Deno.writeTextFile(`${folder}/manifests.ts`, source);
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", TEST_LOCK, `${folder}/manifests.ts`],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
    }).output();
    return { code, output: new TextDecoder().decode(stderr) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
