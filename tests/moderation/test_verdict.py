from streamgen.moderation.verdict import ALLOWED, Evidence, Verdict, strictest


def test_the_strictest_wins_with_the_evidence_of_all() -> None:
    hold = Verdict("hold", "a", "A.", (Evidence("rules", "one"),))
    refuse = Verdict("refuse", "b", "B.", (Evidence("similarity", "two", score=0.5),))
    assert strictest((hold, ALLOWED, refuse)) == Verdict("refuse", "b", "B.", hold.evidence + refuse.evidence)


def test_the_first_of_equals_wins() -> None:
    assert strictest((Verdict("hold", "a"), Verdict("hold", "b"))).category == "a"
    assert strictest(()) == ALLOWED
