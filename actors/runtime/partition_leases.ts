/**
 * Who may run the actors of a partition. The lease licenses a node's caches; the epoch, kept in Postgres, licenses its
 * writes: taking a partition raises its epoch, after every statement under the old one has ended, so that a former owner
 * changes nothing any more.
 */
export interface PartitionLeases extends AsyncDisposable {
  /** Takes these partitions (0 … 63), raising their epochs. */
  acquire(partitions: readonly number[]): Promise<Grant[]>;
}

export interface Grant {
  partition: number;
  epoch: number;
}
