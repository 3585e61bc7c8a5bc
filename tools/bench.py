"""Times vicha against bench/peer. First every mode of both sides once; then the best of each side in alternation.

The first pass finds the peer's best mode, with and without its --savings; the alternation makes the ratio fair on a
machine whose speed drifts. What has steps alternates every second: both processes are there, one runs and the other is
stopped (SIGSTOP), so that both see the same machine; a step lasts as long as its process ran. The rest, and what would
not fit into the memory twice, alternates whole run by whole run. Ratios are of throughput (above 1: vicha is faster).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
VICHA = ROOT / "build/release/bin/vicha"
PEERS = ROOT / "bench/peer"
RUN_LIMIT_S = 1500  # a mode that takes longer than this is given up: it is not the best one
SLICE_S = 1.0

Result = dict[str, Any]


@dataclass(frozen=True)
class Size:
    task: str
    arguments: str  # understood by both sides
    peer_arguments: str  # the peer's alone: its defaults differ
    rate: str  # the figure that is compared
    peer: str = "bench_peer.py"
    has_modes: bool = True  # otherwise fp32 in eager mode is all there is
    steps: int = 0  # 0: what is timed is one piece


SIZES = {
    "small": Size("pretrain", "--config small --batch 16 --image-res 128", "--warmup 2", "samples_per_s", steps=6),
    "base": Size("pretrain", "--config base --batch 8 --image-res 256", "--warmup 1", "samples_per_s", steps=4),
    "retrieval": Size(
        "retrieval-eval",
        "--config base --images 32 --captions 160 --k-test 16",
        "--image-res 256 --warmup 1",
        "pairs_per_s",
    ),
    # The photographs are made by the first run of vicha, which comes before the peer's.
    "clip": Size(
        "clip-image",
        "--images 256 --folder runs/bench/photographs",
        "",
        "images_per_s",
        "bench_clip_peer.py",
        has_modes=False,
    ),
}


@dataclass(frozen=True)
class Contender:
    side: str  # "vicha" or "peer"
    mode: str  # vicha: a precision
    savings: bool = True

    def __str__(self) -> str:
        return f"{self.side} {self.mode}" + (" --savings" if self.side == "peer" and self.savings else "")

    def command(self, size: Size, threads: int, rounds: int = 1) -> list[str]:
        common = [*size.arguments.split(), "--threads", str(threads), "--json"]
        if size.steps:
            common += ["--steps", str(size.steps * rounds)]
        if self.side == "vicha":
            mode = ["--precision", self.mode] if size.has_modes else []
            return [str(VICHA), "bench", size.task, *common, *mode]
        savings = ["--savings"] if self.savings else []
        mode = ["--task", size.task, "--mode", self.mode, *savings] if size.has_modes else []
        return [sys.executable, str(PEERS / size.peer), *common, *size.peer_arguments.split(), *mode]


def has_bf16() -> bool:
    """Without these instructions bf16 is some 25 times slower than fp32, on both sides."""
    flags = Path("/proc/cpuinfo").read_text().split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def contenders(size: Size, all_modes: bool) -> list[Contender]:
    if not size.has_modes:
        return [Contender("vicha", "fp32"), Contender("peer", "eager-fp32", savings=False)]
    precisions = ["fp32", "bf16"] if all_modes or has_bf16() else ["fp32"]
    peer_modes = [f"{style}-{p}" for style in ("eager", "compile") for p in precisions] + ["plain-fp32"]
    ours = [Contender("vicha", p) for p in precisions]
    peers = [Contender("peer", mode, savings) for savings in (True, False) for mode in peer_modes]
    return ours + peers


def run(name: str, who: Contender, threads: int, log: Path) -> Result | None:
    """One process, one result; None if it failed or took too long (said on stderr)."""
    command = who.command(SIZES[name], threads)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_LIMIT_S, cwd=ROOT, check=True)
        result: Result = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        print(f"{name}: {who}: given up after {RUN_LIMIT_S} s", file=sys.stderr)
        return None
    except (subprocess.CalledProcessError, json.JSONDecodeError, IndexError) as error:
        said = getattr(error, "stderr", "") or str(error)
        print(f"{name}: {who}: failed: {' '.join(command)}\n{said}", file=sys.stderr)
        return None
    report(name, who, result, log)
    return result


def report(name: str, who: Contender, result: Result, log: Path) -> None:
    with log.open("a") as file:
        file.write(json.dumps({"size": name, "contender": str(who)} | result) + "\n")
    print(f"{name:10} {who!s:26} {figures(SIZES[name], result)}", flush=True)


class Interleaved:
    """A benchmark that runs in slices of time and is stopped between them."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True)
        self.signal(signal.SIGSTOP)
        self.slices: list[tuple[float, float]] = []
        self.printed = 0.0  # when the result came
        self.line = ""
        assert self.process.stdout is not None
        self.reader = threading.Thread(target=self.read, args=(self.process.stdout,))
        self.reader.start()

    def read(self, stdout: IO[str]) -> None:
        for line in stdout:
            self.printed, self.line = time.monotonic(), line

    def runs(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        if self.runs():
            os.killpg(self.process.pid, number)

    def run_slice(self) -> None:
        begin = time.monotonic()
        self.signal(signal.SIGCONT)
        try:
            self.process.wait(SLICE_S)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGSTOP)
        self.slices.append((begin, time.monotonic()))

    def result(self) -> Result:
        """Times without the pauses. The last step ends when the result is printed, each step where the next begins."""
        self.reader.join()
        if self.process.returncode != 0:
            raise subprocess.CalledProcessError(self.process.returncode, self.process.args)
        result: Result = json.loads(self.line)
        end = self.printed
        seconds: list[float] = []
        for step in reversed(result["all_seconds"]):
            begin = end - step
            seconds.insert(0, sum(max(0.0, min(end, to) - max(begin, at)) for at, to in self.slices))
            end = begin
        middle = statistics.median(seconds)
        result |= {
            "all_seconds": [round(s, 3) for s in seconds],
            "seconds_per_step": round(middle, 4),
            "samples_per_s": round(result["batch"] / middle, 3),
            "best_seconds": round(min(seconds), 4),
        }
        if "gflop_per_sample" in result:
            gflops = result["gflop_per_sample"] * result["samples_per_s"]
            share = gflops / result["product_gflops"]
            result |= {"gflops": round(gflops, 1), "share_of_product_rate": round(share, 3)}
        return result


def interleave(
    name: str, finalists: dict[str, Contender], args: argparse.Namespace, log: Path
) -> dict[str, Result] | None:
    """One result a side; None if a side failed."""
    sides = {side: Interleaved(who.command(SIZES[name], args.threads, args.rounds)) for side, who in finalists.items()}
    try:
        while any(side.runs() for side in sides.values()):
            for side in sides.values():
                if side.runs():
                    side.run_slice()
        results = {side: process.result() for side, process in sides.items()}
    except (subprocess.CalledProcessError, json.JSONDecodeError, KeyError) as error:
        print(f"{name}: failed: {error}", file=sys.stderr)
        return None
    finally:
        for side in sides.values():
            side.signal(signal.SIGKILL)
    for side, result in results.items():
        report(name, finalists[side], result, log)
    return results


def available_gib() -> float:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 2**20
    return 0.0


def figures(size: Size, result: Result) -> str:
    """Rate, seconds and memory of one result."""
    seconds = result.get("seconds_per_step", result.get("seconds"))
    return f"{result[size.rate]:9.2f} {size.rate:13} {seconds:9.3f} s {result['peak_rss_gib']:6.2f} GiB"


def fastest_rate(size: Size, result: Result) -> float:
    """The rate of the fastest step, where steps are timed one by one."""
    return result["batch"] / result["best_seconds"] if "best_seconds" in result else result[size.rate]


def compare(name: str, args: argparse.Namespace, log: Path) -> bool:
    """All modes, then the two best in alternation. False if a side has no result."""
    size = SIZES[name]
    first = {who: run(name, who, args.threads, log) for who in contenders(size, args.all_modes)}
    finalists: dict[str, Contender] = {}
    together_gib = 0.0
    for side in ("vicha", "peer"):
        done = {who: r for who, r in first.items() if r is not None and who.side == side}
        if not done:
            print(f"{name}: no run of {side} succeeded", file=sys.stderr)
            return False
        finalists[side] = max(done, key=lambda who: done[who][size.rate])
        together_gib += done[finalists[side]]["peak_rss_gib"]

    results: dict[str, list[Result]] = {side: [] for side in finalists}
    if size.steps and together_gib < 0.9 * available_gib():
        pair = interleave(name, finalists, args, log)
        if pair is None:
            return False
        results = {side: [result] for side, result in pair.items()}
        said = f"medians of {size.steps * args.rounds} steps"
    else:
        for _ in range(args.rounds):
            for side, who in finalists.items():
                result = run(name, who, args.threads, log)
                if result is None:
                    return False
                results[side].append(result)
        said = f"medians of {args.rounds}"

    median = {side: statistics.median(r[size.rate] for r in rows) for side, rows in results.items()}
    best = {side: max(fastest_rate(size, r) for r in rows) for side, rows in results.items()}
    print(
        f"{name:10} {finalists['vicha']} is {median['vicha'] / median['peer']:.2f} x {finalists['peer']} "
        f"({median['vicha']:.2f} to {median['peer']:.2f} {size.rate}, {said}); "
        f"fastest to fastest {best['vicha'] / best['peer']:.2f} x"
    )
    products = [r for r in results["vicha"] if "share_of_product_rate" in r]
    if products:
        share = statistics.median(r["share_of_product_rate"] for r in products)
        last = products[-1]
        what, rate = ("step", "gflops") if "gflops" in last else ("tower", "tower_gflops")
        print(
            f"{name:10} the {what} computes at {last[rate]:.0f} GFLOP/s, {100 * share:.0f} % of the machine's "
            f"measured matrix-product rate ({last['product_gflops']:.0f})"
        )
    return True


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} cannot be; give a number of at least 1")
    return number


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--rounds", type=positive, default=3, help="of the alternation (%(default)s)")
    parser.add_argument("--threads", type=positive, default=os.cpu_count())
    parser.add_argument("--all-modes", action="store_true", help="bf16 also where the processor has no bf16 products")
    args = parser.parse_args()
    log = ROOT / "runs/bench/results.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    if not (args.all_modes or has_bf16()):
        print("this processor has no bf16 products: bf16 modes are left out (--all-modes runs them)")
    finished = [compare(name, args, log) for name in args.sizes]
    print(f"all runs: {log.relative_to(ROOT)}")
    return 0 if all(finished) else 1


if __name__ == "__main__":
    sys.exit(main())
