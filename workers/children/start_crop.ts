/** The entry of a crop process. `services/images/crop/process.ts` starts it with the permissions it needs. */
export const CROP_ENTRY = new URL("./crop.ts", import.meta.url);
