import json

from streamgen.http.problem import PROBLEM_TYPE, problem


def test_a_problem_says_what_it_is_and_what_to_do() -> None:
    response = problem(503, "come again", headers={"Retry-After": "2"})
    assert (response.status_code, response.headers["content-type"]) == (503, PROBLEM_TYPE)
    assert response.headers["retry-after"] == "2"
    assert json.loads(bytes(response.body)) == {
        "status": 503,
        "title": "Service Unavailable",
        "detail": "come again",
    }


def test_a_kind_of_problem_can_have_its_own_title() -> None:
    assert json.loads(bytes(problem(404, "gone", title="No such WHEP session").body))["title"] == "No such WHEP session"
