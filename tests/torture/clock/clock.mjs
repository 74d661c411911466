/* A wall clock that can be shifted, for one program: see shifted_clock.c. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { BUILD } from '../../e2e/support.mjs';

const LIBRARY = path.resolve(BUILD, 'tests/libshifted_clock.so');

/* Undefined where clocks of Redis servers can be shifted, else why not. */
export const whyNoShift = () => (fs.existsSync(LIBRARY) ? undefined : `${LIBRARY} is not built`);

export class Clock {
  constructor(file) {
    this.file = file;
    this.seconds = 0;
    this.advance(0);
  }

  /* For whom it is; nothing where it cannot be. */
  get env() {
    return whyNoShift() ? {} : { LD_PRELOAD: LIBRARY, SHIFTED_CLOCK_FILE: this.file };
  }

  /* In place: the file is mapped. */
  advance(seconds) {
    this.seconds += seconds;
    const bytes = Buffer.alloc(8);
    const write = os.endianness() === 'LE' ? 'writeBigInt64LE' : 'writeBigInt64BE';
    bytes[write](BigInt(Math.round(this.seconds * 1e9)));
    const file = fs.openSync(this.file, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
    fs.writeSync(file, bytes, 0, 8, 0);
    fs.closeSync(file);
  }
}
