"""The installed botocore's models, compiled once per session."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from s3al.wire.model import compile_service
from s3al.wire.operations import ALLOWED
from s3al.wire.plan import ServicePlan
from s3al.wire.quirks import quirks_of
from s3al.wire.router import Router

SERVICES = ("s3", "kms", "sts", "iam", "cloudtrail")


@pytest.fixture(scope="session")
def models() -> Mapping[str, ServiceModel]:
    loader = Loader()
    return {name: ServiceModel(loader.load_service_model(name, "service-2"), name) for name in SERVICES}


@pytest.fixture(scope="session")
def plans(models) -> Mapping[str, ServicePlan]:
    """As served: only what is allow-listed."""
    return {
        name: compile_service(model._service_description, operations=ALLOWED[name], quirks=quirks_of(name))
        for name, model in models.items()
    }


@pytest.fixture(scope="session")
def router(plans) -> Router:
    return Router(plans.values(), domain="s3.example")
