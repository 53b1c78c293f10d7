import type { Writer } from "../../db/sql.ts";
import type { Grant, PartitionLeases } from "./partition_leases.ts";

/** One node owns every partition. Epochs still fence writes of a former process. */
export class LocalPartitionLeases implements PartitionLeases {
  constructor(private readonly sql: Writer) {}

  acquire(partitions: readonly number[]): Promise<Grant[]> {
    return this.sql.execute<Grant>(
      "update partitions set epoch = epoch + 1 where id = any($1::int[]) returning id as partition, epoch",
      [[...partitions]],
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
