"""The map, kept: sizes, names, docstrings, and the one door to `Authorized`.

What import-linter keeps (who may import whom) is in pyproject.toml; `make check` runs both.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import s3al

PACKAGE = Path(s3al.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(PACKAGE)) for path in MODULES]

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
MAX_CLASS_LINES = 250
MAX_PARAMETERS = 5
MAX_FOLDER_MODULES = 40
BANNED = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "handler", "handlers"}

# A command's flags are its parameters.
COMMANDS = {name for name in NAMES if name.startswith("commands/")}
MANY_PARAMETERS = {"cli.py", "client/cli.py"} | COMMANDS

# Configuration comes from the environment in these places alone; the last finds endpoint and key as the AWS CLI does.
# A seal's secret is read by the process that opens it, and passes through no other.
READ_ENVIRONMENT = {
    *("config.py", "cli.py", "own_api_client.py", *(name for name in NAMES if name.startswith("commands/"))),
    "kms/seals/secret_source.py",
}

# Only these files may name the constructor; everybody else receives the value.
AUTHORIZED_MAKERS = {"auth/authorized.py"}

# Fields with a secret's name that hold it sealed.
SEALED = {"RootRecord.catalog_key"}

every_module = pytest.mark.parametrize("path", MODULES, ids=NAMES)


@every_module
def test_every_module_says_what_lives_in_it(path):
    docstring = ast.get_docstring(_parsed(path))
    assert docstring, "a module opens with a docstring: what lives here, what does not, the laws"
    assert len(docstring) > 30


@every_module
def test_no_file_is_too_long(path):
    assert len(path.read_text().splitlines()) <= MAX_FILE_LINES


@every_module
def test_no_function_or_class_is_too_long(path):
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert _lines(node) <= MAX_FUNCTION_LINES, node.name
        if isinstance(node, ast.ClassDef):
            assert _lines(node) <= MAX_CLASS_LINES, node.name


@every_module
def test_functions_take_few_parameters_by_position(path):
    if str(path.relative_to(PACKAGE)) in MANY_PARAMETERS:
        pytest.skip("flags of commands")
    for node in _functions(path):
        given = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        positional = [name for name in given if name not in ("self", "cls")]
        assert len(positional) <= MAX_PARAMETERS, f"{node.name}: make the rest keyword-only, or a value"


@every_module
def test_no_file_has_a_name_that_attracts_everything(path):
    assert path.stem not in BANNED
    assert not BANNED & set(path.relative_to(PACKAGE).parts)


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES}), ids=lambda path: path.name)
def test_no_room_outgrows_its_walls(folder):
    assert len(list(folder.glob("*.py"))) <= MAX_FOLDER_MODULES


def test_authorized_is_made_in_auth_alone():
    makers = set()
    for path in MODULES:
        for node in ast.walk(_parsed(path)):
            if isinstance(node, ast.Call) and _called(node) == "Authorized":
                makers.add(str(path.relative_to(PACKAGE)))
    assert makers <= AUTHORIZED_MAKERS


@every_module
def test_nobody_reads_the_environment_but_config_and_the_command(path):
    if str(path.relative_to(PACKAGE)) in READ_ENVIRONMENT or path.is_relative_to(PACKAGE / "client"):
        pytest.skip("they may")
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            assert node.attr not in ("environ", "environb", "getenv")


@pytest.mark.parametrize("room", ["crypto", "auth", "wire"])
def test_pure_rooms_read_no_clock_draw_no_randomness_and_open_no_file(room):
    forbidden = {"now", "utcnow", "token_bytes", "token_hex", "urandom", "uuid4", "read_bytes", "read_text"}
    for path in (PACKAGE / room).rglob("*.py"):
        for node in ast.walk(_parsed(path)):
            if isinstance(node, ast.Call):
                assert _called(node) not in forbidden, path.name
                assert ast.unparse(node.func) != "open", path.name


def test_every_library_that_is_imported_is_declared():
    project = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text())["project"]
    extras = {name: lines for name, lines in project["optional-dependencies"].items() if name != "dev"}
    lines = [*project["dependencies"], *(line for group in extras.values() for line in group)]
    declared = {re.split(r"[\[<>=~! ;]", line)[0].lower().replace("_", "-") for line in lines}
    distributions = packages_distributions()
    for path in MODULES:
        for name in _imported(path) - sys.stdlib_module_names - {"s3al", "__future__"}:
            homes = {home.lower().replace("_", "-") for home in distributions.get(name, [name])}
            assert homes & declared, f"{path.name} imports {name}, which pyproject.toml does not declare"


@every_module
def test_secrets_are_left_out_of_representations(path):
    """A dataclass field whose name says that it holds a secret has `repr=False`."""
    secret = re.compile(r"(^|_)(secret|password|passphrase|plaintext_key|data_key|catalog_key|root_key)(_|$)")
    for node in ast.walk(_parsed(path)):
        if not isinstance(node, ast.ClassDef) or not _is_dataclass(node):
            continue
        for statement in node.body:
            if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
                continue
            annotation = ast.unparse(statement.annotation)
            name = f"{node.name}.{statement.target.id}"
            if secret.search(statement.target.id) and annotation in ("bytes", "str") and name not in SEALED:
                assert "repr=False" in ast.unparse(statement), name


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _imported(path: Path) -> set[str]:
    """Top-level names of the packages that a module imports."""
    names: set[str] = set()
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)

