"""The command line `llm`, by eight lines of YAML and by its plugin for Ollama."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from llm.cli import cli

from app.engine.fake import SCRIPT

MODELS = """\
- model_id: fake-chat
  model_name: fake
  api_base: {url}/v1
- model_id: fake-text
  model_name: fake
  api_base: {url}/v1
  completion: true
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "fake-chat", "-o", "max_tokens", "9"],
        ["-m", "fake-chat", "-o", "max_tokens", "9", "--no-stream", "--system", "Be kind."],
        ["-m", "fake-text", "-o", "max_tokens", "9"],
        ["-m", "ollama/fake", "-o", "num_predict", "9"],
        ["-m", "ollama/fake:latest", "-o", "num_predict", "9", "--no-stream"],
    ],
    ids=" ".join,
)
def test_a_prompt_is_answered(url: str, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "extra-openai-models.yaml").write_text(MODELS.format(url=url), encoding="utf-8")
    done = CliRunner().invoke(
        cli,
        ["prompt", "Why", "--key", "none", "-o", "temperature", "0", *arguments],
        env={"LLM_USER_PATH": str(tmp_path), "OLLAMA_HOST": url},
        catch_exceptions=False,
    )
    assert done.output.strip() == SCRIPT[:9].strip()
