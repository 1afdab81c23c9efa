#!/usr/bin/env python3
"""A check that finds nothing looks like a tree without faults: each rule of tidy.py is shown a fault here."""

import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import tidy


def findings(check, name, text):
    tidy.findings.clear()
    check(tidy.ROOT / name, text)
    return list(tidy.findings)


class Includes(unittest.TestCase):
    def found(self, name, include):
        return bool(findings(tidy.check_includes, name, f"#include {include}\n"))

    def test_directions(self):
        self.assertTrue(self.found("replication/a.cpp", '"storage/rocks_store.h"'))
        self.assertTrue(self.found("replication/a.cpp", "<boost/asio.hpp>"))
        self.assertTrue(self.found("replication/a.cpp", "<unistd.h>"))
        self.assertTrue(self.found("storage/a.cpp", '"server/config.h"'))
        self.assertTrue(self.found("client/a.cpp", '"replication/core.h"'))
        self.assertTrue(self.found("server/a.cpp", '"tests/sim/world.h"'))
        self.assertTrue(self.found("server/a.cpp", '"client/client.h"'))
        self.assertFalse(self.found("server/a.cpp", '"replication/core.h"'))
        self.assertFalse(self.found("storage/a.cpp", "<rocksdb/db.h>"))
        self.assertFalse(self.found("tests/unit/a.cpp", '"server/config.h"'))
        self.assertFalse(self.found("replication/a.cpp", "<vector>"))

    def test_cuda(self):
        self.assertTrue(self.found("server/a.cpp", "<cuda_runtime.h>"))
        self.assertTrue(self.found("gpu/a.cpp", "<cub/cub.cuh>"))
        self.assertFalse(self.found("gpu/a.cu", "<cub/cub.cuh>"))


class Purity(unittest.TestCase):
    def found(self, text):
        return bool(findings(tidy.check_purity, "replication/a.cpp", text))

    def test_names(self):
        for text in ("#include <thread>", "#include <random>", "auto t = std::chrono::steady_clock::now();",
                     "std::mutex lock;", "auto x = time(nullptr);", "return ::time(0);", "std::random_device device;",
                     "int s = socket(AF_INET, SOCK_STREAM, 0);"):
            self.assertTrue(self.found(text), text)

    def test_innocent(self):
        for text in ("// std::chrono is not used here", 'alarm("time(0) of std::thread");', "version.time(0);",
                     "#include <map>", "uint64_t time = 0;", "bool open(Now now);"):
            self.assertFalse(self.found(text), text)

    def test_symbols(self):
        with tempfile.TemporaryDirectory() as folder:
            source, archive = os.path.join(folder, "a.cpp"), os.path.join(folder, "a.o")
            for text, found in (("#include <ctime>\nlong f() { return time(nullptr); }", True),
                                ("#include <chrono>\nauto f() { return std::chrono::steady_clock::now(); }", True),
                                ("#include <random>\nunsigned f() { return std::random_device()(); }", True),
                                ("#include <string>\nstd::string f(const char* s) { return s; }", False)):
                with open(source, "w") as file:
                    file.write(text)
                subprocess.run(["c++", "-c", source, "-o", archive], check=True)
                tidy.findings.clear()
                tidy.check_symbols(archive)
                self.assertEqual(bool(tidy.findings), found, text)


class Text(unittest.TestCase):
    def test_length_and_words(self):
        self.assertTrue(findings(tidy.check_text, "server/a.cpp", "int x;\n" * 501))
        self.assertFalse(findings(tidy.check_text, "server/a.cpp", "int x;\n" * 500))
        self.assertTrue(findings(tidy.check_text, "docs/a.md", "TO" + "DO: the rest\n"))
        self.assertTrue(findings(tidy.check_text, "docs/a.md", f"see {tidy.ROOT}/docs\n"))
        self.assertFalse(findings(tidy.check_text, "docs/a.md", "mktemp /tmp/a.XXXXXX\n"))


if __name__ == "__main__":
    unittest.main()
