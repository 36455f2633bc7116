"""Rules of the source: imports go one way, few files read cfg, one file names accelerators, sizes."""

import ast

import pytest

from helpers import ROOT
from torch_free import NOT_INSTALLED, TORCH_FREE

FILES = sorted((ROOT / "pysot").rglob("*.py"))
OTHERS = sorted([*(ROOT / "toolkit").rglob("*.py"), *(ROOT / "tools").glob("*.py")])
MAY_IMPORT = {
    "core": {"core", "utils"},
    "utils": {"utils", "core"},
    "models": {"models", "core", "utils"},
    "datasets": {"datasets", "core", "utils"},
    "toolkit": {"toolkit", "utils"},
    "engine": {"engine", "models", "toolkit", "core", "utils"},
    "tracker": {"tracker", "models", "core", "utils"},
    "deploy": {"deploy", "tracker", "models", "toolkit", "core", "utils"},
    "tuning": {"tuning", "tracker", "toolkit", "core", "utils"},
    "pysot": {"load", "toolkit"},  # when they are first used
    "load.py": {"tracker", "engine", "toolkit", "models", "core", "utils"},
    "vot.py": {"load", "tracker", "toolkit", "core", "utils"},
    # No other package may import these two.
    "reproduction": {"reproduction", "toolkit", "datasets", "core", "utils"},
    "benchmarks": {
        "benchmarks",
        "tuning",
        "deploy",
        "tracker",
        "engine",
        "toolkit",
        "datasets",
        "models",
        "core",
        "utils",
    },
}
BUILDERS_MAY_IMPORT = {"validation_builder.py": {"tracker"}, "export_builder.py": {"datasets"}}
# Packages of the toolkit in order of imports: each may import those before it.
TOOLKIT = (
    "region",
    "datasets",
    "results",
    "content",
    "protocol",
    "tracking",
    "evaluation",
    "report",
    "protocols",
    "experiments",
    "workspace",
)
DEVICE_NAMES = {"npu", "cuda"}


def folder_of(path) -> str:
    """Return the folder in the package that a file belongs to; for a module beside them its name."""
    folder = path.relative_to(ROOT / "pysot").parts[0]
    return "pysot" if folder == "__init__.py" else folder


def imports(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def config_reads(tree: ast.AST) -> list[str]:
    """Return the source of each read cfg.X or cfg["X"], also where `cfg` is an attribute."""
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Subscript)
        and getattr(node.value, "id", getattr(node.value, "attr", None)) == "cfg"
    ]


def may_read_config(path) -> bool:
    return folder_of(path) in ("core", "load.py", "vot.py") or path.name.endswith("_builder.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_file(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = [m.split(".") for m in imports(tree)]
    own = {parts[1] for parts in modules if parts[0] == "pysot" and len(parts) > 1}
    allowed = MAY_IMPORT[folder_of(path)] | BUILDERS_MAY_IMPORT.get(path.name, set())
    assert own <= allowed, f"{path.name} imports {own - allowed}"
    if not may_read_config(path):
        assert ["pysot", "core", "config"] not in modules, f"{path.name} imports the config"
        assert not config_reads(tree), f"{path.name} reads the config: {config_reads(tree)}"
    if folder_of(path) == "toolkit":
        assert not any(parts[0] == "torch" for parts in modules)
        package = path.relative_to(ROOT / "pysot" / "toolkit").parts[0].removesuffix(".py")
        known = TOOLKIT[: TOOLKIT.index(package) + 1] if package in TOOLKIT else ()
        others = {parts[2] for parts in modules if parts[:2] == ["pysot", "toolkit"] and len(parts) > 2} - {*known}
        assert not others, f"{path.name} imports {others} of the toolkit, which come after its own package"
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & DEVICE_NAMES
    assert path.name == "device.py" or not names, f"{path.name} names {names}"
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert "print" not in calls
    assert not any(isinstance(node, ast.ExceptHandler) and node.type is None for node in ast.walk(tree)), "bare except"


def imported_at_once(body: list[ast.stmt]):
    """Yield the packages that a module imports when it is imported itself: not in functions, not for types only."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imported_at_once(node.orelse)
        elif not isinstance(node, ast.FunctionDef):
            for part in ("body", "orelse", "handlers", "finalbody"):
                yield from imported_at_once(getattr(node, part, []))


@pytest.mark.parametrize("path", TORCH_FREE, ids=lambda p: str(p.relative_to(ROOT)))
def test_torch_free_file(path):
    packages = {*imported_at_once(ast.parse(path.read_text(encoding="utf-8")).body)} & {*NOT_INSTALLED}
    assert not packages, f"{path.name} imports {packages}; import it in the function that needs it, or in another file"


@pytest.mark.parametrize(
    ("source", "packages"),
    [
        ("import torch.nn", {"torch"}),
        ("from torch import nn", {"torch"}),
        ("try:\n    import torch\nexcept ImportError:\n    import cv2", {"torch", "cv2"}),
        ("class A:\n    import torch", {"torch"}),
        ("if TYPE_CHECKING:\n    import torch", set()),
        ("def f():\n    import torch", set()),
    ],
)
def test_imports_of_a_module_are_found(source, packages):
    assert {*imported_at_once(ast.parse(source).body)} == packages


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("cfg.TRAIN.EPOCH", ["cfg.TRAIN"]),
        ("case.cfg.TRAIN", ["case.cfg.TRAIN"]),
        ("cfg['TRAIN']", ["cfg['TRAIN']"]),
        ("build(cfg, case.cfg)", []),
        ("cfg = case.cfg", []),
        ("config.TRAIN", []),
    ],
)
def test_reads_of_the_config_are_found(source, reads):
    assert config_reads(ast.parse(source)) == reads


@pytest.mark.parametrize("path", FILES + OTHERS, ids=lambda p: str(p.relative_to(ROOT)))
def test_sizes(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 320
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{path.name}: {node.name}"
