export { default } from "npm:tarantool-driver@3.1.0";
