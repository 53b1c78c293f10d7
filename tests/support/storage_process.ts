/** The storage service as a process of its own, which a test may kill and start again on the same folder and port. */
import { RestStorage } from "../../services/storage/rest_storage.ts";
import { boundToParent } from "./servers.ts";

const ENTRY = new URL("../../workers/children/storage.ts", import.meta.url).pathname;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
export const TOKEN = "a token for tests";

export class StorageProcess implements AsyncDisposable {
  url = "";
  #child: Deno.ChildProcess | undefined;

  private constructor(
    readonly folder: string,
    private readonly maxEntries: number,
    private readonly token: string,
  ) {}

  static async start({ maxEntries = 1000, token = TOKEN } = {}): Promise<StorageProcess> {
    const folder = await Deno.makeTempDir({ prefix: "rookery-storage-" });
    const process = new StorageProcess(folder, maxEntries, token);
    try {
      await process.restart();
    } catch (error) {
      await process[Symbol.asyncDispose]();
      throw error;
    }
    return process;
  }

  /** A client of it; the caller closes it. */
  client({ token = this.token, answerMs = 10_000 } = {}): RestStorage {
    return new RestStorage({ url: this.url, token, answerMs });
  }

  async restart(): Promise<void> {
    await this.kill();
    const [program, args] = boundToParent([Deno.execPath(), "run", "-A", "--no-check", "--config", CONFIG, ENTRY]);
    const child = new Deno.Command(program, {
      args,
      env: {
        STORAGE_PORT: this.url === "" ? "0" : new URL(this.url).port,
        STORAGE_FOLDER: this.folder,
        STORAGE_MAX_ENTRIES: String(this.maxEntries),
        STORAGE_TOKEN: this.token,
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#child = child;
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    if (!value) throw new Error("The storage process ended before it was ready");
    const { port } = JSON.parse(new TextDecoder().decode(value)) as { port: number };
    this.url = `http://127.0.0.1:${port}`;
  }

  signal(name: Deno.Signal): void {
    this.#child?.kill(name);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child) return;
    child.kill("SIGKILL");
    await child.status;
    await child.stdin.close().catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.folder, { recursive: true });
  }
}
