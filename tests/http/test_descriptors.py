import resource
import subprocess
import sys

from streamgen.http.descriptors import LEAST, OWN, PER_VIEWER, room_within

PROGRAM = """
import logging, resource
from streamgen.http.descriptors import steering_room
logging.basicConfig()
resource.setrlimit(resource.RLIMIT_NOFILE, (300, 1000))
print(steering_room(100, 10), resource.getrlimit(resource.RLIMIT_NOFILE)[0], steering_room(4096, 10))
"""


def test_the_room_is_what_the_files_leave() -> None:
    assert room_within(100_000, 4096, 64) == 4096
    assert room_within(OWN + 64 * PER_VIEWER + 500, 4096, 64) == 500
    assert room_within(100, 4096, 64) == LEAST
    assert room_within(100, 4, 64) == 4
    assert room_within(resource.RLIM_INFINITY, 4096, 64) == 4096


def test_the_limit_is_raised_as_far_as_needed_and_what_is_missing_is_said() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["100", str(OWN + 10 * PER_VIEWER + 100), str(1000 - OWN - 10 * PER_VIEWER)]
    assert "LimitNOFILE" in done.stderr
    assert done.stderr.count("WARNING") == 1
