/** What the nodes of a load share and no fault ends: the jobs with their storage, a mail server, and the fake VK. */
import { type FakeServer, startFakeServer } from "../../services/vk/fake/server.ts";
import type { Cluster } from "./cluster.ts";
import { emptyFolder, NodeProcess } from "./node_process.ts";
import { freePort } from "./servers.ts";
import { SmtpTrap } from "./smtp_trap.ts";

export class FailoverServices implements AsyncDisposable {
  private constructor(
    private readonly stack: AsyncDisposableStack,
    readonly mail: SmtpTrap,
    readonly vk: FakeServer,
    private readonly storagePort: string,
  ) {}

  static async open(): Promise<FailoverServices> {
    await using stack = new AsyncDisposableStack();
    const mail = stack.use(await SmtpTrap.open());
    const vk = stack.use(await startFakeServer());
    return new FailoverServices(stack.move(), mail, vk, String(await freePort()));
  }

  /** The settings of the nodes. Nobody signs in again, however long the run is. */
  get settings(): Record<string, string> {
    const STORAGE_URL = `http://127.0.0.1:${this.storagePort}`;
    return { STORAGE_URL, VK_API_URL: this.vk.url, ACCESS_TOKEN_TTL: "12h" };
  }

  /** Starts the jobs of this cluster. */
  async serve({ nodes, nats }: Cluster): Promise<void> {
    const { DATABASE_URL, REDIS_URL } = nodes[0]!.settings as { DATABASE_URL: string; REDIS_URL: string };
    this.stack.use(
      await NodeProcess.on(await emptyFolder(), {
        ROLES: "jobs,storage",
        DATABASE_URL,
        REDIS_URL,
        NATS_URL: nats.url,
        STORAGE_PORT: this.storagePort,
        CROP_PROCESSES: "1",
        SMTP_URL: this.mail.url,
        MAIL_FROM: "Rookery <noreply@rookery.test>",
        PUBLIC_URL: nodes[0]!.url,
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.disposeAsync();
  }
}
