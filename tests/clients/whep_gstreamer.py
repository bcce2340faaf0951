"""Watches a WHEP stream with GStreamer's webrtcbin and says as JSON what was decoded.

    /usr/bin/python3 tests/clients/whep_gstreamer.py http://127.0.0.1:8000/whep/main --pictures 100

A program of its own: it needs Debian's python3-gi and GStreamer (docs/clients.md has the line), nothing of streamgen.
"""

import argparse
import json
import re
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # type: ignore[import-not-found]  # noqa: E402

HTTP_LIMIT_S = 30

VIDEO = {
    "vp8": (
        "application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000,rtcp-fb-nack-pli=(boolean)true",
        "rtpvp8depay ! vp8dec",
    ),
    "h264": (
        "application/x-rtp,media=video,encoding-name=H264,payload=96,clock-rate=90000,rtcp-fb-nack-pli=(boolean)true,"
        "packetization-mode=(string)1,profile-level-id=(string)42e01f",
        "rtph264depay ! h264parse ! openh264dec",
    ),
}
AUDIO = (
    "application/x-rtp,media=audio,encoding-name=OPUS,payload=98,clock-rate=48000",
    "rtpopusdepay ! opusdec",
)
PICTURES = "videoconvert ! video/x-raw,format=I420 ! appsink name=out emit-signals=true sync=false"
SOUND = "audioconvert ! audio/x-raw,format=S16LE,channels=2 ! appsink name=out emit-signals=true sync=false"


class Watch:
    """One session, from the offer to the DELETE. `found` fills while it plays."""

    def __init__(self, url: str, codec: str, *, pictures: int, relay: bool) -> None:
        self.found: dict[str, Any] = {
            "size": None,
            "lumas": [],  # of the middle of each decoded picture
            "samples": 0,  # of sound, per channel
            "peaks": [0, 0],  # left and right, 0..32767
            "error": None,
        }
        self._url = url
        self._codec = codec
        self._pictures = pictures
        self._session: str | None = None
        self._guard = threading.Lock()  # appsinks call from threads of GStreamer's
        self._loop = GLib.MainLoop()
        self._pipeline = Gst.Pipeline.new(None)
        self._peer = Gst.ElementFactory.make("webrtcbin", None)
        # All media over one port: the server answers nothing else.
        self._peer.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        if relay:
            self._peer.set_property("ice-transport-policy", GstWebRTC.WebRTCICETransportPolicy.RELAY)
            self._peer.set_property("turn-server", turn_server(url))
        self._pipeline.add(self._peer)
        for caps in (VIDEO[codec][0], AUDIO[0]):
            transceiver = self._peer.emit(
                "add-transceiver", GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY, Gst.Caps.from_string(caps)
            )
            transceiver.set_property("do-nack", "video" in caps)
        self._peer.connect("on-negotiation-needed", self._negotiate)
        self._peer.connect("notify::ice-gathering-state", self._gathered)
        self._peer.connect("pad-added", self._play)
        bus = self._pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", self._failed)

    def run(self, limit_s: float) -> None:
        """Watch until enough pictures have been decoded, something fails, or the limit is over."""
        self._pipeline.set_state(Gst.State.PLAYING)
        GLib.timeout_add(int(1000 * limit_s), self._end, f"not enough pictures within {limit_s:g} s")
        try:
            self._loop.run()
        finally:
            if self._session is not None:
                self._leave(self._session)
            self._pipeline.set_state(Gst.State.NULL)

    def _leave(self, session: str) -> None:
        try:
            request(session, "DELETE").close()
        except urllib.error.HTTPError as error:
            self.found["error"] = self.found["error"] or f"DELETE: {error.code}"  # the server ended it first

    def _negotiate(self, peer: Any) -> None:
        peer.emit("create-offer", None, Gst.Promise.new_with_change_func(self._offered))

    def _offered(self, promise: Any) -> None:
        reply = promise.get_reply()  # owns the offer, so it has to stay until that has been copied
        self._peer.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

    def _gathered(self, peer: Any, _: Any) -> None:
        if peer.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            GLib.idle_add(self._post)

    def _post(self) -> None:
        offer = self._peer.get_property("local-description").sdp.as_text()
        try:
            with request(self._url, "POST", offer.encode(), "application/sdp") as response:
                self._session = urllib.parse.urljoin(self._url, response.headers["Location"])
                answer = response.read().decode()
        except urllib.error.HTTPError as error:
            self._end(f"POST: {error.code} {error.read().decode()}")
            return
        _, sdp = GstSdp.SDPMessage.new_from_text(answer)
        described = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
        self._peer.emit("set-remote-description", described, Gst.Promise.new())

    def _play(self, _: Any, pad: Any) -> None:
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        video = pad.get_current_caps().get_structure(0).get_string("media") == "video"
        decode, end = (VIDEO[self._codec][1], PICTURES) if video else (AUDIO[1], SOUND)
        sink = Gst.parse_bin_from_description(f"queue ! {decode} ! {end}", True)
        sink.get_by_name("out").connect("new-sample", self._picture if video else self._sound)
        self._pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    def _picture(self, sink: Any) -> Any:
        sample = sink.emit("pull-sample")
        caps = sample.get_caps().get_structure(0)
        width, height = caps.get_value("width"), caps.get_value("height")
        row_bytes = (width + 3) // 4 * 4
        luma = bytes(sample.get_buffer().extract_dup(height // 2 * row_bytes + width // 2, 1))[0]
        with self._guard:
            self.found["size"] = [width, height]
            self.found["lumas"].append(luma)
            enough = len(self.found["lumas"]) >= self._pictures
        if enough:
            self._loop.quit()
        return Gst.FlowReturn.OK

    def _sound(self, sink: Any) -> Any:
        buffer = sink.emit("pull-sample").get_buffer()
        samples = memoryview(bytes(buffer.extract_dup(0, buffer.get_size()))).cast("h")
        with self._guard:
            self.found["samples"] += len(samples) // 2
            for channel in (0, 1):
                peak = max(map(abs, samples[channel::2]), default=0)
                self.found["peaks"][channel] = max(self.found["peaks"][channel], peak)
        return Gst.FlowReturn.OK

    def _failed(self, _: Any, message: Any) -> None:
        error, where = message.parse_error()
        self._end(f"{error.message} ({where})")

    def _end(self, error: str) -> None:
        self.found["error"] = error
        self._loop.quit()


def request(url: str, method: str, body: bytes | None = None, kind: str | None = None) -> Any:
    """The response; raises `urllib.error.HTTPError`."""
    headers = {} if kind is None else {"Content-Type": kind}
    return urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=HTTP_LIMIT_S)


def turn_server(url: str) -> str:
    """The first TURN server that the WHEP endpoint tells, in the way that webrtcbin wants it."""
    with request(url, "OPTIONS") as response:
        links = response.headers.get_all("Link", [])
    for link in links:
        found = re.match(r'<(turns?):([^>]+)>.*username="([^"]+)".*credential="([^"]+)"', link)
        if found is not None:
            scheme, where, user, password = found.groups()
            return f"{scheme}://{urllib.parse.quote(user, '')}:{urllib.parse.quote(password, '')}@{where}"
    sys.exit(f"{url} tells no TURN server; start it with turn_urls and turn_secret")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Watch a WHEP stream with GStreamer's webrtcbin.")
    parser.add_argument("url", help="such as http://127.0.0.1:8000/whep/main")
    parser.add_argument("--codec", choices=sorted(VIDEO), default="vp8")
    parser.add_argument("--pictures", type=int, default=50, help="to decode before it leaves")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds after which it gives up")
    parser.add_argument("--relay", action="store_true", help="only through the TURN server that the WHEP server tells")
    options = parser.parse_args()
    Gst.init(None)
    watch = Watch(options.url, options.codec, pictures=options.pictures, relay=options.relay)
    watch.run(options.limit)
    print(json.dumps(watch.found))


if __name__ == "__main__":
    main()
