import type { Socket } from "../../live/connection.ts";

/** A socket that only writes down what is sent by it. */
export class FakeSocket implements Socket {
  readyState: number = WebSocket.OPEN;
  bufferedAmount = 0;
  sent: string[] = [];
  closedWith: number | undefined;

  send(text: string): void {
    this.sent.push(text);
  }

  close(code: number): void {
    this.readyState = WebSocket.CLOSING;
    this.closedWith = code;
  }
}
