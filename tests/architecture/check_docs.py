#!/usr/bin/env python3
"""The documentation says what the code says: tables that come from the code stand in the docs as the code has them, metrics and
log events that it names exist, links lead somewhere, and the ports of README are the settings' defaults. --write puts the tables in; without it a difference is an error.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ["docs/backend-api.md", "docs/client-protocol.md"]
TABLE = re.compile(r"(<!-- error codes: printed from base/error_code\.h.*?-->\n).*?(<!-- end of error codes -->)", re.S)
ROW = re.compile(r'X\((\w+), (\d+), "(\w+)", "([^"]+)", (true|false), (true|false)\)')
CHECKS = re.compile(r"(<!-- checks: printed from .*?-->\n).*?(<!-- end of checks -->)", re.S)
CHECK_SOURCES = ["tools/ctl_doctor_checks.h", "broker/redis/redis_settings.h"]
CHECK_ROW = re.compile(r'X\((\w+),\s*"([^"]+)",\s*"([^"]+)",\s*\\?\s*"([^"]+)"\)')
PORTS = {"8000": ("gateway/gateway_config.c", "http.port"), "9000": ("gateway/gateway_config.c", "internal.port"),
         "9001": ("broker/broker_config.c", "internal.port"), "7700": ("broker/broker_config.c", "broker.endpoint"),
         "7710": ("broker/broker_config.c", "backend.endpoint"), "7711": ("broker/broker_config.c", "backend.pull_endpoint")}


def error_table():
    rows = ROW.findall((ROOT / "base/error_code.h").read_text())
    lines = ["| code | reason | message | temporary | definite |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {code} | `{reason}` | {message} | {'yes' if temporary == 'true' else 'no'} | {'yes' if definite == 'true' else 'no'} |"
              for _, code, reason, message, temporary, definite in rows]
    return "\n".join(lines) + "\n"


def check_tables(write):
    for page in PAGES:
        path = ROOT / page
        text = path.read_text()
        wanted = TABLE.sub(lambda match: match.group(1) + error_table() + match.group(2), text)
        if not TABLE.search(text):
            yield f"{page}: has no place for the error codes"
        elif wanted != text:
            if write:
                path.write_text(wanted)
            else:
                yield f"{page}: the error codes are not those of base/error_code.h; run tests/architecture/check_docs.py --write"


def checks_table():
    lines = ["| id | what is checked | what it means when it is not fine |", "| --- | --- | --- |"]
    for source in CHECK_SOURCES:
        rows = CHECK_ROW.findall((ROOT / source).read_text())
        if not rows:
            raise SystemExit(f"{source}: no checks found")
        lines += [f"| `{id_}` | {checks} | {means} |" for _, id_, checks, means in rows]
    return "\n".join(lines) + "\n"


def check_checks(write):
    path = ROOT / "docs/operations.md"
    text = path.read_text()
    wanted = CHECKS.sub(lambda match: match.group(1) + checks_table() + match.group(2), text)
    if not CHECKS.search(text):
        yield "docs/operations.md: has no place for the checks of doctor"
    elif wanted != text:
        if write:
            path.write_text(wanted)
        else:
            yield "docs/operations.md: the checks are not those of the code; run tests/architecture/check_docs.py --write"


def check_names():
    """Metrics and log events that operations.md speaks of are counted and logged somewhere."""
    page = (ROOT / "docs/operations.md").read_text()
    sources = "".join(path.read_text() for folder in ("base", "broker", "gateway") for path in (ROOT / folder).rglob("*.c"))
    events = re.search(r"\| log event \|.*?\n\n", page + "\n\n", re.S).group(0)
    names = [*re.findall(r"`(callboard_[a-z_]+)", page), *re.findall(r"^\| `([a-z_]+)` \|", events, re.M)]
    for name in sorted(set(names)):
        if f'"{name}"' not in sources:
            yield f"docs/operations.md: speaks of {name}, which is neither counted nor logged"


def check_links():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "tests").glob("*/README.md"))]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith("http") and not (page.parent / target).exists():
                yield f"{page.relative_to(ROOT)}: the link {target} leads nowhere"


def check_ports():
    readme = (ROOT / "README.md").read_text()
    for port, (source, key) in PORTS.items():
        if f"| {port} |" not in readme:
            yield f"README.md: port {port} is missing from the table"
        if not re.search(rf'"{re.escape(key)}"[^;]*?default_text = "[^"]*{port}"', (ROOT / source).read_text(), re.S):
            yield f"README.md: port {port} is not the default of {key} in {source}"


if __name__ == "__main__":
    write = "--write" in sys.argv
    found = [*check_tables(write), *check_checks(write), *check_names(), *check_links(), *check_ports()]
    print("\n".join(found) if found else "docs: they say what the code says")
    sys.exit(1 if found else 0)
