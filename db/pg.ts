/** The `pg` package, with its types in one place: those are loaded for checks only. */
// @ts-types="npm:@types/pg@8.23.1"
export { default } from "pg";
