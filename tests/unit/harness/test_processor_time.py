"""The stopwatch of the fuzz parts: it counts work, not what other programs do meanwhile."""

import os
import subprocess
import sys
import time

from tests.support.processor_time import Stopwatch, processor_time


def test_work_of_this_process_is_counted():
    watch, until = Stopwatch(os.getpid()), time.process_time() + 0.1
    while time.process_time() < until:
        pass
    assert watch.seconds() >= 0.08


def test_one_that_only_waits_is_noticed_too():
    watch = Stopwatch(os.getpid())
    time.sleep(0.3)
    assert watch.seconds() >= 0.03


def test_the_work_of_others_does_not_count():
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    idle = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        time.sleep(0.5)
        watch, before = Stopwatch(idle.pid), processor_time(busy.pid)
        while processor_time(busy.pid) < before + 0.2:
            time.sleep(0.05)
        assert processor_time(busy.pid) - before > watch.seconds()
    finally:
        busy.kill()
        idle.kill()
        busy.wait()
        idle.wait()
