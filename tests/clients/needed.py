"""What the tests of this folder need of the machine. Where something is missing they are skipped, with the line that
brings it; on CI (`CI=true`) they fail instead, so that nothing is left out there unseen."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final, NoReturn

import pytest

FOLDER: Final = Path(__file__).parent
SYSTEM_PYTHON: Final = "/usr/bin/python3"  # the one that Debian's python3-gi is for
APT: Final = "make client-packages (or apt-get install --no-install-recommends"
GSTREAMER_PACKAGES: Final = (
    "gir1.2-gst-plugins-bad-1.0 gstreamer1.0-nice gstreamer1.0-plugins-bad gstreamer1.0-plugins-base "
    "gstreamer1.0-plugins-good python3-gi"
)
_GSTREAMER_CHECK: Final = """
import gi
for name in ("Gst", "GstSdp", "GstWebRTC"):
    gi.require_version(name, "1.0")
from gi.repository import Gst
Gst.init(None)
wanted = "webrtcbin nicesrc dtlsdec srtpdec rtpbin rtpvp8depay vp8dec h264parse openh264dec opusdec appsink".split()
missing = [each for each in wanted if Gst.ElementFactory.find(each) is None]
raise SystemExit(f"GStreamer lacks {', '.join(missing)}" if missing else 0)
"""
CHECK_LIMIT_S: Final = 120


def on_ci() -> bool:
    """Whether this is a run that must not leave anything out."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def missing(what: str, how: str) -> NoReturn:
    """End this test: it cannot run without `what`, which `how` brings."""
    message = f"{what}: {how}"
    if on_ci():
        pytest.fail(f"{message} (on CI nothing is skipped)")
    pytest.skip(message)


def chromium() -> str:
    """The browser's program."""
    found = os.environ.get("STREAMGEN_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        missing("Chromium is not installed", "make browser (or apt-get install chromium)")
    return found


def npm_clients() -> Path:
    """The folder that npm has filled."""
    modules = FOLDER / "node_modules"
    if shutil.which("node") is None:
        missing("node is not installed", "install node 18 or newer with npm, then make npm-clients")
    if not all((modules / each).exists() for each in ("whip-whep", "@eyevinn/webrtc-player", "esbuild")):
        missing("the npm clients are not installed", "make npm-clients")
    return modules


def gstreamer() -> str:
    """The interpreter that runs programs for GStreamer."""
    how = f"{APT} {GSTREAMER_PACKAGES})"
    if not Path(SYSTEM_PYTHON).exists():
        missing(f"{SYSTEM_PYTHON} is missing", how)
    checked = subprocess.run(
        [SYSTEM_PYTHON, "-c", _GSTREAMER_CHECK], capture_output=True, text=True, timeout=CHECK_LIMIT_S, check=False
    )
    if checked.returncode != 0:
        why = (checked.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        missing(f"GStreamer is not complete ({why})", how)
    return SYSTEM_PYTHON


def turnserver() -> str:
    """coturn's program."""
    found = shutil.which("turnserver")
    if found is None:
        missing("coturn is not installed", f"{APT} coturn)")
    return found
