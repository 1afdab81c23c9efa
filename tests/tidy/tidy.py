#!/usr/bin/env python3
"""Checks what reviewers would otherwise have to see: who includes whom, that the replication core stays pure, how
long files get, unfinished work, formatting.

    tidy.py [--archive ARCHIVE] [--no-format]

--archive is the built replication library, whose undefined symbols are checked. Exit 1 and one line for each finding.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = {".git", "build", "data", "__pycache__"}
CODE = {".h", ".cpp", ".cu", ".cuh"}
MEASURED = CODE | {".py", ".sh"}
LINES_MAX = 500

# Standard headers have neither a slash nor an ending. Of the rest each folder may include what is named here: a
# folder of this project (ends in a slash), one header, or a library's prefix.
POSIX = ["sys/", "net/", "netinet/", "arpa/", "unistd.h", "fcntl.h", "poll.h", "signal.h", "netdb.h", "spawn.h", "termios.h",
         "pwd.h"]
VALUE_TYPES = [f"replication/{name}.h"
               for name in ("types", "result", "level", "dot_set", "object", "hash", "codec", "context_token",
                            "base64")]
MAY_INCLUDE = {
    "replication": ["replication/", "google/protobuf/", "xxhash.h", "xxh_x86dispatch.h", "boost/container/"],
    "gpu": ["gpu/", "immintrin.h"],
    "storage": ["storage/", "replication/", "rocksdb/", *POSIX],
    "client": ["client/", *VALUE_TYPES, "boost/", "nlohmann/", "CLI/", "readline/", *POSIX],
    "server": ["server/", "replication/", "storage/", "gpu/", "boost/", "nlohmann/", "simdjson.h", "spdlog/", "CLI/",
               "openssl/", *POSIX],
}
CUDA = re.compile(r"^(cuda|cub/|thrust/|cooperative_groups|nvml|cooperative)")

# What a pure core has no use for.
IMPURE_HEADERS = {"chrono", "thread", "mutex", "shared_mutex", "condition_variable", "future", "semaphore", "latch",
                  "barrier", "stop_token", "random", "fstream", "filesystem", "iostream", "ctime", "time.h",
                  "pthread.h", "coroutine"}
IMPURE_WORDS = re.compile(
    r"std::(?:chrono|this_thread|j?thread|mutex|random_device|mt19937\w*|[io]?fstream|filesystem|getenv|time|clock|rand)\b"
    r"|(?<![\w.>])(?:rand|srand|getenv|getpid|usleep|nanosleep|fopen|socket|gettimeofday|clock_gettime)\s*\("
    r"|(?<![\w.>])time\s*\(\s*(?:0|NULL|nullptr|&\w+)\s*\)")
# Undefined symbols of the core's archive that are C's: these and no others. fprintf and abort serve assertions,
# strcmp and __libc_single_threaded std::shared_ptr.
ALLOWED_SYMBOLS = re.compile(
    r"^(?:memcpy|memmove|memset|memcmp|memchr|bcmp|strlen|strcmp|malloc|free|realloc|abort|fprintf|fwrite|fputs|fputc|stderr|"
    r"__libc_single_threaded|__fprintf_chk|__memcpy_chk|__stack_chk_fail|__assert_fail|snprintf|__snprintf_chk|"
    r"XXH\w+|__cxa_\w+|__gxx_personality_v0|__dso_handle|_Unwind_\w+|_GLOBAL_OFFSET_TABLE_|__tls_get_addr|"
    r"__\w*[dt]i[234]|DW\.ref\.\w+)$")
IMPURE_DEMANGLED = re.compile(
    r"std::chrono::|std::this_thread|std::thread|std::random_device|std::(?:__1::)?basic_(?:[io]?fstream|filebuf)|"
    r"std::filesystem|std::condition_variable|std::__basic_future|boost::(?!container::)|rocksdb::")

# Put together so that this file does not find itself.
UNFINISHED = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "WI" + "P"]) + r")\b")
PLACES = re.compile("|".join(re.escape(place) for place in {str(ROOT), "/ro" + "ot/", "/ho" + "me/"}))

findings = []


def report(path, line, text):
    findings.append(f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}:{line}: {text}")


def files():
    stack = [ROOT]
    while stack:
        for path in sorted(stack.pop().iterdir()):
            if path.name in SKIPPED or path.is_symlink():
                continue
            if path.is_dir():
                stack.append(path)
            else:
                yield path


def text_of(path):
    data = path.read_bytes()
    return None if b"\0" in data else data.decode("utf-8", "replace")


def without_comments_and_strings(text):
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|(?<!\w)'(?:\\.|[^'\\\n])+'", blank, text, flags=re.S)


def check_includes(path, text):
    folder = path.relative_to(ROOT).parts[0]
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"\s*#\s*include\s*[<\"]([^>\"]+)[>\"]", line)
        if not match:
            continue
        name = match.group(1)
        if name.startswith("tests/") and folder != "tests":
            report(path, number, f"{folder}/ includes {name}: nothing outside tests/ includes tests")
        if folder not in MAY_INCLUDE:
            continue
        if CUDA.match(name):
            if folder != "gpu" or path.suffix not in {".cu", ".cuh"}:
                report(path, number, f"includes {name}: CUDA belongs into .cu and .cuh files of gpu/")
            continue
        standard = "/" not in name and not name.endswith((".h", ".hpp"))
        if not standard and not any(name.startswith(allowed) for allowed in MAY_INCLUDE[folder]):
            report(path, number, f"{folder}/ must not include {name}")


def check_purity(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"\s*#\s*include\s*<([^>]+)>", line)
        if match and match.group(1) in IMPURE_HEADERS:
            report(path, number, f"the replication core must not include <{match.group(1)}>")
    for number, line in enumerate(without_comments_and_strings(text).splitlines(), 1):
        match = IMPURE_WORDS.search(line)
        if match:
            report(path, number, f"the replication core must not name {match.group(0).strip('( ')}")


def check_symbols(archive):
    out = subprocess.run(["nm", "--undefined-only", "--format=posix", archive], capture_output=True, text=True)
    if out.returncode != 0:
        report(pathlib.Path(archive), 0, f"nm failed: {out.stderr.strip()}")
        return
    names = {line.split()[0] for line in out.stdout.splitlines() if " U" in line}
    if not names:
        report(pathlib.Path(archive), 0, "nm found no symbols: is this the library?")
    for name in sorted(names):
        if not name.startswith("_Z") and not ALLOWED_SYMBOLS.match(name):
            report(pathlib.Path(archive), 0, f"the replication core must not call {name}")
    mangled = sorted(name for name in names if name.startswith("_Z"))
    demangled = subprocess.run(["c++filt"], input="\n".join(mangled), capture_output=True, text=True).stdout
    for name in demangled.splitlines():
        if IMPURE_DEMANGLED.search(name):
            report(pathlib.Path(archive), 0, f"the replication core must not call {name}")


def check_text(path, text):
    lines = text.splitlines()
    if path.suffix in MEASURED and len(lines) > LINES_MAX:
        report(path, len(lines), f"{len(lines)} lines: the limit is {LINES_MAX}, split it by decision")
    if path.name == "LICENSE":
        return
    for number, line in enumerate(lines, 1):
        for match in (UNFINISHED.search(line), PLACES.search(line)):
            if match:
                report(path, number, f"'{match.group(0)}' must not stay in the tree")


def check_format(paths):
    if shutil.which("clang-format") is None:
        sys.exit("tidy: clang-format is missing: run scripts/setup.sh")
    version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True).stdout
    if " 14." not in version:
        print(f"tidy: formatting was not checked: it is that of clang-format 14, this is {version.strip()}")
        return
    def dry_run(batch):
        return subprocess.run(["clang-format", "--dry-run", "--Werror", *batch], capture_output=True, text=True, cwd=ROOT)

    batches = [[str(path.relative_to(ROOT)) for path in paths[at:at + 16]] for at in range(0, len(paths), 16)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        outs = list(pool.map(dry_run, batches))
    errors = "".join(out.stderr for out in outs)
    bad = {}
    for match in re.finditer(r"^(.+?):(\d+):\d+: error: code should be clang-formatted", errors, flags=re.M):
        bad.setdefault(match.group(1), []).append(int(match.group(2)))
    for name, lines in sorted(bad.items()):
        report(pathlib.Path(name), lines[0], f"not formatted ({len(lines)} places): run clang-format -i on it")
    if any(out.returncode != 0 for out in outs) and not bad:
        report(ROOT / ".clang-format", 0, f"clang-format failed: {errors.strip()[:300]}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--archive")
    parser.add_argument("--no-format", action="store_true")
    options = parser.parse_args()

    code = []
    for path in files():
        text = text_of(path)
        if path.name == "Makefile" or path.suffix == ".mk":
            report(path, 1, "the build is CMake's alone")
        if text is None:
            continue
        check_text(path, text)
        if path.suffix in CODE:
            code.append(path)
            check_includes(path, text)
            if path.relative_to(ROOT).parts[0] == "replication":
                check_purity(path, text)
    if options.archive:
        check_symbols(options.archive)
    if not options.no_format:
        check_format(code)

    for finding in sorted(findings):
        print(finding)
    print(f"tidy: {len(code)} source files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
