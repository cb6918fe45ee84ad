"""cluster.yaml without AWS: Ray's own offline check, and what that check does not see.

What a reader gets wrong: Ray accepts an instance type that is no string and a per-type maximum that the
global one can never reach; both cost an evening on a real cluster, so they are checked here.
"""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    return loaded


def workers(cluster: dict[str, Any]) -> dict[str, Any]:
    return {n: t for n, t in cluster["available_node_types"].items() if n != cluster["head_node_type"]}


def is_spot(node_type: dict[str, Any]) -> bool:
    return bool(node_type["node_config"].get("InstanceMarketOptions", {}).get("MarketType") == "spot")


def test_ray_accepts_the_file_offline(cluster: dict[str, Any]) -> None:
    validate_config(prepare_config(copy.deepcopy(cluster)))


def test_rays_check_would_notice_a_misspelt_key(cluster: dict[str, Any]) -> None:
    broken = copy.deepcopy(cluster)
    broken["available_node_types"]["cpu_spot"]["max_worker"] = 3
    with pytest.raises(jsonschema.ValidationError):
        validate_config(prepare_config(broken))


def test_the_head_takes_no_tasks_and_is_not_a_spot_instance(cluster: dict[str, Any]) -> None:
    head = cluster["available_node_types"][cluster["head_node_type"]]
    assert head["resources"] == {"CPU": 0, "GPU": 0}
    assert not is_spot(head)


def test_instance_types_and_images_are_strings_of_the_form_that_ec2_knows(cluster: dict[str, Any]) -> None:
    for name, node_type in cluster["available_node_types"].items():
        assert re.fullmatch(r"[a-z]+\d[a-z\d-]*\.\w+", node_type["node_config"]["InstanceType"]), name
        assert node_type["node_config"]["ImageId"].startswith(("ami-", "resolve:ssm:/aws/service/")), name


def test_no_type_may_grow_beyond_the_cluster_and_minima_fit(cluster: dict[str, Any]) -> None:
    for name, node_type in workers(cluster).items():
        assert 0 <= node_type["min_workers"] <= node_type["max_workers"] <= cluster["max_workers"], name
    assert sum(t["min_workers"] for t in workers(cluster).values()) <= cluster["max_workers"]


def test_spot_types_have_an_on_demand_twin_of_equal_resources_and_lower_priority(
    cluster: dict[str, Any],
) -> None:
    types = workers(cluster)
    spots = [name for name in types if is_spot(types[name])]
    assert spots
    for name in spots:
        twin = types[name.replace("_spot", "_on_demand")]
        assert not is_spot(twin)
        assert twin["resources"] == types[name]["resources"]
        assert twin["node_config"]["InstanceType"] == types[name]["node_config"]["InstanceType"]
        assert types[name]["priority"] > twin["priority"]


def test_gpus_are_paid_for_only_while_a_job_asks_for_them(cluster: dict[str, Any]) -> None:
    gpu_types = [t for t in workers(cluster).values() if t["resources"].get("GPU")]
    assert gpu_types
    assert all(t["min_workers"] == 0 for t in gpu_types)


def test_ray_starts_inside_the_environment_with_token_authentication(cluster: dict[str, Any]) -> None:
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        start = next(command for command in cluster[key] if "ray start" in command)
        assert start.index("activate") < start.index("ray start")
        assert "RAY_AUTH_MODE=token" in start
    assert "--dashboard-host=127.0.0.1" in " ".join(cluster["head_start_ray_commands"])


def test_every_mounted_file_of_the_repository_exists(cluster: dict[str, Any]) -> None:
    local = [path for path in cluster["file_mounts"].values() if path.startswith("./")]
    assert len(local) == 5
    for path in local:
        assert (ROOT / path).is_file(), path
