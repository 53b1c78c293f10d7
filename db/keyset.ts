export interface After {
  at: string;
  id: string;
}
