#!/usr/bin/python3
"""What a history costs Redis in memory and on disk: for the table of constants of `callboard-operator plan`.

    tests/bench/kept_sizes.py

Real appends (scripts/append.lua, packed as append_script.py does, one publication a call) into 1,000 channels of a Redis of its own with an
append-only file. Prints for each size of publication, number of them a channel and stream-node-max-bytes what used_memory grew by for each
channel, what a publication took of it beyond its payload where streams are dense, and the bytes of the file for each publication.
"""
import os
import shutil
import tempfile

import append_script


class Redis(append_script.Redis):
    def field(self, section, name):
        return int(next(line for line in self.ask("INFO", section).decode().splitlines() if line.startswith(name + ":")).split(":")[1])


def measure(payload, entries, node_bytes):
    append_script.PUBLICATION = append_script.PUBLICATION[:33] + b"x" * payload
    folder = tempfile.mkdtemp()
    os.chdir(folder)  # where Redis puts its file
    redis = Redis()
    try:
        for key, value in (("stream-node-max-bytes", node_bytes), ("auto-aof-rewrite-percentage", 0), ("appendonly", "yes")):
            redis.ask("CONFIG", "SET", key, value)
        writer = append_script.Writer(redis, 1, 1)
        memory, disk = redis.field("memory", "used_memory"), redis.field("persistence", "aof_current_size")
        writer.run(append_script.CHANNELS * entries)
        return (redis.field("memory", "used_memory") - memory) / append_script.CHANNELS, (redis.field("persistence", "aof_current_size") - disk) / append_script.CHANNELS / entries
    finally:
        redis.process.kill()
        redis.process.wait()
        shutil.rmtree(folder)


def main():
    for payload in (100, 200, 1000):
        for node_bytes in (4096, 1024):
            one, few, many = (measure(payload, entries, node_bytes) for entries in (1, 20, 200))
            print(f"payload {payload}, stream-node-max-bytes {node_bytes}: a channel with 1 / 20 / 200 publications {one[0]:,.0f} / {few[0]:,.0f} / {many[0]:,.0f} B; "
                  f"each beyond its payload, dense {(many[0] - few[0]) / 180 - payload:,.1f} B; of the file {many[1]:,.0f} B each, {many[1] - payload:,.0f} beyond its payload")


if __name__ == "__main__":
    main()
