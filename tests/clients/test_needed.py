import pytest

from tests.clients import needed


def test_what_is_missing_is_skipped_with_the_line_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="a thing is not installed: make thing"):
        needed.missing("a thing is not installed", "make thing")


def test_on_ci_nothing_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="a thing is not installed: make thing"):
        needed.missing("a thing is not installed", "make thing")


@pytest.mark.parametrize("look", [needed.chromium, needed.npm_clients, needed.turnserver])
def test_an_empty_machine_says_what_it_needs(look: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(look)
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("STREAMGEN_CHROMIUM", raising=False)
    with pytest.raises(pytest.fail.Exception, match=r"is not installed: .*(make|apt-get install)"):
        look()


def test_gstreamer_without_its_elements_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(needed, "_GSTREAMER_CHECK", "raise SystemExit('GStreamer lacks webrtcbin')")
    with pytest.raises(pytest.fail.Exception, match=r"GStreamer lacks webrtcbin.*apt-get install"):
        needed.gstreamer()
