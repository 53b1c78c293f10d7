import { Readable } from "node:stream";
// @ts-types="@types/busboy"
// @ts-types="npm:@types/busboy@1.5.4"
import busboy from "busboy";
import { AppError } from "../../lib/errors.ts";
import { patient } from "../../contract/body.ts";

export interface MultipartRules {
  /** The field of the files. */
  files: string;
  mostFiles: number;
  /** Text fields, with how often each may occur. */
  fields: Readonly<Record<string, number>>;
}

/** Bytes per text field: 4,000 four-byte characters, with a margin. */
const MAX_FIELD_LENGTH = 20_000;

/**
 * Reads multipart/form-data (RFC 7578) as a stream: each file's bytes go to `take`, one file after another. Resolves
 * with the text fields when everything is read. Throws `validation`, `invalid-body` or what `take` threw.
 */
export async function readMultipart(
  request: Request,
  rules: MultipartRules,
  take: (file: { name: string; index: number; body: ReadableStream<Uint8Array> }) => Promise<void>,
): Promise<Record<string, string[]>> {
  if (!request.body) throw new AppError("invalid-body", "The request has no body");
  const parser = parserFor(request, rules);
  const source = Readable.from(patient(request.body), { objectMode: false });
  const fields = new Map<string, string[]>();
  let index = 0;
  let taken = Promise.resolve();
  /** The error of the body itself. The error of its last file is then a consequence. */
  let broken: AppError | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const breaks = (error: unknown) => {
        broken ??= error instanceof AppError ? error : malformed(error);
        void taken.then(() => reject(broken), () => {});
      };
      parser.on("field", (name, value, { nameTruncated, valueTruncated }) => {
        if (nameTruncated || valueTruncated) {
          return reject(field(name.slice(0, 100), "too_long", "Expected a shorter field"));
        }
        // Own properties only: clients choose the names of fields.
        const most = Object.hasOwn(rules.fields, name) ? rules.fields[name]! : 0;
        if (most === 0) return reject(unknownField(name));
        const values = fields.get(name) ?? [];
        fields.set(name, values);
        if (values.push(value) > most) reject(field(name, "too_many", `Expected at most ${most}`));
      });
      parser.on("file", (name, stream, { filename }) => {
        // The reader of the file gets the error, too.
        stream.on("error", () => {});
        if (name !== rules.files) return reject(unknownField(name));
        // Not `Readable.toWeb`, which throws uncaught errors if a file continues after it was abandoned.
        const body = ReadableStream.from(stream as AsyncIterable<Uint8Array>);
        const file = { name: filename ?? "", index: index++, body };
        taken = taken.then(() => take(file));
        taken.catch((error) => reject(isValidation(error) ? error : broken ?? error));
      });
      parser.on(
        "filesLimit",
        () => reject(field(rules.files, "too_many", `Expected at most ${rules.mostFiles} files`)),
      );
      for (const limit of ["partsLimit", "fieldsLimit"] as const) {
        parser.on(limit, () => reject(new AppError("invalid-body", "The multipart body has too many parts")));
      }
      parser.on("error", breaks);
      parser.on("close", () => broken ?? resolve());
      source.on("error", (error) => {
        breaks(error);
        parser.destroy(error);
      });
      source.pipe(parser);
    });
    await taken;
    return Object.fromEntries(fields);
  } catch (error) {
    source.unpipe(parser);
    parser.destroy();
    source.destroy();
    await taken.catch(() => {});
    throw error;
  }
}

function parserFor(request: Request, { mostFiles, fields }: MultipartRules): busboy.Busboy {
  const most = Object.values(fields).reduce((sum, count) => sum + count, 0);
  try {
    return busboy({
      headers: { "content-type": request.headers.get("content-type") ?? "" },
      defParamCharset: "utf8",
      limits: {
        fieldNameSize: 100,
        fieldSize: MAX_FIELD_LENGTH,
        fields: most + 1,
        files: mostFiles + 1,
        parts: most + mostFiles + 2,
      },
    });
  } catch (error) {
    throw malformed(error);
  }
}

function malformed(cause: unknown): AppError {
  return new AppError("invalid-body", "The body is not complete multipart/form-data", { cause });
}

function isValidation(error: unknown): boolean {
  return error instanceof AppError && error.code === "validation";
}

function unknownField(name: string): AppError {
  return field(name.slice(0, 100), "unknown_field", "Unknown field");
}

function field(path: string, rule: string, message: string): AppError {
  return new AppError("validation", undefined, { errors: [{ path, rule, message }] });
}
