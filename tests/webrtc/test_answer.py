from streamgen.webrtc.answer import complete_answer

ANSWER = (
    "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n"
)


def test_opus_is_stereo_in_both_directions() -> None:
    lines = complete_answer(ANSWER).split("\r\n")
    rtpmap = lines.index("a=rtpmap:111 opus/48000/2")
    assert lines[rtpmap + 1] == "a=fmtp:111 stereo=1;sprop-stereo=1"
    assert sum(line.startswith("a=fmtp:") for line in lines) == 1


def test_repeated_sound_is_answered_under_the_number_that_was_offered() -> None:
    completed = complete_answer(ANSWER, 63)
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\n" in completed
    assert "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" in completed
    assert completed.count("a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n") == 1


def test_rtcp_mux_only_in_every_section() -> None:
    assert complete_answer(ANSWER).count("a=rtcp-mux\r\na=rtcp-mux-only\r\n") == 2


def test_the_viewer_is_told_that_it_may_trickle() -> None:
    assert complete_answer(ANSWER).startswith("v=0\r\na=ice-options:trickle\r\nm=audio")
    told = ANSWER.replace("v=0\r\n", "v=0\r\na=ice-options:trickle ice2\r\n")
    assert complete_answer(told).count("a=ice-options") == 1


def test_nothing_else_changes() -> None:
    added = ("a=ice-options:trickle\r\n", "a=rtcp-mux-only\r\n", "a=fmtp:111 stereo=1;sprop-stereo=1\r\n")
    completed = complete_answer(ANSWER)
    for line in added:
        completed = completed.replace(line, "")
    assert completed == ANSWER
