#!/usr/bin/env python3
"""What a newcomer sees first: the programs installed into a folder, two instances, mail on its whole way."""
import os
import shutil
import subprocess
import tempfile
import unittest

BUILD = os.path.abspath(os.environ.get("POSTHOUSE_BUILD", "."))
SOURCE = os.path.abspath(os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..", "..")))


class Try(unittest.TestCase):
    def test_the_demonstration_installs_queues_relays_delivers_and_stops(self):
        folder = tempfile.mkdtemp(prefix="posthouse-try-test-")
        try:
            done = subprocess.run([os.path.join(SOURCE, "t/try/try.sh"), BUILD, os.path.join(folder, "try")],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  timeout=300, env=dict(os.environ, TRY_ONCE="yes"))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("Connection refused", done.stdout)
        self.assertIn("Mail queue is empty", done.stdout)
        self.assertIn("Hello from SMTP.", done.stdout)
        self.assertIn("Hello from sendmail.", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
