import { EventEmitter } from "node:events";

/** The part of a socket that a connection uses, without a kernel. It discards what is written. */
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
