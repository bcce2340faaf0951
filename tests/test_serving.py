import pytest

from streamgen.serving import announce


def test_the_operators_link_is_always_told(capsys: pytest.CaptureFixture[str]) -> None:
    announce("http://127.0.0.1:8000/", None)
    told = capsys.readouterr().out
    assert "operator: http://127.0.0.1:8000/ (everybody" in told
    assert "console:  http://127.0.0.1:8000/operator\n" in told
    announce("http://192.0.2.7:8000/", "http://192.0.2.7:8000/?token=x")
    told = capsys.readouterr().out
    assert "operator: http://192.0.2.7:8000/?token=x\n" in told
    assert "console:  http://192.0.2.7:8000/operator?token=x\n" in told
