export * as v1 from "npm:kubernetes-models@5.1.0/v1";
export * as apps from "npm:kubernetes-models@5.1.0/apps/v1";
export * as networking from "npm:kubernetes-models@5.1.0/networking.k8s.io/v1";
export * as policy from "npm:kubernetes-models@5.1.0/policy/v1";
export * as batch from "npm:kubernetes-models@5.1.0/batch/v1";
