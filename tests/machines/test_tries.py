"""What many tries say of an outage."""

from machines.tries import BROKEN, Try, failures, outage, unexpected


def test_an_outage_lasts_from_the_fault_until_the_last_request_that_failed() -> None:
    tries = [
        Try("message", 8.0, 8.1, 202, first=8.0),
        Try("message", 10.5, 11.0, 503, retry_after=True, first=10.5),
        Try("message", 12.0, 12.5, 202, first=10.25),
        Try("message", 12.4, 13.0, 503, retry_after=True, first=12.4),
        Try("message", 14.0, 14.5, 202, first=12.4),
        Try("search", 12.0, 30.0, 503, retry_after=True, first=12.0),
    ]
    found = outage(tries, "message", struck=10.0)
    assert (found.until_answered, found.until_all_answered, found.longest_wait, found.failed) == (2.5, 3.0, 2.25, 2)


def test_without_a_failure_there_is_no_outage() -> None:
    found = outage([Try("search", 10.0, 10.25, 200, first=10.0)], "search", struck=9.0)
    assert (found.until_answered, found.until_all_answered, found.longest_wait, found.failed) == (0.0, 0.0, 0.25, 0)


def test_what_a_client_is_not_told_to_try_again_is_unexpected() -> None:
    tries = [
        Try("message", 0.0, 0.1, 202),
        Try("message", 0.0, 0.1, 503, retry_after=True),
        Try("message", 0.0, 0.1, 503),
        Try("search", 0.0, 0.1, BROKEN, reason="ConnectionResetError"),
        Try("search", 0.0, 0.1, 500),
    ]
    assert unexpected(tries) == {"message: 503": 1, "search: ConnectionResetError": 1, "search: 500": 1}
    assert sum(failures(tries).values()) == 4
