"""What a function registers to be called around the moment when its process becomes a template.

The interface is that of AWS's package of the same name; a function may bring that along instead.
Source: "Lambda SnapStart runtime hooks for Python".
"""

__all__ = ["register_before_snapshot", "register_after_restore"]

_before_snapshot = []
_after_restore = []


def register_before_snapshot(func, *args, **kwargs):
    """Has `func` called before the process is parked; last registered, first called. Also a decorator."""
    _before_snapshot.append((func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    """Has `func` called in every instance before its first request, in order of registration."""
    _after_restore.append((func, args, kwargs))
    return func


def get_before_snapshot():
    """For the runtime: functions with their arguments, in order of registration."""
    return _before_snapshot


def get_after_restore():
    """For the runtime: functions with their arguments, in order of registration."""
    return _after_restore
