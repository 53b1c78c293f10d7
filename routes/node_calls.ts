import {
  callId,
  MAX_SEALED_BYTES,
  NODE_CALL_HEADER,
  NODE_CALL_PATH,
  openCall,
  sealAnswer,
} from "../actors/node_http.ts";
import { readBytes } from "../contract/body.ts";
import { AppError } from "../lib/errors.ts";
import { addressOf, type Api } from "./http/endpoint.ts";

/**
 * Calls of other nodes, for when the bus does not deliver. Only a process with the installation's secret can make one;
 * for anybody else the path does not exist. Also answered while the node drains, because it may still have actors.
 */
export function nodeCallRoute({ app, ctx, bodies }: Pick<Api, "app" | "ctx" | "bodies">): void {
  // For all methods: a 405 would say that there is something.
  app.all(NODE_CALL_PATH, async (c) => {
    const id = c.req.method === "POST" ? callId(ctx.secret, c.req.header(NODE_CALL_HEADER)) : undefined;
    const call = id === undefined
      ? undefined
      : openCall(ctx.secret, id, await readBytes(c.req.raw, { bodies, address: addressOf(c) }, MAX_SEALED_BYTES));
    if (id === undefined || call === undefined) throw new AppError("not-found", "No endpoint has this path");
    // Nothing was done here, and the other node did not receive it over this way.
    if (!ctx.calls.isFor(call)) return new Response(null, { status: 421 });
    const answer = sealAnswer(ctx.secret, id, await ctx.calls.answer(call));
    return new Response(answer as Uint8Array<ArrayBuffer>, { headers: { "content-type": "application/octet-stream" } });
  });
}
