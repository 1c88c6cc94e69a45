"""What it costs to judge a target, by the number of rules; run in the Python of the measured revision."""

import json
import subprocess
import textwrap
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.programs import LoadFailed

_GIVE_UP_SECONDS = 120
#: Prints the microseconds of one judgement: the median of 21 series, over targets that are allowed, denied by
#: a name and denied by a block. Nothing is resolved or dialled.
_SCRIPT = textwrap.dedent(
    """
    import json, statistics, sys, time
    from portofcall.egress.local_networks import LocalNetworks
    from portofcall.egress.policy import Policy
    from portofcall.target import Target

    rules = int(sys.argv[1])
    kinds = "*.zone{n}.example", "host{n}.example:443", "198.18.{high}.{low}"
    deny = [kinds[n % 3].format(n=n, high=n // 256, low=n % 256) for n in range(rules - 1)]
    policy = Policy.parse(allow=["public"], deny=deny)
    local = LocalNetworks()
    last = rules - 2
    targets = [
        Target.parse("8.8.8.8", 443),
        Target.parse("www.example.org", 443),
        Target.parse(f"www.zone{last - last % 3}.example", 443),
        Target.parse("198.18.0.2", 443),
    ]
    series = []
    for _ in range(21):
        started = time.perf_counter()
        count = 0
        while time.perf_counter() - started < 0.02:
            for target in targets:
                policy.judge(target, local)
            count += len(targets)
        series.append((time.perf_counter() - started) / count * 1e6)
    print(json.dumps(statistics.median(series)))
    """
)


def microseconds_per_judgement(python: Sequence[str | Path], rules: int) -> float:
    """Measure how long the policy takes to judge a target.

    Args:
        python: the words that start the Python where the gateway is installed.
        rules: of the policy.

    Raises:
        LoadFailed: the revision has no such policy.
    """
    command = [*python, "-c", _SCRIPT, str(rules)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_GIVE_UP_SECONDS, check=False)
    if done.returncode:
        raise LoadFailed(f"policy: {done.stderr.strip()}")
    return float(json.loads(done.stdout))
