/* Follows one direction of a ZeroMQ connection (ZMTP 3, without encryption) frame by frame, and leaves out whole messages: what ZeroMQ
 * itself never does, and a link has to notice by its own numbers. */

const GREETING = 64;
const MORE = 1;
const LONG = 2;
const COMMAND = 4;

export class MessageFilter {
  constructor() {
    this.rest = Buffer.alloc(0);
    this.greeting = GREETING; // bytes of it that are still to come; they pass as they come, for either side waits for the other's
    this.message = [];
    this.dropped = 0;
  }

  /* What passes of these bytes, with what waited for its end. drops: (bytes of a whole message) → boolean, or null: all pass. */
  pass(bytes, drops) {
    const greeted = bytes.subarray(0, this.greeting);
    const more = bytes.subarray(greeted.length);
    this.greeting -= greeted.length;
    this.rest = this.rest.length > 0 ? Buffer.concat([this.rest, more]) : more;
    const out = [greeted];
    for (let frame; (frame = this.next()); ) {
      if (frame.isCommand) {
        out.push(frame.bytes);
        continue;
      }
      this.message.push(frame.bytes);
      if (frame.more) continue;
      const size = this.message.reduce((sum, each) => sum + each.length, 0);
      if (drops?.(size)) this.dropped += 1;
      else out.push(...this.message);
      this.message = [];
    }
    return Buffer.concat(out);
  }

  next() {
    const { rest } = this;
    if (rest.length < 2) return undefined;
    const flags = rest[0];
    if (flags & LONG && rest.length < 9) return undefined;
    const size = flags & LONG ? 9 + Number(rest.readBigUInt64BE(1)) : 2 + rest[1];
    return this.take(size, { isCommand: (flags & COMMAND) !== 0, more: (flags & MORE) !== 0 });
  }

  take(size, frame) {
    if (this.rest.length < size) return undefined;
    frame.bytes = this.rest.subarray(0, size);
    this.rest = this.rest.subarray(size);
    return frame;
  }
}
