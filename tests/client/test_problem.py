"""Every reason has its sentence, its slug and its exit status."""

import pytest

from portofcall.client.problem import Status, of_close_frame, of_response


@pytest.mark.parametrize(
    ("code", "reason", "status", "slug"),
    [
        (4400, "invalid-target: port: expected 1 to 65535", Status.USAGE, "invalid-target"),
        (4403, "blocked: 10.0.0.1 is private", Status.FORBIDDEN, "blocked"),
        (4404, "name-not-found: no address", Status.TARGET, "name-not-found"),
        (4429, "target-busy: too many", Status.TRY_LATER, "target-busy"),
        (4502, "refused: db:5432 refused the connection", Status.TARGET, "refused"),
        (4504, "connect-timeout: no answer", Status.TARGET, "connect-timeout"),
        (1011, "backend-reset: the backend reset the connection", Status.CUT_OFF, "backend-reset"),
        (1001, "the gateway is shutting down", Status.CUT_OFF, "going-away"),
        (4408, "idle-timeout: no data", Status.CUT_OFF, "idle-timeout"),
        (4999, "", Status.CUT_OFF, "closed"),
    ],
)
def test_a_close_frame_becomes_a_problem(code: int, reason: str, status: Status, slug: str) -> None:
    """The code decides on the exit status; the reason has the slug and the sentence."""
    problem = of_close_frame(code, reason)
    assert problem is not None
    assert (problem.status, problem.slug) == (status, slug)
    assert problem.sentence


@pytest.mark.parametrize("code", [None, 1000])
def test_a_tunnel_that_ended_well_is_no_problem(code: int | None) -> None:
    """1000 is a normal end (RFC 6455 §7.4.1), and so is a frame without a code."""
    assert of_close_frame(code, "") is None


def test_control_characters_of_a_gateway_are_escaped() -> None:
    """No escape sequence of a gateway reaches the terminal, and none is taken for a slug."""
    problem = of_close_frame(4403, "\x1b[31mred: \x07bell\nline")
    assert problem is not None
    assert str(problem).isprintable()
    assert problem.slug == "closed"


@pytest.mark.parametrize(
    ("http", "code", "status"),
    [
        (401, "unauthorized", Status.AUTHENTICATION),
        (403, "origin-refused", Status.FORBIDDEN),
        (403, "certificate-required", Status.AUTHENTICATION),
        (403, "blocked", Status.FORBIDDEN),
        (404, "unknown-target", Status.TARGET),
        (404, "not-found", Status.UNREACHABLE),
        (429, "too-many-requests", Status.TRY_LATER),
        (502, "refused", Status.TARGET),
        (502, None, Status.UNREACHABLE),
        (503, "draining", Status.TRY_LATER),
        (504, "connect-timeout", Status.TARGET),
    ],
)
def test_a_refusal_becomes_a_problem(http: int, code: str | None, status: Status) -> None:
    """The slug of the JSON decides, or the HTTP status where a proxy has answered."""
    assert of_response(http, error="because", code=code, retry_after=None).status is status


def test_retry_after_is_in_the_sentence() -> None:
    """Seconds are shown; a date or nonsense is ignored."""
    assert str(of_response(429, error="slow down", code="too-many-requests", retry_after="7")) == (
        "too-many-requests: slow down; try again in 7 seconds"
    )
    assert of_response(503, error="x", code="y", retry_after="Mon, 1 Jan").retry_after_seconds is None
    assert of_response(503, error="x", code="y", retry_after="9" * 50).retry_after_seconds is None


@pytest.mark.parametrize("code", [7, "Not A Slug", "", "x" * 41])
def test_a_body_that_is_no_gateways_is_not_shown(code: object) -> None:
    """What a captive portal writes into its JSON is not passed on."""
    problem = of_response(403, error="log in at http://portal", code=code, retry_after=None)
    assert str(problem) == "forbidden: the gateway refused with HTTP status 403"
