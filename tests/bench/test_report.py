import pytest

from bench import record, report
from tests.bench.records import generated, run, served, summary


def test_the_page_shows_the_newest_results() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    assert report.replaced(page, record.read()) == page, "run `python -m bench.report`"


def test_only_the_marked_part_is_replaced() -> None:
    page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    made = report.replaced(page, [run("serve", served()), run("generate", generated())])
    assert made.startswith(f"before\n{report.BEGIN}\n")
    assert made.endswith(f"{report.END}\nafter\n")
    assert "old" not in made
    assert report.replaced(made, [run("serve", served()), run("generate", generated())]) == made


def test_figures_are_those_of_the_last_run() -> None:
    older = run("serve", served() | {"prompt_to_photon_ms": summary(333)})
    newer = run("serve", served() | {"prompt_to_photon_ms": summary(555)})
    made = report.block([older, newer, run("generate", generated())])
    assert "| prompt to photon (p95) | 655 ms | at most 1500 ms | yes |" in made
    assert "433 ms" not in made
    assert "| 4 | 1.5 | 9 | 2.25 |" in made
    assert "commit 0123456789;" in made


def test_the_last_runs_over_a_good_and_over_a_bad_network_are_shown() -> None:
    def read(median_ms: float, loss: float, delay: float = 0.0) -> record.Record:
        made = run("latency", {"due_to_glass_ms": {"p50": median_ms}})
        return made | {"settings": {"minutes": 4.0, "loss": loss, "delay": delay}}

    made = report.block([read(90.0, 0.0), read(99.0, 0.0), read(200.0, 0.0, 100.0), read(150.0, 5.0)])
    good, bad = made.split("### Through a bad network")
    assert "| due to glass (median) | 99 ms |" in good
    assert "90 ms" not in good
    assert "| due to glass (median) | 150 ms |" in bad


def test_a_run_of_changed_code_and_a_part_that_failed_are_told() -> None:
    made = report.block([run("serve", {}, dirty=True, failures=["arrival of packets: TimeoutError: "])])
    assert "with uncommitted changes" in made
    assert "- arrival of packets: TimeoutError" in made
    assert "not measured" in made


def test_without_a_run_there_are_no_figures() -> None:
    assert "No run has been recorded yet" in report.block([])


@pytest.mark.parametrize("page", ["", report.BEGIN, report.END])
def test_a_page_without_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="marks"):
        report.replaced(page, [])
