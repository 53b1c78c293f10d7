export { buildApp } from "npm:fauxqs@2.4.1";
