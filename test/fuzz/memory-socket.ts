import { EventEmitter } from "node:events";

/** As much of a socket as a connection uses, without a kernel. What is written to it is gone. */
export class MemorySocket extends EventEmitter {
  writableLength = 0;
  connecting = false;
  destroyed = false;

  write(): boolean {
    return true;
  }

  cork(): void {}
  uncork(): void {}
  pause(): void {}
  resume(): void {}
  setTimeout(): void {}

  end(): void {
    this.destroy();
  }

  destroySoon(): void {
    this.destroy();
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    process.nextTick(() => this.emit("close"));
  }
}
