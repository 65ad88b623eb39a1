# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/PERFORMANCE.md, made of what bench/run --json wrote."""
import re

NAMES = {"neo-pgo": "neo, `make pgo`", "grpc-c++": "gRPC C++", "grpc-core": "gRPC core 1.85", "envoy": "Envoy"}
SIZES = {1024: "1 KiB", 65536: "64 KiB", 1 << 20: "1 MiB"}


def figure(value):
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}".replace(",", " ")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(figure(c) for c in row) + " |" for row in rows]


def ratio(mine, other, most):
    """In bold where the aim is reached."""
    if mine is None or not other:
        return "-"
    text = f"{mine / other:.2f}"
    return f"**{text}**" if mine / other <= most else text


def by_server(rows, key):
    return {r["server"]: r[key] for r in rows}


def servers_of(rows):
    found = list(dict.fromkeys(r["server"] for r in rows))
    ours = ("neo", "neo-pgo")
    return [s for s in found if s not in ours] + [s for s in ours if s in found]


def calls(rows):
    servers = servers_of(rows)
    over = [("neo", s, most) for s, most in (("floor", 1.3), ("grpc-c++", 1 / 6), ("tonic", 1 / 3)) if s in servers]
    if "neo-pgo" in servers and "floor" in servers:
        over.append(("neo-pgo", "floor", 1.3))
    body = []
    for shape in dict.fromkeys(r["shape"] for r in rows):
        us = by_server([r for r in rows if r["shape"] == shape], "us")
        body.append([shape.replace("x", " x ")] + [us.get(s) for s in servers] +
                    [ratio(us.get(mine), us.get(s), most) for mine, s, most in over])
    return table(["us of CPU a call"] + [NAMES.get(s, s) for s in servers] +
                 [f"{NAMES.get(mine, mine)} to {NAMES.get(s, s)} (aim {most:.2f})" for mine, s, most in over], body)


def latency(rows):
    return table(["server", "p50 us", "p99 us", "CPU us a call"],
                 [[NAMES.get(r["server"], r["server"]), r["p50_us"], r["p99_us"], r["cpu_us"]] for r in rows])


def stream(rows):
    servers = servers_of(rows)
    body = []
    for size in dict.fromkeys(r["size"] for r in rows):
        of = [r for r in rows if r["size"] == size]
        for key, what, scale in (("cpu_us", "CPU us a message", 1), ("messages_per_s", "messages/s", 1),
                                 ("messages_per_s", "MB/s", size / 1e6)):
            each = by_server(of, key)
            body.append([SIZES.get(size, str(size)), what] +
                        [each[s] * scale if s in each else None for s in servers])
    return table(["message", ""] + [NAMES.get(s, s) for s in servers], body)


def handshakes(rows):
    return table(["server", "CPU us", "of what openssl speed allows"],
                 [[NAMES.get(r["server"], r["server"]), r["cpu_us"], f"{r['least_us'] / r['cpu_us']:.2f}"]
                  for r in rows])


def idle(rows):
    return table(["server", "KiB for each idle connection"],
                 [[NAMES.get(r["server"], r["server"]), r["kib"]] for r in rows])


def many(rows):
    return table(["server", "CPU us a call, 100 connections", "very many", "ratio"],
                 [[r["server"], r["us_100"], f"{figure(r['us_many'])} ({r['connections']})",
                   f"{r['us_many'] / r['us_100']:.2f}"] for r in rows])


def clients(rows):
    names = list(dict.fromkeys(r["client"] for r in rows))
    body = []
    for flight in dict.fromkeys(r["in_flight"] for r in rows):
        of = {r["client"]: r["cpu_us"] for r in rows if r["in_flight"] == flight}
        body.append([str(flight)] + [of.get(n) for n in names] +
                    [ratio(of.get("neo"), of.get("grpc-c++"), 0.2), ratio(of.get("neo"), of.get("bare"), 0)])
    return table(["in flight"] + [NAMES.get(n, n) for n in names] + ["neo to gRPC C++ (aim 0.20)", "to the bare loop"],
                 body)


def workers(rows):
    words = {"apart": "two servers of one worker each", "together": "one server of two workers"}
    gain = next((r["gain"] for r in rows if r["what"] == "gain"), None)
    body = [[words[r["what"]], r["cpu_us"], r["share"]] for r in rows if r["what"] in words]
    return table(["", "CPU us a call", "share of the busier"], body) + [
        "", f"Two workers serve {figure(gain)} times what one alone would (aim: 1.85): the median of the "
            "rounds' own ratios, which the medians above do not give, by the share of the busier."]


def proxy(rows):
    floor = next((r["us"] for r in rows if r["server"] == "floor"), None)
    words = {"floor": "floor, asked directly"}
    return table(["8 x 32", "CPU us a call", "to the floor"],
                 [[words.get(r["server"], NAMES.get(r["server"], r["server"])), r["us"], ratio(r["us"], floor, 0)]
                  for r in rows])


MAKERS = {f.__name__: f for f in (calls, latency, stream, handshakes, idle, many, clients, workers, proxy)}


def caption(run):
    if run is None:
        return "*Of a run that did not say when and where.*"
    before, after = run["load"][0], run["load"][1]
    busy = "**on a busy machine** (load" if before > 1 or after > 3 else "on a quiet machine (load"
    minutes = round(run.get("minutes", 0))
    took = f" in {minutes} minute{'s' if minutes > 1 else ''}" if minutes >= 1 else ""
    return (f"*`{run['command']}`{took}, {run['date']}, {run['cores']} cores of {run['cpu']}, {busy} {before:.1f} before, "
            f"{after:.1f} after).*")


def tables(rows):
    """{name of the block: its lines} of one run; those with peers end in "-peers"."""
    run = next((r for r in rows if r["section"] == "run"), None)
    suffix = "-peers" if run is not None and run["peers"] else ""
    found = {}
    for name, make in MAKERS.items():
        of = [r for r in rows if r["section"] == name]
        if of:
            found[name + suffix] = [*make(of), "", caption(run)]
    return found


def put_into(text, blocks):
    """`text` with the blocks between their marks replaced; and the names of those without marks."""
    left = []
    for name, lines in blocks.items():
        marks = re.compile(rf"(<!-- table {re.escape(name)} -->\n).*?(<!-- end -->)", re.S)
        text, n = marks.subn(lambda m, t=lines: m.group(1) + "\n".join(t) + "\n" + m.group(2), text)
        if n == 0:
            left.append(name)
    return text, left
