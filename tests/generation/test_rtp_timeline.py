import pytest

from streamgen.errors import UnsupportedRateError
from streamgen.generation.rtp_timeline import Timeline
from streamgen_engines.manifest import Manifest


def test_rate_that_cannot_be_carried_is_refused(manifest: Manifest) -> None:
    odd = manifest.model_copy(update={"video": manifest.video.model_copy(update={"fps": (7, 1)})})
    with pytest.raises(UnsupportedRateError):
        Timeline.of(odd)
