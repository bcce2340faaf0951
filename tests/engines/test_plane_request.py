import re

import pytest

from streamgen_engines.planes.request import PlaneRequest, planes_shape


def test_each_size_has_an_output_of_its_own() -> None:
    request = PlaneRequest(((640, 384), (426, 256)))
    assert request.outputs() == {(640, 384): "planes_640x384", (426, 256): "planes_426x256"}
    assert str(request) == "i420 640x384 426x256"
    assert str(PlaneRequest(((2, 2),), rgb=True, order="nv12")) == "nv12 2x2 and rgb"


def test_planes_have_half_as_many_rows_again() -> None:
    assert planes_shape(4, (598, 342)) == (4, 513, 598)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((), "planes of no size"),
        (((640, 384), (640, 384)), "asked for twice"),
        (((641, 384),), "no 4:2:0 planes of 641x384"),
        (((640, 383),), "no 4:2:0 planes of 640x383"),
        (((0, 384),), "no 4:2:0 planes of 0x384"),
        (((640, -2),), "no 4:2:0 planes of 640x-2"),
    ],
)
def test_sizes_that_there_are_no_planes_of_are_refused(sizes: tuple[tuple[int, int], ...], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        PlaneRequest(sizes)
