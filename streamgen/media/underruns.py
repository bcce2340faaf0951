"""What the server's log says of underruns: the first at once, and then how many there were, every ten seconds."""

import logging
from typing import Final

logger = logging.getLogger(__name__)

REPORT_INTERVAL_S: Final = 10.0  # underruns in between are counted


class UnderrunReports:
    """Logs underruns, few lines however many there are."""

    def __init__(self) -> None:
        self._unreported = 0
        self._quiet_until_s = 0.0

    def add(self, media_time_s: float, now_s: float) -> None:
        """There is one at this media time; `now_s` is of the monotonic clock."""
        self._unreported += 1
        if now_s >= self._quiet_until_s:
            logger.warning(
                "underrun at %.2f s of media: a chunk is late (%d since the last report)",
                media_time_s,
                self._unreported,
            )
            self._unreported = 0
            self._quiet_until_s = now_s + REPORT_INTERVAL_S
