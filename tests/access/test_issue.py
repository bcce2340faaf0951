import csv
import io

import pytest

from streamgen.access.issue import MAX_COUNT, as_csv, issue, read_duration, read_roles, subjects
from streamgen.access.keys import TokenKeys
from streamgen.access.tokens import read_token

KEYS = TokenKeys(["0123456789abcdef0123456789abcdef"])
NOW_S = 1_785_400_000.0


def test_durations() -> None:
    assert [read_duration(text) for text in ("90s", "30m", "4h", "7d", " 1d ")] == [90, 1800, 14_400, 604_800, 86_400]
    for text in ("", "4", "h", "4 h", "-4h", "0s", "367d", "1w", "9999999999d", "٤h"):
        with pytest.raises(ValueError, match="30m"):
            read_duration(text)


def test_roles() -> None:
    assert read_roles(["vote", "propose", "vote"]) == {"vote", "propose"}
    for names in ([], ["emperor"], ["vote", ""]):
        with pytest.raises(ValueError, match="watch, propose, vote, operate, publish, admin"):
            read_roles(names)


def test_subjects() -> None:
    assert subjects("seat-12", 1) == ("seat-12",)
    assert subjects("seat", 10)[0::9] == ("seat-01", "seat-10")
    assert len(set(subjects(None, 500))) == 500
    for subject, count in (("", 1), ("a\nb", 1), ("x" * 64, 2), ("a", 0), ("a", MAX_COUNT + 1)):
        with pytest.raises(ValueError, match=r"characters|count"):
            subjects(subject, count)


def test_every_token_holds_for_its_subject_and_time() -> None:
    names = subjects("seat", 3)
    issued = list(issue(KEYS, names, roles=frozenset({"vote"}), lifetime_s=60, now_s=NOW_S, channel="main"))
    read = [read_token(KEYS, each.token, channel="main", now_s=NOW_S + 59) for each in issued]
    assert [each.subject for each in read] == ["seat-1", "seat-2", "seat-3"]
    assert len({each.token_id for each in read}) == 3
    assert {(each.expires_at, each.channel) for each in read} == {(NOW_S + 60, "main")}


def test_a_table_of_links() -> None:
    issued = list(issue(KEYS, ["Ann, row 1"], roles=frozenset({"vote", "propose"}), lifetime_s=60, now_s=NOW_S))
    (row,) = csv.DictReader(io.StringIO(as_csv(issued, "https://stage.example/")))
    assert (row["subject"], row["roles"], row["expires"]) == ("Ann, row 1", "propose vote", str(int(NOW_S + 60)))
    assert row["link"] == f"https://stage.example/#token={row['token']}"
    assert read_token(KEYS, row["token"], channel="main", now_s=NOW_S).subject == "Ann, row 1"
