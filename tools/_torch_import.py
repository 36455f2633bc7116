"""Explain why torch or another package cannot be imported: at the start of a tool, or where it needs torch first."""

import contextlib
import sys
from collections.abc import Iterator
from types import TracebackType

import _terminal

# Packages that only some tools need, and the extra of setup.py that installs them.
_EXTRAS = {"optuna": "tune", "onnx": "export", "onnxslim": "export"}
_OF_TRAINING = ("torch", "yacs", "tensorboardX")  # what the extra `train` of setup.py installs


def explain_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the reason and the remedy if torch, or the package of an extra, cannot be imported (an exception hook)."""
    reason = _reason(error)
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
        extra = _EXTRAS[error.name]
        reason = f"{error.name} is not installed: pip install -r requirements.txt, or pip install '.[{extra}]'"
    if reason is None:
        sys.__excepthook__(kind, error, trace)
        return
    _terminal.print_error(reason)
    sys.exit(2)


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Raise ImportError with the reason and the remedy if torch cannot be imported in this context."""
    try:
        yield
    except (ImportError, RuntimeError, OSError) as error:
        reason = _reason(error)
        if reason is None and isinstance(error, ImportError) and error.name in _OF_TRAINING:
            reason = (
                f"a network of torch needs {error.name}, which is not installed: pip install -r requirements.txt, or "
                "track with an exported tracker: --engine FOLDER"
            )
        if reason is None:
            raise
        raise ImportError(reason) from error


def _reason(error: BaseException) -> str | None:
    """Return why torch_npu hinders the import of torch, and what to do; None for other errors."""
    from pysot.utils.doctor import explain_torch_import

    if not isinstance(error, ImportError | RuntimeError | OSError):
        return None
    reason = explain_torch_import(f"{error} {error.__cause__ or ''}")
    return reason and f"torch cannot be imported: {reason}. Run `python tools/doctor.py` for details"
