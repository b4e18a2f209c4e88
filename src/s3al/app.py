"""The one place where the parts are put together.

What lives here: `prepare` (in the main process: the store is made or opened by the process that holds the root, the
operator's account ensured, the protocols compiled) and `worker` (in each forked process: database, blobs,
services, pipeline). What does not: any of the parts.

Laws: the main process keeps no connection and no thread when it forks; neither it nor a worker ever holds the root,
only the catalog key, and materials that it asked the root's process to open; nothing secret passes through arguments
or environment, a worker inherits it by fork; what only one process may do, it does under the store lock.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from botocore.loaders import Loader

from s3al.config import ServeConfig
from s3al.errors import S3alError
from s3al.explain.ports import Explaining, StoreFacts
from s3al.explain.service import OPERATIONS as EXPLAINING
from s3al.first_steps import banner, store_credentials
from s3al.iam import accounts as iam_accounts
from s3al.iam import admin, sts
from s3al.iam.access import authorizer
from s3al.iam.errors import IAM_ERRORS
from s3al.iam.operations import OPERATIONS as IAM_OPERATIONS
from s3al.iam.ports import Iam
from s3al.kms import own as kms_own
from s3al.kms import store_keys
from s3al.kms.data_keys import DataKeys
from s3al.kms.destruction import Destruction
from s3al.kms.jobs import jobs_of
from s3al.kms.ledger import Ledger, ledger_path
from s3al.kms.materials import Materials
from s3al.kms.ports import Kms
from s3al.kms.root import RootPort, StoreKeys
from s3al.kms.root_socket import RemoteRoot
from s3al.kms.seals.opening import SealChoice
from s3al.kms.service import kms_service
from s3al.kms.service_key import ServiceKeys, ensure_service_key
from s3al.s3 import operations as s3_operations
from s3al.s3 import own as s3_own
from s3al.s3.access import authorize as s3_authorize
from s3al.s3.errors import S3_ERRORS
from s3al.s3.lifecycle import expiring
from s3al.s3.ports import S3
from s3al.s3.records import Records
from s3al.s3.state import BucketStates
from s3al.server import own_api
from s3al.server.asgi import AsgiApp, Edge, Request, Response
from s3al.server.browser import SPECIAL, add_cors_headers
from s3al.server.gateway import Gateway
from s3al.server.health import health_page
from s3al.server.logs import Log
from s3al.server.metrics import KMS_CALLS, Metrics
from s3al.server.root_keeper import RootKeeper
from s3al.server.tuning import give_back_memory, settle_collector, tune_threads_and_memory
from s3al.service.clock import Clock
from s3al.service.credentials import Credentials
from s3al.service.in_flight import InFlight
from s3al.service.operation import Service, bound
from s3al.service.refusals import Refusals
from s3al.service.tending import Jobs, Tending
from s3al.store import accounts, catalog, schema, trail_chains
from s3al.store.accounts import AccountRow
from s3al.store.database import Rows
from s3al.store.files import FileBlobs
from s3al.store.layout import StoreFolder, StoreLock, create_folder, lock_store
from s3al.store.sqlite import SqliteDatabase
from s3al.trail import lookup
from s3al.trail import own as trail_own
from s3al.trail.chain import ChainWriter
from s3al.trail.checkpoints import CheckpointFile, ensure_signer, find_signer
from s3al.trail.errors import TRAIL_ERRORS
from s3al.trail.keeper import Checkpointer, Keeper
from s3al.trail.ports import TrailPorts
from s3al.trail.reading import TrailFolder
from s3al.trail.recorder import Trail
from s3al.wire.model import compile_service
from s3al.wire.operations import ALLOWED
from s3al.wire.plan import ServicePlan
from s3al.wire.quirks import quirks_of
from s3al.wire.router import Router

_SERVED = ("s3", "kms", "sts", "iam", "cloudtrail")
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the main process hands to its workers, and to whoever started it."""

    config: ServeConfig
    folder: StoreFolder
    store_lock: StoreLock
    plans: tuple[ServicePlan, ...]
    log: Log
    metrics: Metrics
    banner_lines: list[str]
    root: RootKeeper
    store_id: bytes
    catalog_key: bytes = field(repr=False)


def prepare(config: ServeConfig, root: RootKeeper) -> Prepared:
    """Have the root's process make or open the store. Raises ConfigError, IntegrityError or StoreError; nothing secret
    is in the messages."""
    log = Log(show_names=config.log_names)
    folder = create_folder(config.data)
    lock = lock_store(folder)
    seal = seal_choice(config)
    root.begin(folder.path, seal)
    plans = tuple(compile_plan(service) for service in _SERVED)  # the seal is opened meanwhile
    store_id, catalog_key = root.opened()
    schema.prepare(folder, catalog_key)
    for plan in plans:
        for name in plan.missing:
            log.event("operation_missing", level="warning", service=plan.service, operation=name)
    lines = seal.protection(store_id, folder.path)
    prepared = Prepared(
        config, folder, lock, plans, log, Metrics(config.workers + 2), lines, root, store_id, catalog_key
    )
    lines += _ensure_operator(prepared)
    lines += banner(config, store_id)
    return prepared


def seal_choice(config: ServeConfig) -> SealChoice:
    return SealChoice(config.root_key, config.config_home.parent)


def open_keys(folder: StoreFolder, config: ServeConfig) -> StoreKeys:
    """All keys of a stopped store in this process, by its keyfile, found as every command finds it."""
    return store_keys.open_keys(folder, seal_choice(config), random=secrets.token_bytes)


def open_database(folder: StoreFolder, catalog_key: bytes) -> SqliteDatabase:
    return SqliteDatabase(folder.catalog, catalog_key, folder.locks)


def compile_plan(service: str) -> ServicePlan:
    document = Loader().load_service_model(service, "service-2")
    return compile_service(document, operations=ALLOWED[service], quirks=quirks_of(service))


def _ensure_operator(prepared: Prepared) -> list[str]:
    """Make the operator's account if there is none, and replace its root access key if the environment says so. Returns
    what to tell the operator. A new key is in its file before it is committed: none is ever lost with a crash."""
    database = open_database(prepared.folder, prepared.catalog_key)
    root = prepared.root.connect()
    clock = Clock()
    behind_ms = database.read_now(clock.load)
    if behind_ms > 15 * 60 * 1000:
        prepared.log.event("clock_behind", level="warning", behind_ms=behind_ms)
    given = prepared.config.root_credentials
    wanted = iam_accounts.AccessKey(given.access_key_id, given.secret_access_key) if given else None

    def service_key(rows: Rows) -> None:
        ensure_service_key(rows, root, now_ms=clock(), random=secrets.token_bytes)

    try:
        database.write_now(service_key)
        server_key = ServiceKeys(database, root, store_id=prepared.store_id, random=secrets.token_bytes)
        credentials = Credentials(server_key)
        server_key.current_material()

        def operator(rows: Rows) -> list[str]:
            clock.persist(rows)
            account = accounts.find_operator(rows)
            made = None
            if account is None:
                account = iam_accounts.create_account(
                    rows, iam_accounts.OPERATOR_NAME, now_ms=clock(), random=secrets.token_bytes, operator=True
                )
                made = wanted or iam_accounts.new_access_key(secrets.token_bytes)
            elif wanted and not _is_current(rows, credentials, account, wanted):
                made = wanted
            if made:
                iam_accounts.replace_root_key(rows, server_key, account, made, now_ms=clock())
            ensure_signer(rows, server_key, prepared.store_id)
            return store_credentials(prepared.config, prepared.store_id, account, made)

        return database.write_now(operator)
    finally:
        database.close()
        root.close()


def _is_current(rows: Rows, credentials: Credentials, account: AccountRow, wanted: iam_accounts.AccessKey) -> bool:
    row = accounts.find_access_key(rows, wanted.access_key_id)
    if row is None or row.account_id != account.account_id:
        return False
    return secrets.compare_digest(credentials.find(rows, wanted.access_key_id).secret, wanted.secret)


def worker(prepared: Prepared) -> AsgiApp:
    """The application of one worker process."""
    tune_threads_and_memory()
    config, folder = prepared.config, prepared.folder
    root = prepared.root.connect()
    database = open_database(folder, prepared.catalog_key)
    blobs = FileBlobs(folder.blobs)
    clock = Clock()
    database.read_now(clock.load)
    server_key = ServiceKeys(database, root, store_id=prepared.store_id, random=secrets.token_bytes)
    server_key.current_material()
    executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="s3al")
    ports = _trail_ports(prepared, database, server_key, executor, clock)
    trail, keeper = _trail(prepared, ports, blobs.incarnation)
    kms = _kms(prepared, database, root, trail)
    in_flight = InFlight()
    records = Records(prepared.store_id, server_key, secrets.token_bytes)
    s3 = _s3(prepared, blobs, kms, records=records, executor=executor, now_ms=clock)
    refusals = Refusals(database, clock, lambda error: prepared.log.failure("refusals", error))
    iam, key_store = Iam(database, server_key, clock), _key_store(prepared, database, root)
    explaining = Explaining(database, s3, kms, iam, _store_facts(prepared), clock, config.region, refusals=refusals)
    services = _services(explaining, key_store, ports)
    gateway = Gateway(
        router=Router(prepared.plans, domain=config.domain),
        services=services,
        own_plans=own_api.plans(services[own_api.SERVICE].operations),
        credentials=Credentials(server_key),
        db=database,
        now_ms=clock,
        in_flight=in_flight,
        metrics=prepared.metrics,
        log=prepared.log,
        host_id=prepared.store_id.hex(),
        special=SPECIAL,
        decorate=add_cors_headers,
        begin=_begin(server_key, trail),
        auditor=trail,
        refusals=refusals,
    )
    jobs = (*jobs_of(kms), server_key.rotate_if_due)
    tending = _tending(s3, in_flight, clock, log=prepared.log, jobs=jobs)

    async def respond(request: Request) -> Response:
        page = await health_page(request, ready=lambda: _ready(database, root), metrics=prepared.metrics)
        return page or await gateway.respond(request)

    async def stop() -> None:
        await tending.stop()
        await refusals.stop()
        await asyncio.get_running_loop().run_in_executor(executor, keeper.stop)
        database.close()
        root.close()
        blobs.close()
        executor.shutdown(wait=False)

    keeper.start()
    settle_collector()
    return Edge(respond, prepared.log, trusted_proxies=config.trusted_proxies, start=tending.start, stop=stop)


def _tending(s3: S3, in_flight: InFlight, clock: Clock, *, log: Log, jobs: Jobs) -> Tending:
    return Tending(
        s3.db,
        s3.blobs,
        in_flight,
        clock,
        log=log,
        executor=s3.executor,
        jobs=jobs,
        steps=(partial(expiring.step, s3),),
        rest=give_back_memory,
    )


def _begin(server_key: ServiceKeys, trail: Trail) -> Callable[[Rows], None]:
    """What every request's first read sees to."""

    def begin(rows: Rows) -> None:
        stamp = catalog.change_counter(rows)
        server_key.follow(rows, stamp)
        trail.follow(rows, stamp)

    return begin


def _s3(
    prepared: Prepared, blobs: FileBlobs, kms: Kms, *, records: Records, executor: Executor, now_ms: Clock
) -> S3:
    return S3(
        db=kms.db,
        blobs=blobs,
        store_id=prepared.store_id,
        records=records,
        kms=DataKeys(kms),
        executor=executor,
        buckets=BucketStates(),
        now_ms=now_ms,
        region=prepared.config.region,
        identities=kms.identities,
    )


def _kms(prepared: Prepared, database: SqliteDatabase, root: RemoteRoot, trail: Trail) -> Kms:
    return Kms(
        database,
        Materials(root, random=secrets.token_bytes),
        secrets.token_bytes,
        lambda operation: prepared.metrics.add(KMS_CALLS, operation=operation),
        destroying=Destruction(_ledger(prepared), database.truncate_wal),
        recorder=trail,
    )


def _trail_ports(
    prepared: Prepared, database: SqliteDatabase, server_key: ServiceKeys, executor: Executor, clock: Clock
) -> TrailPorts:
    path, store_id = prepared.folder.trail, prepared.store_id
    signer = database.read_now(lambda rows: find_signer(rows, server_key, store_id))
    assert signer is not None, "made before the first worker"
    return TrailPorts(
        db=database,
        folder=TrailFolder(path, server_key, store_id),
        checkpoints=CheckpointFile(path, server_key, store_id),
        signer=signer,
        executor=executor,
        now_ms=clock,
    )


def _trail(prepared: Prepared, ports: TrailPorts, incarnation: str) -> tuple[Trail, Keeper]:
    """The chain of one worker, and what keeps it."""
    folder, now_ms, log = ports.folder, ports.now_ms, prepared.log
    chain = ChainWriter(folder.path, folder.keys, folder.store_id, incarnation, now_ms=now_ms)
    checkpointer = Checkpointer(
        folder, ports.signer, now_ms=now_ms, listed=lambda: ports.db.read_now(trail_chains.list_chains)
    )

    def enlist() -> None:
        ports.db.write_now(lambda rows: trail_chains.begin_chain(rows, incarnation, now_ms()))

    trail = Trail(chain, now_ms=now_ms, executor=ports.executor, log=log, region=prepared.config.region)
    return trail, Keeper(chain, checkpointer, folder.path, enlist=enlist, log=log)


def _key_store(prepared: Prepared, database: SqliteDatabase, root: RemoteRoot) -> kms_own.KeyStore:
    return kms_own.KeyStore(database, root, prepared.folder.read_document, _ledger(prepared))


def _ledger(prepared: Prepared) -> Ledger:
    return Ledger(ledger_path(seal_choice(prepared.config).config_home, prepared.store_id))


def _store_facts(prepared: Prepared) -> StoreFacts:
    choice, folder = seal_choice(prepared.config), prepared.folder
    return StoreFacts(folder.read_document, lambda: choice.place(prepared.store_id, folder.path))


def _services(
    explaining: Explaining, key_store: kms_own.KeyStore, trail: TrailPorts
) -> Mapping[str, Service[Any]]:
    s3, kms, iam = explaining.s3, explaining.kms, explaining.iam
    own = bound(admin.OPERATIONS, iam) | bound(s3_own.OPERATIONS, s3) | bound(kms_own.OPERATIONS, key_store)
    own |= bound(trail_own.OPERATIONS, trail)
    explaining = replace(explaining, own_operations=frozenset({*own, *EXPLAINING}))
    own |= bound(EXPLAINING, explaining)
    looking = authorizer(lookup.OPERATIONS, s3.identities)
    return {
        "s3": Service("s3", s3, s3_operations.OPERATIONS, s3_authorize, S3_ERRORS),
        "kms": kms_service(kms),
        "iam": Service("iam", iam, IAM_OPERATIONS, authorizer(IAM_OPERATIONS, s3.identities), IAM_ERRORS),
        "sts": Service("sts", iam, sts.OPERATIONS, authorizer(sts.OPERATIONS, s3.identities), IAM_ERRORS),
        "cloudtrail": Service("cloudtrail", trail, lookup.OPERATIONS, looking, TRAIL_ERRORS),
        own_api.SERVICE: Service(
            own_api.SERVICE, None, own, authorizer(own, s3.identities), {**S3_ERRORS, **IAM_ERRORS}
        ),
    }


async def _ready(database: SqliteDatabase, root: RootPort) -> str | None:
    try:
        await database.read(catalog.change_counter)
    except Exception:  # noqa: BLE001  whatever keeps the catalog from answering means: not ready
        return "catalog"
    try:
        root.current_version  # noqa: B018  asked for: what was opened before is served, new keys are not
    except S3alError:
        return "root"
    return None
