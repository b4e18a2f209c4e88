"""Bucket versioning."""

from __future__ import annotations

import pytest

from unit.s3.world import World, refused


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_status_is_kept_and_moves_the_change_counter(world: World, status: str) -> None:
    world.bucket()
    before = world.stamp()
    world.call(
        "PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": status, "MFADelete": "Disabled"}
    )
    assert world.output("GetBucketVersioning", Bucket="bucket") == {"Status": status}
    assert world.stamp() > before


@pytest.mark.parametrize(
    ("configuration", "code"),
    [
        ({}, "IllegalVersioningConfigurationException"),
        (None, "IllegalVersioningConfigurationException"),
        ({"Status": "Disabled"}, "MalformedXML"),
        ({"Status": "enabled"}, "MalformedXML"),
        ({"Status": "Enabled", "MFADelete": "Enabled"}, "NotImplemented"),
    ],
)
def test_other_configurations_are_refused_and_change_nothing(
    world: World, configuration: dict | None, code: str
) -> None:
    world.bucket()
    before = world.stamp()
    with refused(code):
        world.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration=configuration)
    assert world.output("GetBucketVersioning", Bucket="bucket") == {}
    assert world.stamp() == before


def test_mfa_header_is_not_ignored(world: World) -> None:
    world.bucket()
    with refused("NotImplemented"):
        world.call(
            "PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Enabled"}, MFA="serial 123456"
        )
