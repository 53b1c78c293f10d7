import type { Bus } from "../../lib/bus/bus.ts";
import { LocalBus } from "../../lib/bus/local.ts";
import { NatsBus } from "../../lib/bus/nats.ts";
import type { Log } from "../../lib/log.ts";
import { BusSealing } from "../../security/bus_sealing.ts";
import type { Secret } from "../../security/secret.ts";

/** The bus of a process with the installation's secret. NATS is shared with others, so what crosses it is sealed. */
export function openBus(natsUrl: string | undefined, secret: Secret, log: Log): Bus {
  return natsUrl === undefined ? new LocalBus({ log }) : new NatsBus(natsUrl, { log, sealing: new BusSealing(secret) });
}
