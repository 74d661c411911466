#!/usr/bin/env python3
"""Every `aws` line of the notes goes through the aws CLI itself, which refuses flags and forms that it does not know. No network, no account.

    tests/notes/check_aws_lines.py BUILD

The CLI is the one that AWS_CLI names or that is installed; without one this says so and is skipped (77). One from before 2026 knows no
--durability: it is given the lines without that flag."""
import os
import re
import shlex
import shutil
import subprocess
import sys

BASE = ["redis.mode=external", "redis.external.provider=elasticache", "redis.external.endpoint=a.b.cache.amazonaws.com:6379"]
CASES = [
    ["profile=elasticache", "redis.external.durability=sync", "redis.external.auth.secretRef.name=a"],
    ["profile=elasticache", "redis.external.durability=async", "redis.external.auth.iam=true", "redis.external.region=eu-central-1",
     "redis.external.userGroup=push", "redis.external.subnetGroup=inner", "redis.external.securityGroups=sg-1,sg-2"],
    ["profile=ha", "redis.external.clusterMode=false", "redis.external.tls.enabled=false", "redis.external.replicasPerShard=0"],
    ["profile=ha", "redis.external.clusterMode=false", "redis.external.auth.secretRef.name=a", "redis.external.durability=disabled"],
]
SPEC = "apiVersion: callboard.dev/v1alpha1\nkind: Callboard\nmetadata: {name: shop}\nspec: {profile: ha}\n"


def aws_cli():
    for name in (os.environ.get("AWS_CLI"), shutil.which("aws")):
        if name and subprocess.run([name, "--version"], capture_output=True).returncode == 0:
            return name
    return None


def lines_of(build, case):
    settings = [word for setting in BASE + case for word in ("--set", setting)]
    run = subprocess.run([f"{build}/operator/callboard-operator", "notes", *settings, "-"], input=SPEC, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"notes {case}: {run.stderr}")
    text = "\n".join(re.findall(r"```sh\n(.*?)```", run.stdout, re.S)).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.startswith("aws ")]


def refusal(cli, words, environment):
    run = subprocess.run([cli, *words, "--generate-cli-skeleton", "output"], capture_output=True, text=True, env=environment)
    return run.stderr.strip() if run.returncode != 0 else None


def without_durability(words):
    at = words.index("--durability") if "--durability" in words else len(words)
    return words[:at] + words[at + 2:]


def main():
    cli = aws_cli()
    if cli is None:
        print("skipped: no aws CLI is installed (python3 -m pip install awscli==1.46.3 brings one; AWS_CLI names it)")
        return 77
    shapes = {}  # the same flags once: alarms differ by their metric only
    for line in (line for case in CASES for line in lines_of(sys.argv[1], case)):
        words = shlex.split(line)
        shapes.setdefault((*words[1:3], *sorted(word for word in words if word.startswith("--") or word.startswith("Type="))), line)
    lines = list(shapes.values())
    environment = {**os.environ, "AWS_DEFAULT_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true", "REDIS_PASSWORD": "x" * 32}
    probe = ["elasticache", "create-replication-group", "--replication-group-id", "a", "--replication-group-description", "a"]
    is_old = "Unknown options: --durability" in (refusal(cli, [*probe, "--durability", "sync"], environment) or "")
    bad = 0
    for line in lines:
        words = [os.path.expandvars(word) if "$REDIS_PASSWORD" in word else word for word in shlex.split(line)[1:]]
        refused = refusal(cli, without_durability(words) if is_old else words, environment)
        if refused is not None:
            bad += 1
            print(f"{line}\n  {refused}")
    print(f"{len(lines)} lines, {bad} refused by {cli}{', which knows no --durability: left out' if is_old else ''}")
    return 1 if bad or len(lines) < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
