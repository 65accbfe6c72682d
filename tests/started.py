"""What a command does until its end, counted: the same on every machine, however busy, unlike its seconds."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Self

_PROGRAM = """
import sys
calls = 0
def count(frame, event, argument):
    global calls
    calls += event == "call"
sys.argv = ["facesearch", *sys.argv[1:]]
sys.setprofile(count)
try:
    from facesearch.__main__ import main
    main()
except SystemExit:
    pass
finally:
    sys.setprofile(None)
    import json
    # What is blocked stands among the modules as None.
    modules = [name for name, module in sys.modules.items() if module is not None]
    print(json.dumps([modules, calls]), file=sys.stderr)
"""

# Parts of facesearch that every command may import before it is known what is asked of it.
_FIRST = {"__main__", "cli", "errors", "files", "forms", "home", "interruption", "libraries", "limits", "packages"}
_HEAVY = {"numpy", "scipy", "cv2", "PIL", "onnxruntime", "openvino", "tensorflow", "keras", "faiss", "sklearn"}
_HEAVY |= {"matplotlib", "requests", "sqlite_utils", "starlette", "uvicorn", "jinja2", "msgspec", "ray", "pymilvus"}


@dataclass(frozen=True, slots=True)
class Started:
    """What a command has printed and imported, and how many functions in Python were called."""

    out: str
    modules: tuple[str, ...]
    calls: int

    @classmethod
    def of(cls, *words: str, **told: str) -> Self:
        """Of a command in a process of its own, which is told these variables."""
        command = [sys.executable, "-c", _PROGRAM, *words]
        done = subprocess.run(command, env=os.environ | told, capture_output=True, text=True, check=True, timeout=300)
        modules, calls = json.loads(done.stderr)
        return cls(done.stdout, tuple(modules), calls)

    def heavy(self, *also: str) -> list[str]:
        """Which modules take too long for a command that is to answer at once; `also` it may import these of
        facesearch."""
        allowed = {"facesearch", "facesearch.photos", "facesearch.photos.addresses", *also}
        return sorted(
            name
            for name in self.modules
            if name.partition(".")[0] in _HEAVY
            or (name.startswith("facesearch") and name not in allowed and name.split(".")[1] not in _FIRST)
        )
