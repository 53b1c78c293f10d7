import { seededTest } from "../support/seeded.ts";
import { endpointsAgree } from "../support/visibility_oracle.ts";

seededTest(
  "Every endpoint that shows posts agrees with a model of who may see them",
  (random) => endpointsAgree(random, 8),
);
