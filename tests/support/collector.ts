/** A collector of OpenTelemetry: receives spans as OTLP over HTTP, in JSON. */

export interface CollectedSpan {
  /** `service.name` of the process. */
  service: string;
  traceId: string;
  spanId: string;
  /** Empty at the root. */
  parentSpanId: string;
  name: string;
  /** 1: internal, 2: server, 3: client. */
  kind: number;
  attributes: Record<string, string>;
}

interface Attribute {
  key: string;
  value: { stringValue?: string; intValue?: string | number; doubleValue?: number };
}

interface Export {
  resourceSpans?: {
    resource: { attributes: Attribute[] };
    scopeSpans: { spans: (Omit<CollectedSpan, "service" | "attributes"> & { attributes: Attribute[] })[] }[];
  }[];
}

export class Collector implements AsyncDisposable {
  readonly spans: CollectedSpan[] = [];
  readonly #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const text = await request.text();
    if (new URL(request.url).pathname === "/v1/traces") this.#take(JSON.parse(text) as Export);
    return Response.json({});
  });

  /** The settings of a process that exports to it. */
  settings(service: string): Record<string, string> {
    return {
      OTEL_DENO: "true",
      OTEL_SERVICE_NAME: service,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_BSP_SCHEDULE_DELAY: "100",
    };
  }

  of(traceId: string): CollectedSpan[] {
    return this.spans.filter((span) => span.traceId === traceId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  #take({ resourceSpans = [] }: Export): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = plain(resource.attributes)["service.name"] ?? "";
      for (const { spans } of scopeSpans) {
        for (const { traceId, spanId, parentSpanId, name, kind, attributes } of spans) {
          this.spans.push({ service, traceId, spanId, parentSpanId, name, kind, attributes: plain(attributes) });
        }
      }
    }
  }
}

function plain(attributes: readonly Attribute[]): Record<string, string> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, String(value.stringValue ?? value.intValue ?? value.doubleValue)]),
  );
}
