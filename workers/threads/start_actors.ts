import type { HostThread } from "../../actors/runtime/pool.ts";
import type { WorkerInit } from "./actors.ts";
import type { FromWorker, ToWorker } from "../../actors/runtime/protocol.ts";

/** Starts `workers/threads/actors.ts` and resolves when it has connected. */
export function startWorkerThread(init: WorkerInit): Promise<HostThread> {
  const worker = new Worker(new URL("./actors.ts", import.meta.url), {
    type: "module",
    name: "actors",
  });
  const deaths: ((reason: string) => void)[] = [];
  let listener: ((messages: FromWorker[]) => void) | undefined;
  const early: FromWorker[] = [];
  return new Promise((resolve, reject) => {
    const thread: HostThread = {
      post: (messages: ToWorker[]) => worker.postMessage(JSON.stringify(messages)),
      onMessages: (listen) => {
        listener = listen;
        listen(early.splice(0));
      },
      onDeath: (listen) => deaths.push(listen),
      terminate: () => worker.terminate(),
    };
    worker.onmessage = ({ data }: MessageEvent<FromWorker[]>) => {
      if (listener) return listener(data);
      early.push(...data);
      if (data.some((message) => message.type === "ready")) resolve(thread);
    };
    const died = (reason: string) => {
      reject(new Error(reason));
      for (const listen of deaths) listen(reason);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      died(event.message);
    };
    worker.onmessageerror = () => died("a message could not be read");
    worker.postMessage(init);
  });
}
