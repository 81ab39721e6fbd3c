"""A recorded trace on a live platform, beside what the simulator says of the same requests."""

import json
import pathlib

EXCERPT = pathlib.Path(__file__).resolve().parents[2] / "crates" / "sim" / "tests" / "data" / "azure2019"
POLICY = '\n[policy]\nname = "60x:fixed:2m"\n[limits]\nnode_memory_mb = 50000\n'


def test_the_simulator_foretells_what_a_platform_does(new_platform, tmp_path):
    platform = new_platform(POLICY)
    told = platform.pilot(
        "replay", EXCERPT, "--minutes", "15", "--most", "20", "--runtime", "python", "--memory", "512",
        "--without-templates", "--output", "json",
    )
    report = json.loads(told.stdout)
    live, simulated = report["live"], report["simulated"]
    assert report["policy"] == "60x:fixed:2m" and report["left_out"] > 0
    assert live["failed"] == 0 and live["requests"] == simulated["requests"] > 300
    # Keep-alive ends for those that are called seldom and not for those that are called all the time.
    for side in (live, simulated):
        assert 0.2 < side["started"]["by_function"] < 0.8, side
        assert side["starts"]["zygote"] > 0.9 * (side["requests"] - side["starts"]["warm"]), side
    # On a busy machine some request comes while another still runs that would not have; hardly more.
    assert abs(report["differs"]["started"]["by_function"]) < 0.2, report
    assert abs(live["started"]["by_request"] - simulated["started"]["by_request"]) < 0.02, report
    slowest = report["slowest"][0]
    assert slowest["phases"] and slowest["start_us"] >= report["slowest"][-1]["start_us"]
    assert platform.client().list_functions()["Functions"] == []


def test_a_replay_wants_a_policy_at_its_own_speed(platform):
    refused = platform.pilot("replay", EXCERPT, "--minutes", "1", check=False)
    assert refused.returncode == 2 and 'name = "60x:pilot:node"' in refused.stderr, refused
    names = [function["FunctionName"] for function in platform.client().list_functions(MaxItems=50)["Functions"]]
    assert not [name for name in names if name.startswith("replay-")]
