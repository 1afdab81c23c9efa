#!/usr/bin/env python3
"""What README.md shows is what happens: its console blocks are run, one shell for all of them, and compared.

A line that begins with "$ " is typed; what follows it is expected. "…" stands for any text within a line.
"""

import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
MARK = "readme-test-command-ended"


def steps_of(text):
    """[(command, [expected lines])] of all console blocks."""
    steps = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            elif steps:
                steps[-1][1].append(line)
    return steps


def matches(expected, seen):
    pattern = ".*".join(re.escape(part) for part in expected.split("…"))
    return re.fullmatch(pattern, seen) is not None


class Readme(unittest.TestCase):
    def test_the_tour(self):
        steps = steps_of((ROOT / "README.md").read_text())
        self.assertGreater(len(steps), 10)
        for port in (7101, 7102, 7103, 7301, 7302, 7303):  # of configs/local
            harness.reserve_port(port, wait=True)
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "configs").symlink_to(ROOT / "configs")
            programs = pathlib.Path(os.environ["COVEY"]).resolve().parent
            environment = dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}")
            script = "\n".join(f"{command}\necho {MARK}" for command, _ in steps)
            shell = subprocess.Popen(["bash"], cwd=folder, env=environment, text=True, start_new_session=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            try:
                out, _ = shell.communicate(script, timeout=120)
            finally:
                for pid_file in pathlib.Path(folder).glob("data/*.pid"):
                    try:
                        os.kill(int(pid_file.read_text()), signal.SIGKILL)
                    except (OSError, ValueError):
                        pass
        answers = [part.strip("\n").splitlines() for part in out.replace("\r", "").split(MARK + "\n")]
        for (command, expected), seen in zip(steps, answers):
            same = len(expected) == len(seen) and all(matches(e, s) for e, s in zip(expected, seen))
            self.assertTrue(same, f"$ {command}\nexpected:\n" + "\n".join(expected) + "\nseen:\n" + "\n".join(seen))


if __name__ == "__main__":
    unittest.main()
