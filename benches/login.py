#!/usr/bin/env python3
"""What a whole login costs as a process: over TLS, against a server on loopback that costs nothing.

    benches/login.py                                the table, against curl
    benches/login.py --against 'name=command …'     against another program too; it gets the environment of the step
    benches/login.py --round-trip 100               the same with 100 ms between the job and both hosts, in round trips
    benches/login.py --check                        fails if size or instructions exceed benches/budget.json by over 3 %,
                                                    or if a login takes more than 4.5 round trips
    benches/login.py --accept                       writes them there, after a change that is worth it

Builds the release binary (musl, static) first. Needs Linux, nginx, openssl, curl and GNU time; valgrind for the
instructions; cargo-bloat for the list of crates. Times are medians of alternating runs, with the middle half of them beside.
"""

import argparse
import asyncio
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUDGET = ROOT / "benches" / "budget.json"
TOLERANCE = 1.03
# The limit for two dependent requests over TLS 1.3 is 4: TCP, TLS and the request to GitHub, then the exchange on a
# connection that is ready.
MOST_ROUND_TRIPS = 4.5
TARGET = f"{platform.machine()}-unknown-linux-musl"

# A token and a key as long as the real ones.
ID_TOKEN = f"{'h' * 140}.{'c' * 1500}.{'s' * 342}"
API_KEY = "k" * 84


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--runs", type=int, default=101)
    parser.add_argument("--round-trip", type=float, metavar="MS")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--accept", action="store_true")
    options = parser.parse_args()

    binary = build()
    with tempfile.TemporaryDirectory() as work:
        server = Server(Path(work))
        try:
            if options.check or options.accept:
                return budget(server, binary, options.accept)
            contestants = {"nuget-login": [str(binary)], "curl": server.curl()}
            contestants |= {name: shlex.split(command) for name, command in (it.split("=", 1) for it in options.against)}
            if options.round_trip:
                server.put_at_a_distance(options.round_trip)
                contestants["curl"] = server.curl()
                round_trips(server, contestants, min(options.runs, 11))
                return 0
            table(server, contestants, options.runs)
            print(f"\nbinary: {binary.stat().st_size:,} bytes; instructions: {instructions(server, binary) or 'no valgrind'}")
        finally:
            server.stop()
    crates()
    return 0


def build():
    # The very bytes of a release.
    subprocess.run(["sh", ".github/scripts/build-release", TARGET, "--quiet"], cwd=ROOT, check=True)
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return folder / TARGET / "release" / "nuget-login"


class Server:
    """Two hosts, as GitHub and nuget.org are two: nginx with two static answers over TLS."""

    def __init__(self, work):
        self.work = work
        self.certificates()
        # Ports that are free now; nginx cannot choose by itself.
        self.ports = free_ports(2)
        answers = [{"count": len(ID_TOKEN), "value": ID_TOKEN},
                   {"tokenType": "ApiKey", "expires": "2099-01-01T00:00:00.0000000+00:00", "apiKey": API_KEY}]
        hosts = "".join(
            f"server {{ listen 127.0.0.1:{port} ssl; location / {{ return 200 '{json.dumps(answer)}'; }} }}\n"
            for port, answer in zip(self.ports, answers))
        (work / "nginx.conf").write_text(f"""
            daemon off; pid {work}/pid; worker_processes 1; error_log {work}/error.log;
            events {{ }}
            http {{
                access_log off; default_type application/json;
                client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
                uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
                ssl_certificate {work}/server.pem; ssl_certificate_key {work}/server.key;
                ssl_protocols TLSv1.3; ssl_session_cache off; ssl_session_tickets off;
                {hosts}
            }}""")
        self.process = subprocess.Popen(["nginx", "-p", str(work), "-e", f"{work}/error.log", "-c", f"{work}/nginx.conf"])
        self.output = work / "output"
        self.wait()

    def put_at_a_distance(self, round_trip):
        """Milliseconds to both hosts and back, from now on."""
        self.round_trip = round_trip / 1e3
        self.ports = [relay(port, self.round_trip) for port in self.ports]

    def certificates(self):
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=self.work, check=True, capture_output=True)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *key, "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=Bench", "-days", "2")
        openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
        (self.work / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial",
                "-out", "server.pem", "-days", "2", "-extfile", "names")

    def wait(self):
        for _ in range(200):
            if subprocess.run(self.curl(), capture_output=True).returncode == 0:
                return
            time.sleep(0.02)
        sys.exit((self.work / "error.log").read_text())

    def urls(self):
        return f"https://localhost:{self.ports[0]}/token?api-version=2.0", f"https://localhost:{self.ports[1]}/api/v2/token"

    def environment(self):
        id_token, exchange = self.urls()
        return {
            "PATH": os.environ["PATH"],
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(self.output),
            "ACTIONS_ID_TOKEN_REQUEST_URL": id_token,
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token",
            "INPUT_USER": "contoso-bot",
            "INPUT_TOKEN_SERVICE_URL": exchange,
            # As a JavaScript action has it.
            "INPUT_TOKEN-SERVICE-URL": exchange,
            "INPUT_AUDIENCE": "https://www.nuget.org",
            "NODE_EXTRA_CA_CERTS": str(self.work / "root.pem"),
        }

    def curl(self):
        """The same two requests in one process, and nothing made of the answers."""
        id_token, exchange = self.urls()
        common = ["--silent", "--fail", "--cacert", str(self.work / "root.pem"), "--http1.1", "--output", "/dev/null"]
        return ["curl", *common, "-H", "Authorization: Bearer request-token", id_token + "&audience=x",
                "--next", *common, "-H", f"Authorization: Bearer {ID_TOKEN}", "-H", "Content-Type: application/json",
                "--data", '{"username":"contoso-bot","tokenType":"ApiKey"}', exchange]

    def stop(self):
        self.process.terminate()
        self.process.wait()


def relay(port, round_trip):
    """A port that leads to another one: a new connection takes one round trip, and each byte half of one."""

    async def pump(reader, writer, ready):
        # Each piece arrives half a round trip after it was sent, whatever is on the way before it.
        pieces = asyncio.Queue()

        async def deliver():
            while (piece := await pieces.get()) is not None:
                at, data = piece
                await asyncio.sleep(max(0, at - time.perf_counter()))
                writer.write(data)
                await writer.drain()
            writer.close()

        delivering = asyncio.create_task(deliver())
        while data := await reader.read(65536):
            await pieces.put((max(ready, time.perf_counter()) + round_trip / 2, data))
        await pieces.put(None)
        await asyncio.gather(delivering, return_exceptions=True)

    async def serve(reader, writer):
        ready = time.perf_counter() + round_trip
        there = await asyncio.open_connection("127.0.0.1", port)
        ends = [pump(reader, there[1], ready), pump(there[0], writer, ready)]
        await asyncio.gather(*ends, return_exceptions=True)

    own = free_ports(1)[0]
    loop = asyncio.new_event_loop()
    loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", own))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return own


def free_ports(count):
    import socket
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [it.getsockname()[1] for it in sockets]
    for it in sockets:
        it.close()
    return ports


def spent(server, command):
    """Seconds of one run, which has to succeed."""
    server.output.write_text("")
    with open(server.work / "log", "wb") as log:
        began = time.perf_counter()
        code = subprocess.call(command, env=server.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        ended = time.perf_counter()
    if code != 0:
        sys.exit(f"{command[0]} failed:\n{(server.work / 'log').read_text()}")
    return ended - began


def peak_memory(server, command):
    """KiB, median of five. GNU time starts the program: what a child of this script had before would count too."""
    file = server.work / "memory"
    def peak():
        spent(server, ["/usr/bin/time", "-f", "%M", "-o", str(file), *command])
        return int(file.read_text())
    return statistics.median(peak() for _ in range(5))


def table(server, contestants, runs):
    taken = {name: [] for name in contestants}
    for turn in range(runs):
        order = list(contestants)
        for name in order if turn % 2 else reversed(order):
            taken[name].append(spent(server, contestants[name]))
    ours = statistics.median(taken["nuget-login"])
    print(f"| whole login over TLS, {runs} runs | median | middle half | nuget-login takes | peak memory |")
    print("|---|---|---|---|---|")
    for name, walls in taken.items():
        low, median, high = statistics.quantiles(walls, n=4)
        memory = peak_memory(server, contestants[name]) / 1024
        print(f"| {name} | {median * 1e3:.1f} ms | {low * 1e3:.1f} to {high * 1e3:.1f} ms "
              f"| {ours / median:.3f} of it | {memory:.1f} MiB |")


def round_trips(server, contestants, runs):
    """Prints, and returns ours."""
    print(f"| whole login over TLS, {server.round_trip * 1e3:.0f} ms to each host, {runs} runs | median | round trips |")
    print("|---|---|---|")
    medians = {name: statistics.median(spent(server, command) for _ in range(runs))
               for name, command in contestants.items()}
    for name, median in medians.items():
        print(f"| {name} | {median * 1e3:.0f} ms | {median / server.round_trip:.2f} |")
    return medians["nuget-login"] / server.round_trip


def instructions(server, binary):
    """Of one run, in user space, on all threads; the least of three, since waiting adds some."""
    if not shutil.which("valgrind"):
        return None
    counts = []
    for turn in range(3):
        server.output.write_text("")
        file = server.work / f"callgrind.{turn}"
        subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={file}", str(binary)],
                       env=server.environment(), check=True, capture_output=True)
        counts.append(next(int(line.split()[1]) for line in file.read_text().splitlines()
                           if line.startswith(("summary:", "totals:"))))
    return min(counts)


def budget(server, binary, accept):
    compiler = subprocess.run(["rustc", "--version"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    now = {"compiler": compiler, "target": TARGET, "bytes": binary.stat().st_size,
           "instructions": instructions(server, binary) or sys.exit("valgrind is needed for this")}
    if accept:
        BUDGET.write_text(json.dumps(now, indent=2) + "\n")
        print(BUDGET.read_text(), end="")
        return 0
    then = json.loads(BUDGET.read_text())
    if (then["compiler"], then["target"]) != (compiler, TARGET):
        print(f"not compared: the budget is of {then['compiler']} for {then['target']}, this is {compiler} for {TARGET}")
        return 0
    over = False
    for what in ["bytes", "instructions"]:
        ratio = now[what] / then[what]
        print(f"{what}: {now[what]:,}, {(ratio - 1) * 100:+.1f} % of the budget's {then[what]:,}")
        over |= ratio > TOLERANCE
    server.put_at_a_distance(50)
    if round_trips(server, {"nuget-login": [str(binary)]}, 5) > MOST_ROUND_TRIPS:
        print(f"more than {MOST_ROUND_TRIPS} round trips")
        return 1
    if over:
        print("over 3 % more: if that is worth it, run benches/login.py --accept, commit benches/budget.json, and say why")
    return int(over)


def crates():
    """The crates that weigh most. Of a build with symbols, so that the sum is not the binary's size."""
    if shutil.which("cargo-bloat"):
        print()
        subprocess.run(["cargo", "bloat", "--release", "-p", "nuget-login", "--bin", "nuget-login", "--crates", "-n", "15",
                        "--config", "profile.release.strip=false"], cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
