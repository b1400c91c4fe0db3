"""Modules that travel with a model, imported from their text under names of their own.

Two versions of a model may bring two modules of one name, and whoever serves them may have a
third. So nothing is imported as what it is called: `shop` of one model is
`_carried_<digest>.shop`, and what its own code imports is looked up there first, also when it
does so in the middle of an answer.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import io
import json
import pickle
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any

PREFIX = "_carried_"


class CarriedCode:
    """The modules of one model; those with the same texts are the same everywhere.

    Args:
        modules: Path below the folder they came from (`shop/prices.py`) -> text.
    """

    def __init__(self, modules: Mapping[str, str]) -> None:
        said = json.dumps(dict(sorted(modules.items()))).encode()
        self.prefix = PREFIX + hashlib.sha256(said).hexdigest()[:16]
        self.tops = {path.partition("/")[0].removesuffix(".py") for path in modules}
        finders = (each for each in sys.meta_path if isinstance(each, _Finder))
        if self.prefix not in {each.prefix for each in finders}:
            sys.meta_path.append(_Finder(self.prefix, self.tops, modules))

    def unpickle(self, data: bytes) -> Any:
        """What a pickle holds, its classes taken from these modules where they are theirs.

        Unpickling can run any code: give only bytes that may.
        """
        return _Unpickler(io.BytesIO(data), self).load()


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, code: CarriedCode) -> None:
        super().__init__(file)
        self._code = code

    def find_class(self, module: str, name: str) -> Any:
        is_carried = module.partition(".")[0] in self._code.tops
        return super().find_class(f"{self._code.prefix}.{module}" if is_carried else module, name)


class _Finder(MetaPathFinder):
    """Finds the modules of one model below its prefix."""

    def __init__(self, prefix: str, tops: set[str], modules: Mapping[str, str]) -> None:
        self.prefix = prefix
        self._tops = tops
        self._modules = dict(modules)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != self.prefix:
            return None
        place = fullname[len(self.prefix) + 1 :].replace(".", "/")
        file, package = f"{place}.py", f"{place}/__init__.py"
        is_folder = not place or any(each.startswith(f"{place}/") for each in self._modules)
        if file in self._modules and package not in self._modules:
            return self._spec(fullname, file, is_package=False)
        return self._spec(fullname, package, is_package=True) if is_folder else None

    def _spec(self, fullname: str, path: str, *, is_package: bool) -> ModuleSpec:
        loader = _Loader(self.prefix, self._tops, path, self._modules.get(path, ""), is_package)
        return ModuleSpec(fullname, loader, origin=path, is_package=is_package)


class _Loader(InspectLoader):
    """Runs one module's text."""

    def __init__(self, prefix: str, tops: set[str], path: str, text: str, is_package: bool) -> None:
        self._prefix = prefix
        self._tops = tops
        self._path = path
        self._text = text
        self._is_package = is_package

    def get_source(self, fullname: str) -> str:
        return self._text

    def is_package(self, fullname: str) -> bool:
        return self._is_package

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._text, f"{self._path} of a model")

    def exec_module(self, module: ModuleType) -> None:
        # every import statement of a module looks here for how it is done
        own = builtins.__dict__ | {"__import__": self._import}
        module.__dict__["__builtins__"] = own
        exec(self.get_code(module.__name__), module.__dict__)  # noqa: S102 - that is importing

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level or top not in self._tops:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        full = f"{self._prefix}.{name}"
        if fromlist:
            return builtins.__import__(full, globals, locals, fromlist, 0)
        importlib.import_module(full)
        return sys.modules[f"{self._prefix}.{top}"]
