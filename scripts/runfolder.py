"""What a run folder says of a finished run: the calls that its native backends
measured, and where the model files are that they loaded.

For other scripts to import; needs nothing but Python's standard library.
"""

import gzip
import json
import os
import pathlib
import shlex

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Error(Exception):
    """A run folder that cannot be used, told in words for its user."""


def read(run_dir):
    """The manifest and the records of a run that has ended."""
    if not run_dir.is_dir():
        raise Error(f"there is no folder {run_dir}: give the folder of a finished run, such as runs/scaling-...")
    path = run_dir / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
    except FileNotFoundError:
        raise Error(f"{run_dir} is not a run's folder: it has no manifest.json") from None
    except ValueError as e:
        raise Error(f"{path} is not JSON: {e}") from None
    if not isinstance(manifest, dict) or "model_files" not in manifest or "resolved" not in manifest:
        raise Error(f"{path} is not a manifest of llmscale: it has no model_files or no resolved config")
    if manifest.get("run_state") == "running":
        raise Error(f"the run in {run_dir} has not ended, or was killed: bin/llmscale run --resume {run_dir} goes on with it")
    return manifest, list(_records(run_dir))


def _records(run_dir):
    path = run_dir / "runs.jsonl"
    if not path.exists() and (run_dir / "runs.jsonl.gz").exists():
        path = run_dir / "runs.jsonl.gz"  # as in results/
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                try:
                    yield json.loads(line)
                except ValueError as e:
                    raise Error(f"{path}:{number} is not JSON: {e}") from None
    except FileNotFoundError:
        raise Error(f"{run_dir} has no runs.jsonl: nothing was measured in it") from None


def native_calls(records):
    """The records of native backends that a summary would count."""
    return [r for r in records
            if r["backend_kind"] == "native" and r["status"] == "ok" and not r["is_warmup"] and r.get("verdict") != "INVALID"]


class Files:
    """The model files of a run, by the names under which its records have them: a
    file's name, with as many of its folders as tell it from others of the run."""

    def __init__(self, manifest, run_dir, models_dir=None):
        self.manifest = manifest
        self.run_dir = run_dir
        self.models_dir = models_dir  # None: where the run had them
        if models_dir and not models_dir.is_dir():
            raise Error(f"there is no folder {models_dir}")
        self.entries = {e["file"]: e for e in manifest["model_files"]}
        self.models = {m["name"]: m for m in manifest["resolved"]["models"]}

    def sha256(self, name):
        return self.entries[name]["sha256"]

    def parts(self, name, path):
        """All files of the model, in order, of which the one at path is the first."""
        paths = self.entries[name].get("paths") or [path]
        return [path, *(path.with_name(pathlib.PurePath(p).name) for p in paths[1:])]

    def find(self, name, dtype):
        """The file's path, which ends in its name, not in that of what a link points
        at; dtype is that of a backend that loaded it, for the advice on how to write a
        file that is not there."""
        entry = self.entries.get(name)
        if entry is None:
            raise Error(f"{name} is in runs.jsonl, but not among the manifest's model_files")
        model = self.models.get(entry["model"], {})
        places = self._places(name, entry, model)
        for path in places:
            if path.is_file():
                return path.absolute()
        raise Error(f"there is no {' nor '.join(map(str, places))}: {self._advice(places[0], entry, model, dtype)}")

    def _places(self, name, entry, model):
        places = [self.models_dir / name] if self.models_dir else []
        made = model.get("kind") not in ("gguf", "ollama")
        if made and self.manifest.get("models_dir_in_run"):
            places.append(self.run_dir / self.manifest["models_dir_in_run"] / name)  # which may have been moved
        if entry.get("paths"):
            return [*places, pathlib.Path(entry["paths"][0])]
        # The manifest is of an older version.
        if model.get("kind") == "gguf":
            own = pathlib.Path(model["path"])
        elif model.get("kind") == "ollama":
            store = os.environ.get("OLLAMA_MODELS") or pathlib.Path.home() / ".ollama/models"
            own = pathlib.Path(store) / "blobs" / name
        elif self.models_dir:
            return places
        else:
            own = pathlib.Path(self.manifest["models_dir"]) / name
        places.append(own)
        # A relative path began where llmscale was called: most often in the repository.
        if not own.is_absolute() and ROOT != pathlib.Path.cwd():
            places.append(ROOT / own)
        return places

    def _advice(self, path, entry, model, dtype):
        kind = model.get("kind")
        command = None
        if kind in ("synth", "shape", "ladder"):
            command = ["bin/llmscale", "synth", "-o", path, "--type", dtype or "f32"]
            if model.get("vocab"):
                command += ["--vocab", model["vocab"]]
            command.append(model["preset"] if kind == "synth" else f"{kind}:{model['preset']}")
        elif kind == "like":
            command = ["bin/llmscale", "synth", "-o", path, f"like:{model['path']}"]
        elif kind == "hf":
            command = ["bin/llmscale", "convert", "--hf", model["path"], "--type", dtype or "f32", "-o", path]
        elif kind == "ollama":
            command = ["ollama", "pull", model["preset"]]
        if command:
            return shlex.join(map(str, command)) + " writes it; or say with --models-dir where it is"
        return f"it was the file of model {entry['model']} ({entry['source']}); say with --models-dir where it is now"
