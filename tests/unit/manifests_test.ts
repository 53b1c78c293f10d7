/** The manifests of `deploy/kubernetes`: that they fit each other, the settings, and `compose.yaml`. */
import assert from "node:assert/strict";
import { readConfig, settings } from "../../config.ts";
import { MAX_MEMORY_BYTES } from "../../services/images/crop/supervisor.ts";
import { readCompose } from "../support/compose.ts";
import { type Manifest, MANIFESTS, readManifests } from "../support/manifests.ts";
import { ROOT } from "../support/sources.ts";

interface Variable {
  name: string;
  value?: string;
  valueFrom?: {
    configMapKeyRef?: { name: string; key: string; optional?: boolean };
    secretKeyRef?: { name: string; key: string; optional?: boolean };
    fieldRef?: { fieldPath: string };
  };
}

const GIB = 1024 ** 3;
const manifests = await readManifests();
const kinds = (...names: string[]) => manifests.filter(({ kind }) => names.includes(kind));
const one = (kind: string) => kinds(kind)[0]!;
const workloads = kinds("Deployment", "StatefulSet", "Job");
const lasting = kinds("Deployment", "StatefulSet");
const podOf = ({ spec }: Manifest) => spec.template.spec;
const labelsOf = ({ spec }: Manifest) => spec.template.metadata.labels as Record<string, string>;
const containerOf = (workload: Manifest) => podOf(workload).containers[0];
const variablesOf = (workload: Manifest) => containerOf(workload).env as Variable[];
const nameOf = ({ metadata, file }: Manifest) => metadata.name ?? file;
/** What Kubernetes alone sets. */
const ADDRESSES = ["POD_IP", "NODE_URL"];

function selects(selector: Record<string, string>, labels: Record<string, string>): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}

Deno.test("The kustomization lists every file but the example, the backup and the restore", () => {
  const files = [...Deno.readDirSync(MANIFESTS)].map(({ name }) => name).filter((name) => name.endsWith(".yaml"));
  const others = ["kustomization.yaml", "secret.example.yaml", "backup.yaml", "restore.yaml"];
  const expected = [...files.filter((file) => !others.includes(file)), "secret.yaml"];
  assert.deepEqual([...one("Kustomization").resources!].sort(), expected.sort());
});

Deno.test("Each role of compose.yaml has a workload", () => {
  const ours = Object.entries(readCompose().services).filter(([, { build }]) => build !== undefined);
  const roles = ours.map(([name]) => name).filter((name) => !["migrations", "tasks"].includes(name));
  assert.deepEqual(lasting.map(nameOf).sort(), roles.sort());
});

Deno.test("No pod has rights it does not need, and none can fill memory", () => {
  for (const workload of workloads) {
    const name = nameOf(workload);
    const { securityContext, automountServiceAccountToken, enableServiceLinks, containers } = podOf(workload);
    assert.deepEqual([automountServiceAccountToken, enableServiceLinks, containers.length], [false, false, 1], name);
    assert.ok(securityContext.runAsNonRoot && securityContext.runAsUser > 0, name);
    assert.equal(securityContext.seccompProfile.type, "RuntimeDefault", name);
    const container = containerOf(workload);
    assert.deepEqual(container.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    }, name);
    for (const part of ["requests", "limits"]) {
      assert.ok(container.resources[part].cpu && container.resources[part].memory, name);
    }
    assert.ok(container.volumeMounts.some(({ mountPath }: { mountPath: string }) => mountPath === "/tmp"), name);
  }
  assert.equal(one("Namespace").metadata.labels!["pod-security.kubernetes.io/enforce"], "restricted");
});

Deno.test("Every lasting container has the three probes, at ports that it has", () => {
  for (const workload of lasting) {
    const { ports, startupProbe, livenessProbe, readinessProbe } = containerOf(workload);
    const names = ports.map(({ name }: { name: string }) => name);
    for (const probe of [startupProbe, livenessProbe, readinessProbe]) {
      const { port } = probe.httpGet ?? probe.tcpSocket;
      assert.ok(names.includes(port), `${nameOf(workload)}: ${port}`);
    }
    // An unavailable database is no reason to restart.
    assert.deepEqual([startupProbe, livenessProbe].map(({ httpGet }) => httpGet.path), ["/healthz", "/healthz"]);
  }
  for (const name of ["api", "kv"]) {
    assert.equal(containerOf(lasting.find((each) => nameOf(each) === name)!).readinessProbe.httpGet.path, "/readyz");
  }
});

Deno.test("A pod that applies migrations for long is not restarted meanwhile", () => {
  // The port of the role answers after them, the port of the metrics before (`workers/roles/boot.ts`).
  for (const workload of lasting.filter((each) => ["api", "jobs", "kv"].includes(nameOf(each)))) {
    const { startupProbe, livenessProbe } = containerOf(workload);
    for (const { httpGet } of [startupProbe, livenessProbe]) assert.equal(httpGet.port, "metrics", nameOf(workload));
  }
});

Deno.test("As many crops as run at once fit into the memory of a pod of jobs, beside the process itself", () => {
  const jobs = lasting.find((each) => nameOf(each) === "jobs")!;
  const crops = Number(variablesOf(jobs).find(({ name }) => name === "CROP_PROCESSES")!.value);
  const [, memory] = /^(\d+)Gi$/.exec(containerOf(jobs).resources.limits.memory)!;
  assert.ok(Number(memory) * GIB >= crops * MAX_MEMORY_BYTES + GIB / 2);
});

Deno.test("Nodes are replaced without an interruption", () => {
  const api = lasting.find((each) => nameOf(each) === "api")!;
  assert.deepEqual(api.spec.strategy.rollingUpdate, { maxSurge: 1, maxUnavailable: 0 });
  const wait = containerOf(api).lifecycle.preStop.sleep.seconds;
  // What a node may take to drain, and some more.
  assert.ok(podOf(api).terminationGracePeriodSeconds >= wait + 15);
  const { readinessProbe } = containerOf(api);
  assert.ok(readinessProbe.periodSeconds * readinessProbe.failureThreshold <= wait);
  for (const { spec } of kinds("PodDisruptionBudget")) assert.equal(spec.maxUnavailable, 1);
});

Deno.test("Selectors of workloads, services, budgets and policies find their pods, and ports exist", () => {
  for (const workload of lasting) assert.ok(selects(workload.spec.selector.matchLabels, labelsOf(workload)));
  const portsOf = (selector: Record<string, string>) => {
    const found = workloads.filter((workload) => selects(selector, labelsOf(workload)));
    assert.ok(found.length > 0, JSON.stringify(selector));
    return found.flatMap((workload) => containerOf(workload).ports ?? []).map(({ name }: { name: string }) => name);
  };
  for (const { spec } of kinds("Service")) {
    for (const { targetPort } of spec.ports) assert.ok(portsOf(spec.selector).includes(targetPort));
  }
  for (const { spec } of kinds("PodDisruptionBudget")) portsOf(spec.selector.matchLabels);
  for (const { spec, metadata } of kinds("NetworkPolicy")) {
    const ports = portsOf(spec.podSelector.matchLabels ?? {});
    for (const { from, ports: allowed } of spec.ingress ?? []) {
      for (const { podSelector } of from) if (podSelector) portsOf(podSelector.matchLabels);
      for (const { port } of allowed) assert.ok(ports.includes(port), `${metadata.name}: ${port}`);
    }
  }
  const [{ host, http }] = one("Ingress").spec.rules;
  const { service } = http.paths[0].backend;
  assert.ok(kinds("Service").some(({ metadata }) => metadata.name === service.name));
  assert.deepEqual([`https://${host}`, [host]], [one("ConfigMap").data!.PUBLIC_URL, one("Ingress").spec.tls[0].hosts]);
});

Deno.test("Every pod is closed but to those that use it", () => {
  const policies = new Map(kinds("NetworkPolicy").map(({ metadata, spec }) => [metadata.name, spec]));
  assert.deepEqual(policies.get("deny"), { podSelector: {}, policyTypes: ["Ingress"] });
  for (const workload of lasting.filter((each) => nameOf(each) !== "jobs")) assert.ok(policies.has(nameOf(workload)));
  // An address of another service is reachable for the one that has it.
  for (const workload of workloads) {
    for (const { value = "" } of variablesOf(workload).filter(({ name }) => name.endsWith("_URL"))) {
      const { hostname } = new URL(value || "http://none");
      if (!policies.has(hostname)) continue;
      const users = policies.get(hostname).ingress.flatMap(({ from }: { from: unknown[] }) => from);
      const isUser = users.some(({ podSelector }: { podSelector?: { matchLabels: Record<string, string> } }) =>
        podSelector && selects(podSelector.matchLabels, labelsOf(workload))
      );
      assert.ok(isUser, `${hostname} is closed to ${nameOf(workload)}`);
    }
  }
});

/** Of what the template of the Secret has, also in its comments. */
const template = await Deno.readTextFile(new URL("secret.example.yaml", MANIFESTS));
const SECRET_KEYS = [...template.matchAll(/^ {2}(?:# )?([A-Z_\d]+): /gm)].map(([, name]) => name!);

Deno.test("Pods that decrypt what is stored have the previous key, too, and the Secret is not committed", async () => {
  const { services } = readCompose();
  const previous = ({ name }: Variable) => name === "SECRET_KEY_PREVIOUS";
  for (const workload of lasting) {
    const inCompose = "SECRET_KEY_PREVIOUS" in services[nameOf(workload)]!.environment!;
    assert.equal(variablesOf(workload).some(previous), inCompose, nameOf(workload));
  }
  const restore = workloads.find(({ file }) => file === "restore.yaml")!;
  assert.ok(variablesOf(restore).some(previous));
  const ignored = await Deno.readTextFile(new URL(".gitignore", ROOT));
  assert.ok(ignored.split("\n").includes("/deploy/kubernetes/secret.yaml"));
});

Deno.test("A secret is only in the pods that use it, as in compose.yaml", () => {
  const known = settings().filter(([, { secret }]) => secret).map(([name]) => name);
  for (const key of SECRET_KEYS) assert.ok(known.includes(key), key);
  const { services } = readCompose();
  for (const workload of workloads) {
    for (const { name, value, valueFrom } of variablesOf(workload)) {
      const isSecret = known.includes(name) && valueFrom?.configMapKeyRef === undefined;
      assert.equal(valueFrom?.secretKeyRef !== undefined, isSecret, `${nameOf(workload)}: ${name}`);
      assert.ok(value === undefined || !/password|secret/i.test(value), name);
      const compose = services[nameOf(workload)]?.environment;
      if (compose && !ADDRESSES.includes(name)) assert.ok(name in compose, `${nameOf(workload)}: ${name}`);
      if (valueFrom?.secretKeyRef) assert.ok(SECRET_KEYS.includes(valueFrom.secretKeyRef.key), name);
    }
  }
});

for (const workload of workloads) {
  Deno.test(`The pods of ${nameOf(workload)} start with valid settings`, () => {
    const secret = {
      ...one("Secret").stringData,
      SECRET_KEY: "s".repeat(32),
      SMTP_URL: "smtp://smtp.example.org",
      METRICS_TOKEN: "m".repeat(20),
    } as Record<string, string>;
    const map = one("ConfigMap").data!;
    const env: Record<string, string> = {};
    for (const { name, value, valueFrom } of variablesOf(workload)) {
      const { configMapKeyRef: key, secretKeyRef: secretKey, fieldRef } = valueFrom ?? {};
      const found = value ?? (key ? map[key.key] : secretKey ? secret[secretKey.key] : fieldRef && "10.0.0.1");
      if (found !== undefined) env[name] = found.replaceAll(/\$\((\w+)\)/g, (_, other: string) => env[other]!);
      else assert.equal((key ?? secretKey)?.optional, true, `${name} is missing`);
      if (!ADDRESSES.includes(name)) assert.ok(settings().some(([known]) => known === name), name);
    }
    const { args = [], ports = [] } = containerOf(workload);
    const config = readConfig({ ...env, ...(args[0] === "role" ? { ROLES: args[1] } : {}) });
    for (const { name, containerPort } of ports as { name: string; containerPort: number }[]) {
      const { PORT, STORAGE_PORT, STATS_PORT, MAIL_PORT, METRICS_PORT } = config;
      const listened = name === "metrics"
        ? METRICS_PORT
        : { storage: STORAGE_PORT, stats: STATS_PORT, mail: MAIL_PORT }[
          nameOf(workload)
        ] ?? PORT;
      assert.equal(containerPort, listened, name);
    }
    if (nameOf(workload) === "api") assert.equal(env.NODE_URL, `http://10.0.0.1:${config.PORT}`);
  });
}
