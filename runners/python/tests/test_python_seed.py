"""The Python steps of the seed document, unchanged, with stand-ins for what they import."""

from __future__ import annotations

import datetime
import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from runners.python.tests.harness import Runner, payload, value

Start = Callable[..., Runner]

SEED = Path(__file__).parents[3] / "tests" / "flows" / "seed"
SENTIMENT = "steps/analyze_sentiment.step.py"
ANALYTICS = "steps/generate_analytics.step.py"


def seed(*paths: str) -> dict[str, str]:
    """Files of the seed project as a table."""
    return {path: (SEED / path).read_text(encoding="utf-8") for path in paths}


def test_the_sentiment_step_tells_of_its_missing_import_in_its_own_way(start: Start) -> None:
    runner = start(seed("transformers.py", SENTIMENT))

    result = runner.event(SENTIMENT, {"reviewId": "r1", "text": "lovely", "userId": "u1"})

    assert result is None
    (emitted,) = [params for method, params in runner.asked if method == "emit"]
    assert emitted["topic"] == "analysis.failed"
    assert value(emitted["data"]) == {"reviewId": "r1", "error": "name 'datetime' is not defined"}
    assert runner.messages(level="info") == ["Analyzing sentiment for review r1"]
    assert runner.messages(level="error") == [
        "Sentiment analysis failed: name 'datetime' is not defined"
    ]


@pytest.mark.parametrize("pandas", ["stand-in", "installed"])
def test_the_analytics_step_reads_a_group_and_writes_its_figures(pandas: str, start: Start) -> None:
    if pandas == "installed" and importlib.util.find_spec("pandas") is None:
        pytest.skip("pandas is not installed")
    runner = start(seed(*(["pandas.py", "numpy.py"] if pandas == "stand-in" else []), ANALYTICS))
    today = datetime.datetime.now().isoformat()
    for id, product, amount in (("1", "tea", 10), ("2", "tea", 20), ("3", "cup", 30)):
        order = {"id": id, "productId": product, "amount": amount, "createdAt": today}
        runner.state["orders", id] = payload(order)

    runner.wait(runner.invoke(ANALYTICS, "cron", {"scheduled": 0}))

    assert runner.messages(level="error") == []
    (emitted,) = [value(params["data"]) for method, params in runner.asked if method == "emit"]
    assert emitted == value(runner.state["analytics", "weekly"])
    assert (emitted["totalOrders"], emitted["weeklyOrders"]) == (3, 3)
    assert emitted["averageOrderValue"] == 20.0
    assert emitted["topProducts"] == {"tea": 2, "cup": 1}


def test_the_analytics_step_says_when_there_is_nothing_to_do(start: Start) -> None:
    runner = start(seed("pandas.py", "numpy.py", ANALYTICS))

    runner.wait(runner.invoke(ANALYTICS, "cron", {"scheduled": 0}))

    assert runner.messages() == ["No orders data available"]
