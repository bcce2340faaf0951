import pickle

import pytest

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.errors import TextPlacementError
from streamgen_engines.manifest import Manifest, WanManifest
from streamgen_engines.text_placement import CPU, IN_PLACE, TextPlacement, check_token
from tests.tiny_wan_bundle import write_tiny_wan_bundle

URL = "https://text.example:8090/wan"
TOKEN = "a token of many letters"
SERVICE = TextPlacement(URL, TOKEN)


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return Bundle.open(write_tiny_wan_bundle(tmp_path_factory.mktemp("wan") / "tiny")).manifest


def test_places(wan: Manifest) -> None:
    assert TextPlacement() == IN_PLACE
    for placed, url, side, apart in (
        (IN_PLACE, None, "model", {}),
        (TextPlacement(CPU), None, "cpu", {"text": "on the CPU"}),
        (SERVICE, URL, "service", {"text": f"at {URL}"}),
    ):
        assert (placed.url, placed.side, placed.apart(wan)) == (url, side, apart)
        assert placed.absent == ({"text"} if url else set())
        assert placed.of(wan) is placed


def test_a_small_text_graph_stays_with_its_model_and_takes_no_service() -> None:
    pocket = bundled().manifest
    assert TextPlacement(CPU).of(pocket) == IN_PLACE
    assert TextPlacement(CPU).apart(pocket) == {}
    with pytest.raises(TextPlacementError, match=r"^pocket is of the family pocket, .*: set text_encoder to model$"):
        SERVICE.apart(pocket)


def test_bfloat16_is_not_for_a_cpu(wan: Manifest) -> None:
    assert isinstance(wan, WanManifest)
    narrow = wan.model_copy(
        update={"graphs": {**wan.graphs, "text": wan.graphs["text"].model_copy(update={"precision": "bf16"})}}
    )
    with pytest.raises(TextPlacementError, match=r"bf16, .* --text-precision int8"):
        TextPlacement(CPU).of(narrow)
    assert SERVICE.of(narrow) is SERVICE
    assert IN_PLACE.of(narrow) is IN_PLACE


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("gpu", "'gpu' is no place for the text encoder; give model, cpu, or the address"),
        ("", "'' is no place"),
        ("text.example:8090", "such as https://text.example:8090"),
        ("ftp://text.example", "is no place"),
        ("http://", "cannot be used"),
        ("https://text.example:0", "cannot be used"),
        ("https://text.example:none", "cannot be used"),
        ("https://[::1", "cannot be used"),
        ("https://text.example/?a=1", "cannot be used"),
        ("https://text.example/#a", "cannot be used"),
        ("https://text example", "cannot be used"),
        ("https://text.example\n", "cannot be used"),
    ],
)
def test_what_is_no_place_is_refused(place: str, words: str) -> None:
    with pytest.raises(TextPlacementError) as caught:
        TextPlacement(place, TOKEN)
    assert words in str(caught.value)


def test_an_address_with_a_password_is_refused_and_not_said_again() -> None:
    for place, said in (("https://ann:sesame@text.example", "as text_encoder_token"), ("ann:sesame@t", "is no place")):
        with pytest.raises(TextPlacementError, match=said) as caught:
            TextPlacement(place, TOKEN)
        assert "sesame" not in str(caught.value)


def test_a_service_wants_its_token() -> None:
    with pytest.raises(TextPlacementError, match="STREAMGEN_TEXT_ENCODER_TOKEN"):
        TextPlacement(URL)
    for token in ("a\nb", "\u00e9"):
        with pytest.raises(TextPlacementError, match="characters that cannot be sent") as caught:
            check_token(token)
        assert token not in str(caught.value)


def test_the_token_reaches_another_process_and_is_never_shown() -> None:
    assert TOKEN not in repr(SERVICE)
    assert pickle.loads(pickle.dumps(SERVICE)) == SERVICE
    assert pickle.loads(pickle.dumps(SERVICE)).token == TOKEN
