import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamgen import doctor
from streamgen.doctor import Check
from streamgen.errors import EncoderUnavailableError
from streamgen.settings import Settings
from streamgen.speed import Speed, measure
from streamgen.webrtc.port_range import PortRange
from streamgen_engines.bundle import Bundle
from streamgen_engines.gpu_options import GpuOptions
from streamgen_engines.runtimes import RuntimeReport
from streamgen_engines.text_placement import TextPlacement
from tests.tiny_bundle import write_tiny_bundle
from tests.upscaling import add_upscaler

SECRET = "0123456789abcdef0123456789abcdef"
RANGE = PortRange(40_000, 40_100)
CPUINFO = "processor\t: 0\nmodel name\t: A fine processor\nflags\t\t: fpu sse2 avx2 {}\n"


def test_everything_is_looked_at(tmp_path: Path) -> None:
    checks = doctor.examine(write_tiny_bundle(tmp_path / "bundle"))
    names = [check.name for check in checks]
    for name in (
        "streamgen", "bundle", "texts", "onnxruntime-cpu", "VP8", "H.264", "Opus", "CPU", "cores", "memory", "UDP",
        "page", "UDP ports", "public address", "IPv6", "TURN", "token secret",
    ):  # fmt: skip
        assert name in names
    by_name = {check.name: check for check in checks}
    for name in ("bundle", "onnxruntime-cpu", "VP8", "Opus", "UDP"):
        assert by_name[name].verdict == "ok", by_name[name]
    assert doctor.healthy(checks)
    report = doctor.as_json(checks)
    assert json.loads(json.dumps(report)) == report
    assert report["healthy"] is True


def test_whatever_is_not_ok_and_can_be_added_says_how(tmp_path: Path) -> None:
    for check in doctor.examine(tmp_path / "nothing"):
        if check.verdict == "missing":
            assert check.fix, check


def test_a_damaged_bundle_is_missing(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "bundle")
    (folder / "denoise.onnx").write_bytes(b"damaged")
    check = doctor.check_bundle(folder)
    assert check.verdict == "missing"
    assert "denoise.onnx" in check.detail
    assert not doctor.healthy([check])


def test_one_usable_runtime_is_enough() -> None:
    reports = [RuntimeReport("a", True, "here", ""), RuntimeReport("b", False, "not installed", "pip install b")]
    checks = list(doctor.check_runtimes(reports))
    assert [check.verdict for check in checks] == ["ok", "optional"]
    assert checks[1].fix == "pip install b"
    assert [check.verdict for check in doctor.check_runtimes(reports[1:])] == ["missing"]


def test_the_chosen_runtime_is_needed() -> None:
    reports = [RuntimeReport("a", True, "here", ""), RuntimeReport("b", False, "not installed", "pip install b")]
    assert [check.verdict for check in doctor.check_runtimes(reports, "b")] == ["ok", "missing"]
    assert not doctor.healthy(doctor.check_runtimes(reports, "b"))


def test_the_runtime_of_the_settings_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def measured(
        bundle: Bundle, *, steps: int, runtime: str, gpu: GpuOptions, texts: TextPlacement, upscale: bool
    ) -> Speed:
        asked.append(runtime)
        assert not upscale, "there is no graph for it"
        assert (gpu, texts) == (GpuOptions(device=1), TextPlacement("cpu"))
        return Speed(steps=steps, denoise_ms=1, rest_ms=1, chunk_ms=320)

    monkeypatch.setattr(doctor, "measure", measured)
    folder = write_tiny_bundle(tmp_path / "bundle")
    doctor.examine(folder, Settings(runtime="openvino", device=1, text_encoder="cpu"))
    doctor.examine(folder, Settings(runtime="openvino", device=1, text_encoder="cpu"), "onnxruntime-cpu")
    assert asked == ["openvino", "onnxruntime-cpu"]


def test_an_encoder_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ENCODERS", (("VP8", "no-such-encoder", True), ("H.264", "nor-this", False)))
    checks = list(doctor.check_encoders())
    assert [(check.verdict, check.fix) for check in checks] == [
        ("missing", doctor.REINSTALL_AV),
        ("warning", doctor.REINSTALL_AV),
    ]


@pytest.mark.parametrize(
    ("flags", "verdict"), [("avx512f avx512_vnni", "ok"), ("avx_vnni", "ok"), ("avx512f", "warning"), ("", "warning")]
)
def test_processors(flags: str, verdict: str) -> None:
    check = doctor.check_cpu(CPUINFO.format(flags))
    assert check.verdict == verdict
    assert check.detail.startswith("A fine processor: avx2")


def test_a_machine_that_says_nothing_about_its_processor() -> None:
    assert doctor.check_cpu("").verdict == "warning"


def test_cores_memory_and_addresses() -> None:
    assert [doctor.check_cores(count).verdict for count in (1, 2)] == ["warning", "ok"]
    assert [doctor.check_memory(size).verdict for size in (2**29, 2**33)] == ["warning", "ok"]
    assert [doctor.check_addresses(each).verdict for each in ((), ("10.0.0.2",))] == ["warning", "ok"]


def test_udp_gets_through_here_and_not_to_another_machines_address() -> None:
    assert doctor.check_udp().verdict == "ok"
    check = doctor.check_udp("203.0.113.1")  # RFC 5737: documentation only, so it is not ours
    assert (check.verdict, check.fix != "") == ("missing", True)


def test_udp_that_is_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "sendto", lambda *_: 0)
    monkeypatch.setattr(doctor, "UDP_TIMEOUT_S", 0.01)
    assert doctor.check_udp().verdict == "missing"


@pytest.fixture
def busy() -> Iterator[int]:
    """A UDP port that another program has, with free ones around it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        yield port


def test_ports_that_can_be_bound_and_are_enough() -> None:
    free = next(port for port in range(42_000, 60_000) if doctor._can_bind(port))
    check = doctor.check_udp_ports(PortRange(free, free), 1)
    assert (check.verdict, check.detail) == ("ok", f"{free}-{free}: 1 of 1 can be bound, one for each viewer")
    few = doctor.check_udp_ports(PortRange(free, free), 2)
    assert (few.verdict, few.fix) == ("warning", "set udp_ports to 2 ports, or max_viewers to 1")


def test_ports_that_others_have(busy: int) -> None:
    assert doctor.check_udp_ports(PortRange(busy, busy), 1).verdict == "missing"
    first, last = max(1024, busy - 20), min(65_535, busy + 20)
    partly = doctor.check_udp_ports(PortRange(first, last), 1)
    assert partly.verdict == "warning"
    assert "has the others" in partly.fix


def test_no_fixed_ports_is_an_option() -> None:
    check = doctor.check_udp_ports(None, 64)
    assert check.verdict == "optional"
    assert "udp_ports" in check.fix


@pytest.mark.parametrize(
    ("public", "own", "ports", "verdicts", "says"),
    [
        ((), ("10.0.0.5",), None, ["optional"], "private addresses only"),
        ((), ("10.0.0.5", "2a00:1450::5"), None, ["ok"], "own"),
        ((), ("8.8.4.4",), None, ["ok"], "own"),
        (("203.0.113.9",), ("203.0.113.9",), None, ["ok"], "203.0.113.9 is one of this machine's"),
        (("203.0.113.9",), ("10.0.0.5",), RANGE, ["ok"], "NAT is assumed that forwards UDP 40000-40100"),
        (("203.0.113.9",), ("10.0.0.5",), None, ["warning"], "any port"),
        (("2001:db8::9",), ("10.0.0.5",), RANGE, ["warning"], "no IPv6 address here behind it"),
        (("203.0.113.9", "2001:db8::9"), ("10.0.0.5", "fd00::5"), RANGE, ["ok", "ok"], "NAT is assumed"),
    ],
)
def test_public_addresses(
    public: tuple[str, ...], own: tuple[str, ...], ports: PortRange | None, verdicts: list[str], says: str
) -> None:
    checks = list(doctor.check_public_address(public, own, ports))
    assert [check.verdict for check in checks] == verdicts
    for check in checks:
        assert says in check.detail
        assert bool(check.fix) == (check.verdict != "ok")


def test_ipv6_is_seen() -> None:
    assert doctor.check_ipv6(True, ("10.0.0.5", "2001:db8::5")) == Check("network", "IPv6", "ok", "2001:db8::5")
    assert doctor.check_ipv6(True, ("10.0.0.5",)).verdict == "ok"
    off = doctor.check_ipv6(False, ("2001:db8::5",))
    assert (off.verdict, off.fix) == ("optional", "set ipv6 = true")


def test_turn_is_an_option() -> None:
    assert doctor.check_turn(()).verdict == "optional"
    assert doctor.check_turn(("turn:turn.example.net",)).verdict == "ok"


def test_the_settings_of_the_server_are_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    given = Settings(turn_urls="turn:turn.example.net", turn_secret="north")  # type: ignore[arg-type]
    assert {check.name: check for check in doctor.check_reachability(given)}["TURN"].verdict == "ok"
    # Half of a TURN server: what is missing is said with the settings, and nothing is guessed.
    monkeypatch.setenv("STREAMGEN_TURN_URLS", "turn:turn.example.net")
    (check,) = doctor.check_reachability(None)
    assert (check.name, check.verdict) == ("settings", "missing")
    assert "turn_secret: turn_urls needs it" in check.detail


def found(name: str, **changes: object) -> Check | None:
    checks = {check.name: check for check in doctor.check_access(Settings(**changes))}  # type: ignore[arg-type]
    return checks.get(name)


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({}, "optional", "everybody on this machine"),
        ({"host": "0.0.0.0"}, "optional", "new at each start"),
        ({"host": "0.0.0.0", "operator_token": "correct horse battery"}, "optional", "only the operator's"),
        ({"token_secret": "a" * 64}, "warning", "can be guessed"),
        ({"token_secret": SECRET, "token_secrets_previous": "a" * 64}, "warning", "can be guessed"),
        ({"token_secret": SECRET}, "ok", "set"),
        ({"token_secret": SECRET, "token_secrets_previous": SECRET[::-1]}, "ok", "1 older accepted"),
    ],
)
def test_a_secret_that_is_missing_or_weak(changes: dict[str, object], verdict: str, words: str) -> None:
    check = found("token secret", **changes)
    assert check is not None
    assert (check.verdict, words in check.detail) == (verdict, True), check
    assert bool(check.fix) == (verdict != "ok")
    for secret in ("a" * 64, SECRET):
        assert secret not in check.detail + check.fix


def test_visitors_that_nobody_can_tell_apart() -> None:
    proxied: dict[str, object] = {"allowed_hosts": "stage.example", "anonymous": "vote"}
    check = found("visitors", **proxied)
    assert check is not None
    assert "trusted_proxies" in check.fix
    assert found("visitors", **proxied, trusted_proxies="127.0.0.1") is None
    assert found("visitors", allowed_hosts="stage.example", anonymous="watch") is None


def test_a_page_that_is_not_installed(tmp_path: Path) -> None:
    assert doctor.check_page(None).verdict == "warning"
    assert doctor.check_page(tmp_path).verdict == "warning"


def test_only_what_is_missing_makes_it_unhealthy() -> None:
    for verdict, healthy in (("ok", True), ("optional", True), ("warning", True), ("missing", False)):
        assert doctor.healthy([Check("a", "b", verdict, "c")]) is healthy  # type: ignore[arg-type]


class Machine:
    """Takes so long for a step of each bundle, and for what comes behind; longer where pictures are enlarged."""

    def __init__(self, *, enlarging: float = 0, **step_ms: float) -> None:
        self.enlarging, self.step_ms = enlarging, step_ms

    def __call__(self, bundle: Bundle, *, steps: int, upscale: bool) -> Speed:
        rest_ms = 50 + (self.enlarging if upscale else 0)
        return Speed(steps, denoise_ms=steps * self.step_ms[bundle.manifest.name], rest_ms=rest_ms, chunk_ms=320)


@pytest.fixture(scope="module")
def siblings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("siblings")
    write_tiny_bundle(folder / "tinier", name="tinier")
    return write_tiny_bundle(folder / "tiny", smaller="tinier")


@pytest.mark.parametrize(
    ("machine", "verdict", "detail"),
    [
        (Machine(tiny=60), "ok", "tiny, 160x96: 1.33 times real time with 4 of 4 steps"),
        (Machine(tiny=100), "warning", "tiny, 160x96: 1.60 times real time with 2 of 4 steps"),
        (Machine(tiny=250), "warning", "tiny, 160x96: 1.28 times real time with 1 of 4 steps"),
        (Machine(tiny=400, tinier=40), "warning", "tinier, 160x96: 2.00 times real time with 4 of 4 steps"),
        (Machine(tiny=400, tinier=400), "warning", "too slow to play without interruptions"),
    ],
    ids=["fast", "half the steps", "one step", "the smaller one", "too slow"],
)
def test_the_doctor_goes_down_the_same_ladder_as_serving(
    siblings: Path, machine: Machine, verdict: str, detail: str
) -> None:
    check = doctor.check_speed(siblings, machine)
    assert check.verdict == verdict
    assert detail in check.detail
    assert bool(check.fix) == (verdict == "warning")


@pytest.mark.parametrize(
    ("machine", "verdict", "detail"),
    [
        (Machine(tiny=60, enlarging=100), "ok", "tiny, 320x192: 1.33 times real time with 4 of 4 steps"),
        (Machine(tiny=60, enlarging=400), "warning", "tiny, 160x96: 1.33 times real time with 4 of 4 steps"),
        (Machine(tiny=400, tinier=40, enlarging=400), "warning", "tinier, 160x96: 2.00 times real time"),
    ],
    ids=["fast", "not enlarged", "the smaller one"],
)
def test_what_enlarges_pictures_is_left_out_before_a_step_is(
    tmp_path: Path, machine: Machine, verdict: str, detail: str
) -> None:
    write_tiny_bundle(tmp_path / "tinier", name="tinier")
    larger = add_upscaler(write_tiny_bundle(tmp_path / "tiny", smaller="tinier"))
    check = doctor.check_speed(larger.root, machine, upscale=lambda manifest: True)
    assert (check.verdict, bool(check.fix)) == (verdict, verdict == "warning")
    assert detail in check.detail


def test_what_cannot_be_measured_is_a_finding_and_no_crash(siblings: Path, tmp_path: Path) -> None:
    def without_encoder(bundle: Bundle, *, steps: int, upscale: bool) -> Speed:
        raise EncoderUnavailableError("this build of PyAV lacks libvpx")

    check = doctor.check_speed(siblings, without_encoder)
    assert check.verdict == "warning"
    assert "lacks libvpx" in check.detail
    assert doctor.check_speed(tmp_path / "nothing").verdict == "warning"


def test_the_slower_thread_decides() -> None:
    assert Speed(4, denoise_ms=100, rest_ms=160, chunk_ms=320).realtime_ratio == 2
    assert Speed(4, denoise_ms=320, rest_ms=160, chunk_ms=320).realtime_ratio == 1


def test_speed_is_measured_on_the_real_stages(siblings: Path) -> None:
    found = measure(Bundle.open(siblings), steps=2, chunks=2)
    assert found.steps == 2
    assert found.chunk_ms == 320
    assert found.denoise_ms > 0
    assert found.rest_ms > 0
