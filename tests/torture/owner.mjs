/* Who dialled: the program that holds the other end of a connection on this machine. */
import fs from 'node:fs';

const hex = (port) => port.toString(16).toUpperCase().padStart(4, '0');

/* The socket from `from` to `to` on 127.0.0.1, by the kernel's table; undefined when it is gone. */
function inodeOf(from, to) {
  const ends = `:${hex(from)} 0100007F:${hex(to)} `;
  const line = fs.readFileSync('/proc/net/tcp', 'latin1').split('\n').find((each) => each.includes(ends));
  return line?.trim().split(/\s+/)[9];
}

function holds(pid, inode) {
  try {
    return fs.readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return fs.readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`;
      } catch {
        return false; // closed meanwhile
      }
    });
  } catch {
    return false; // ended meanwhile
  }
}

/* The name of the program among `programs` ([{name, pid}]) that dialled from port `from` to port `to`. */
export function ownerOf(from, to, programs) {
  if (programs.length === 0 || !from) return undefined;
  const inode = inodeOf(from, to);
  return inode && programs.find(({ pid }) => holds(pid, inode))?.name;
}
