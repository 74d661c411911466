/* Little memory for a running program: by a cgroup, whose limit the kernel enforces by SIGKILL, or by the data it may have, where
 * allocations fail and the program ends itself. lift() takes the limit away from whoever outlived it. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const GROUPS = [
  { folder: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes' }, // version 1
  { folder: '/sys/fs/cgroup', limit: 'memory.max' }, // version 2
];

/* A cgroup of our own with this limit; undefined where none can be made. */
function groupOf(bytes) {
  for (const { folder, limit } of GROUPS) {
    const own = path.join(folder, `callboard-torture-${process.pid}-${Date.now()}`);
    try {
      if (!fs.existsSync(path.join(folder, 'cgroup.procs'))) continue;
      fs.mkdirSync(own);
      fs.writeFileSync(path.join(own, limit), String(bytes));
      return { own, folder };
    } catch {
      removeGroup(own);
    }
  }
  return undefined;
}

function removeGroup(own) {
  try {
    fs.rmdirSync(own);
  } catch {
    // It was not made, or somebody is ending in it still; it is empty then and harms nobody.
  }
}

let reason;
/* Undefined where the kernel can be told to kill for memory, else why not. */
export function whyNoGroup() {
  if (reason === undefined) {
    const group = groupOf(1 << 30);
    reason = group ? null : 'no cgroup with a memory limit can be made here';
    if (group) removeGroup(group.own);
  }
  return reason ?? undefined;
}

/* What is asked for from now on, beyond `bytes`, has it killed. What it has already is not counted. */
export function limitByGroup({ pid }, bytes) {
  const { own, folder } = groupOf(bytes);
  fs.writeFileSync(path.join(own, 'cgroup.procs'), String(pid));
  return {
    lift(isAlive) {
      if (isAlive) fs.writeFileSync(path.join(folder, 'cgroup.procs'), String(pid));
      removeGroup(own);
    },
  };
}

const prlimit = (pid, bytes) => execFileSync('prlimit', ['--pid', String(pid), `--data=${bytes}:`]);

/* So much more than it has now that it may write to: whatever it asks for beyond is refused. */
export function limitByData({ pid }, bytes) {
  const [, kib] = fs.readFileSync(`/proc/${pid}/status`, 'latin1').match(/^VmData:\s+(\d+) kB$/m);
  prlimit(pid, Number(kib) * 1024 + bytes);
  return {
    lift(isAlive) {
      if (isAlive) prlimit(pid, 'unlimited');
    },
  };
}
