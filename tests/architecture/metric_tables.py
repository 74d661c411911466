"""The metrics that the code counts, read from the tables themselves: each `const struct metric_description NAME[…] = {…};` of base,
broker and gateway as the preprocessor leaves it, so that rows made by macros are read as the compiler reads them. check_docs.py puts
them into docs/metrics.md.
"""
import concurrent.futures
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = {"base": "all", "broker": "broker", "gateway": "gateway"}
TABLE = re.compile(r"\bstruct metric_description\s+\w+\s*\[[^\]]*\]\s*=\s*\{")
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{},]|[^\s"{},]+|\s+')
TYPES = {"METRIC_COUNTER": "counter", "METRIC_GAUGE": "gauge", "METRIC_GAUGE_MAX": "gauge, largest", "METRIC_HISTOGRAM": "histogram"}


def preprocessed(path):
    result = subprocess.run(["cc", "-E", "-P", "-std=c11", "-D_GNU_SOURCE", '-DCALLBOARD_VERSION="…"', "-I", str(ROOT), "-I", str(path.parent), str(path)],
                            capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise SystemExit(f"{path.relative_to(ROOT)}: the preprocessor does not take it:\n{result.stderr[:2000]}")
    return result.stdout


def text_of(tokens):
    """Adjacent literals are one string; NULL and nothing are ''."""
    words = [token[1:-1] for token in tokens if token.startswith('"')]
    return re.sub(r"\\(.)", r"\1", "".join(words))


def rows_of(tokens):
    """Rows up to the brace that ends the table: [(name, help, type, labels)]."""
    rows, depth, fields = [], 1, [[]]
    for token in tokens:
        if token == "{":
            depth += 1
            fields = [[]]
        elif token == "}":
            depth -= 1
            if depth == 0:
                return rows
            rows.append(fields)
            fields = [[]]
        elif token == "," and depth == 2:
            fields.append([])
        elif depth == 2 and not token.isspace():
            fields[-1].append(token)
    raise SystemExit("a table of metrics without an end")


def described(fields, where):
    by_name = {}
    for position, tokens in enumerate(fields):
        if tokens and tokens[0].startswith("."):
            by_name[tokens[0][1:]] = tokens[2:] if tokens[1] == "=" else tokens[1:]
        elif tokens:
            by_name[("name", "help", "type", "labels")[position]] = tokens
    type_ = by_name.get("type", ["METRIC_COUNTER"])[0]
    if type_ not in TYPES:
        raise SystemExit(f"{where}: no type of metric: {type_}")
    return text_of(by_name["name"]), text_of(by_name.get("help", [])), TYPES[type_], text_of(by_name.get("labels", []))


def metrics_of(path):
    text = preprocessed(path)
    found = []
    for match in TABLE.finditer(text):
        tokens = (token.group(0) for token in TOKEN.finditer(text, match.end()))
        found += [(*described(fields, path), PROGRAMS[path.relative_to(ROOT).parts[0]]) for fields in rows_of(tokens)]
    if not found:
        raise SystemExit(f"{path.relative_to(ROOT)}: its table of metrics cannot be read")
    return found


def read_metrics():
    """name → {help, type, labels: {label: {value}}, programs}"""
    paths = [path for folder in PROGRAMS for path in sorted((ROOT / folder).rglob("*.c"))
             if re.search(r"struct metric_description \w+\[[^\]]*\] = \{", path.read_text())]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        rows = [row for found in pool.map(metrics_of, paths) for row in found]
    metrics = {}
    for name, help_, type_, labels, program in rows:
        metric = metrics.setdefault(name, {"help": help_, "type": type_, "labels": {}, "programs": set()})
        metric["programs"].add(program)
        for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels):
            metric["labels"].setdefault(label, {})[value] = True
    return metrics


def cell(text):
    return text.replace("|", "\\|")


def table():
    lines = ["| name | of | type | labels | what it counts |", "| --- | --- | --- | --- | --- |"]
    for name, metric in sorted(read_metrics().items()):
        labels = "; ".join(f"`{label}`: {', '.join(values)}" for label, values in metric["labels"].items())
        of = ", ".join(sorted(metric["programs"]))
        lines.append(f"| `{name}` | {of} | {metric['type']} | {cell(labels)} | {cell(metric['help'])} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
