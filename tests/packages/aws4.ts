// @ts-types="npm:@types/aws4@1.11.6"
export { default } from "npm:aws4@1.13.2";
