"""Run all benchmarks and print the machine and one table of figures with their limits.

    python bench/run.py [--shared ../shared] [--only startup|ingest|warm|digest|mail|web] [--json FILE]

Exit code 1 if a limit is exceeded. Each benchmark runs in its own process.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from figures import Figure, exit_code, say, table

HERE = Path(__file__).resolve().parent
BENCHMARKS = ("startup", "ingest", "warm", "digest", "mail", "web")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks, print the machine and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="run only this; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = parser.parse_args(argv)
    before = load()
    figures: list[Figure] = []
    for name in args.only or BENCHMARKS:
        say(f"== {name}")
        figures += _run(name, args.shared.resolve())
    about = {**machine(), "load before and after": f"{before}, {load()}"}
    if args.json:
        report = {"machine": about, "figures": [asdict(f) for f in figures]}
        args.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print("\n".join(f"{key}: {value}  " for key, value in about.items()))
    print(f"\n{table(figures)}")
    return exit_code(figures)


def _run(name: str, shared: Path) -> list[Figure]:
    """Run one benchmark; ignore its exit code, because its figures tell which limit is exceeded."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        script = str(HERE / f"{name}.py")
        command = [sys.executable, script, "--shared", str(shared), "--json", str(file)]
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
        if not file.exists():
            raise SystemExit(f"{name}: failed, see above")
        return [Figure(**row) for row in json.loads(file.read_text("utf-8"))]


def machine() -> dict[str, str]:
    """Return the hardware and software that the figures depend on."""
    from paperagent.embedding.minilm import available_cores

    libraries = ("chromadb", "tantivy", "onnxruntime", "numpy")
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "processor": f"{_processor()}, {available_cores()} cores",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "libraries": ", ".join(f"{name} {version(name)}" for name in libraries),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def load() -> str:
    """Return the load average of the last minute; above 0.5, do not trust the times."""
    return f"{os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    sys.exit(main())
