/**
 * Ownership of partitions. The lease allows a node's caches, the epoch in Postgres allows its writes. Acquiring a
 * partition raises its epoch after all statements under the old one have ended, so a former owner can write nothing.
 */
export interface PartitionLeases extends AsyncDisposable {
  /** Acquires these partitions (0 … 63) and raises their epochs. */
  acquire(partitions: readonly number[]): Promise<Grant[]>;
}

export interface Grant {
  partition: number;
  epoch: number;
}
