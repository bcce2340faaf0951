import pytest

from streamgen.media.underruns import REPORT_INTERVAL_S, UnderrunReports


def test_the_first_underrun_is_told_at_once_and_those_after_it_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    reports = UnderrunReports()
    for media_time_s, now_s in ((1.0, 100.0), (2.0, 101.0), (3.0, 102.0), (4.0, 100.0 + REPORT_INTERVAL_S)):
        reports.add(media_time_s, now_s)
    first, next_ = (record.getMessage() for record in caplog.records)
    assert first.startswith("underrun at 1.00 s")
    assert "(1 since the last report)" in first
    assert next_.startswith("underrun at 4.00 s")
    assert "(3 since the last report)" in next_
