"""Describes a run for description.json: its data, its options and the versions of the libraries."""

from __future__ import annotations

import importlib.metadata
import os

from finetune.data.prepared import Data
from finetune.run_folder import RunDescription
from finetune.training.options import TrainingOptions

LIBRARIES = ["keras", "tensorflow", "gpt-2-simple", "numpy"]


def describe_run(options: TrainingOptions, data: Data) -> RunDescription:
    described = data.description
    libraries = [*LIBRARIES, "jax"] if os.environ.get("KERAS_BACKEND") == "jax" else LIBRARIES
    return RunDescription(
        corpus_sha256=described.corpus_sha256,
        end=described.end_of_text,
        template=described.template,
        init=options.init,
        options=options.as_dict(),
        made={library: importlib.metadata.version(library) for library in libraries},
        documents=described.documents,
    )
