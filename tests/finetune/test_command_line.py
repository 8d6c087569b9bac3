"""The command line's face: help without types, a mistake as one sentence, options from a file, fast without the verbs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.__main__ import main
from finetune.command_line import VERBS, command_line, options_of, parsed_options, purpose

TRAIN = ["train", "--data", "data", "--out", "out"]


def printed_by(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def test_the_help_says_what_each_verb_does(capsys: pytest.CaptureFixture[str]) -> None:
    """It once listed ten verbs without a word on any."""
    words = " ".join(printed_by(["--help"], capsys).split())
    for name, verb in VERBS.items():
        assert f"{name} {purpose(verb)}" in words
        assert re.fullmatch(r"[A-Z].+", purpose(verb)), name
    assert printed_by([], capsys) == printed_by(["--help"], capsys)


def test_every_file_of_commands_is_a_verb() -> None:
    files = {path.stem for path in Path("finetune/commands").glob("*.py")} - {"__init__"}
    assert files == {
        verb.function.partition(":")[0].rpartition(".")[2]
        for verb in VERBS.values()
        if "finetune.commands" in verb.function
    }


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_shows_no_types(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Jsonargparse showed `(required, type: <class 'Path'>)` and every sentence of the verb twice."""
    page = printed_by([verb, "--help"], capsys)
    assert purpose(VERBS[verb]).partition(" ")[0] in page
    assert not re.search(r"<class|Literal|Annotated|typing|NoneType|\bINT\b|\bSTR\b|\bFLOAT\b", page)
    for argument in options_of(verb):
        assert argument.name.lstrip("-").upper() in page.upper()


def test_the_help_of_all_verbs_imports_none_of_them() -> None:
    """`gpt2 --help` took a second while it imported NumPy and all verbs."""
    code = (
        "import sys; from finetune.__main__ import main; main(['--help']); "
        "print(sorted({'numpy', 'tensorflow', 'keras', 'finetune.commands'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "there is no verb 'trian'. Did you mean train? `gpt2 --help` lists all."),
        (["pull", "124M"], "there is no verb 'pull'. Did you mean download? `gpt2 --help` lists all."),
        ([*TRAIN, "--hepl"], "`gpt2 train` has no option --hepl. Did you mean --help? `gpt2 train --help` lists all."),
        (["xyzzy"], "there is no verb 'xyzzy'. `gpt2 --help` lists all."),
        (["--hepl"], "there is no verb '--hepl'. Did you mean --help? `gpt2 --help` lists all."),
        ([*TRAIN, "--stesp", "4"], "`gpt2 train` has no option --stesp. Did you mean --steps? `gpt2 train --help` lists all."),
        ([*TRAIN, "--steps", "many"], "--steps is 'many', and should be a whole number."),
        ([*TRAIN, "--steps", "1.5"], "--steps is '1.5', and should be a whole number."),
        ([*TRAIN, "--batch_size", "abc"], "--batch_size is 'abc', and should be a whole number or auto."),
        ([*TRAIN, "--learning-rate", "1,5"], "--learning-rate is '1,5', and should be a number."),
        ([*TRAIN, "--precision", "fp8"], "--precision is 'fp8', and should be float32, bfloat16 or float16."),
        ([*TRAIN, "--resume=perhaps"], "--resume is 'perhaps', and should be true or false."),
        ([*TRAIN, "--seed", "1", "--seed", "2"], "--seed is given more than once: give it once."),
        ([*TRAIN, "more"], "'more' is one word too many: `gpt2 train --help` lists what it takes."),
        (["train", "--data", "data"], "`gpt2 train` needs --out: the run's folder, such as checkpoint/NAME."),
        (["train", "--data"], "--data needs a value: the folder that prepare wrote."),
        (["train", "--data", "x", "--otu", "y"],
         "`gpt2 train` needs --out: the run's folder, such as checkpoint/NAME. Did you mean --out instead of --otu?"),
        (["download"], "`gpt2 download` needs MODEL: 124M (0.5 GB), 355M (1.4 GB), 774M (3.1 GB) or 1558M (6.2 GB)."),
        (["download", "125M"], "MODEL is '125M', and should be 124M, 355M, 774M or 1558M."),
        ([*TRAIN, "--config"], "--config needs a value: a YAML file with options."),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt option once printed 26 lines of usage and suggested nothing."""
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err == f"error: {said}\n"
    assert not printed.out


@pytest.mark.parametrize("given", [["--batch_size", "4"], ["--batch-size", "4"], ["--batch-size=4"]])
def test_options_take_hyphens_and_underscores(given: list[str]) -> None:
    assert parsed_options([*TRAIN, *given])["batch_size"] == 4


@pytest.mark.parametrize(("given", "resume"), [([], False), (["--resume"], True), (["--resume=false"], False)])
def test_a_flag_needs_no_value(given: list[str], resume: bool) -> None:
    assert parsed_options([*TRAIN, *given])["resume"] is resume


def test_repeated_options_take_several_values_at_once() -> None:
    options = parsed_options(["fetch", "csv", "--source", "a", "b", "--source", "c", "--out", "x.jsonl"])
    assert list(options["source"]) == ["a", "b", "c"]
    assert options["query"] == "csv"


# Options from a file.


@pytest.fixture
def written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """What --print-config wrote."""
    path = tmp_path / "options.yaml"
    path.write_text(
        printed_by([*TRAIN, "--steps", "7", "--freeze", "2", "--resume", "--print-config"], capsys), encoding="utf-8"
    )
    return path


def test_a_printed_config_is_read_again(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = printed_by(["train", "--config", str(written), "--print_config"], capsys)
    assert again == written.read_text(encoding="utf-8")
    assert "\nsteps: 7\n" in again
    assert "\ntokens_per_step: null\n" in again


def test_the_command_line_wins(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = printed_by(["train", f"--config={written}", "--steps", "9", "--print-config"], capsys)
    assert "\nsteps: 9\n" in again


def test_an_option_that_is_a_verbs_name_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`export` is an option of fetch and a verb as well. Cyclopts leaves such a key out of a flat file."""
    path = tmp_path / "fetch.yaml"
    path.write_text("export: gs://bucket/x\nsource: [a, b]\nbudget: 2\n")
    printed = printed_by(["fetch", "query.sql", "--config", str(path), "--print-config"], capsys)
    assert "export: gs://bucket/x\n" in printed
    assert "source:\n- a\n- b\n" in printed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "stesp: 3\n",
            "`gpt2 train` has no option stesp, which is in {path}. Did you mean steps? `gpt2 train --help` lists all.",
        ),
        ("steps: many\n", "steps is 'many' in {path}, and should be a whole number."),
        ("- steps\n", "--config is {path}, and should have a line for each option, such as `steps: 500`."),
        ("3: 4\n", "--config is {path}, and should have a line for each option, such as `steps: 500`."),
        ("", "--config is {path}, and should have a line for each option, such as `steps: 500`."),
        ("steps: [\n", "--config is {path}, which is not YAML in UTF-8 ("),
    ],
)
def test_a_wrong_file_is_one_sentence(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    assert main([*TRAIN, "--config", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {said.format(path=path)}")


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TRAIN, "--config", str(tmp_path / "absent.yaml")]) == 2
    assert "absent.yaml: No such file or directory" in capsys.readouterr().err


# The shell.


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_verbs_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    script = printed_by(["completion", shell], capsys)
    assert "evaluate" in script
    assert "gradient-checkpointing" in script


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("gpt2 dep", "deploy"), ("gpt2 deploy --pro", "--project"), ("gpt2 new ./te", ""), ("gpt2 completion z", "zsh")],
)
def test_bash_completes(capsys: pytest.CaptureFixture[str], tmp_path: Path, typed: str, completed: str) -> None:
    """A file was not completed where a verb takes one: where the script knows nothing, bash's own completion counts."""
    script = printed_by(["completion", "bash"], capsys)
    ask = f'COMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _gpt2; echo "${{COMPREPLY[*]}}"; complete -p gpt2'
    ended = subprocess.run(["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == [completed, "complete -o bashdefault -o default -F _gpt2 gpt2"]


def test_zsh_calls_the_function_or_registers_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The script only defined it: a file called _gpt2 completed nothing, nor did `source`."""
    script = printed_by(["completion", "zsh"], capsys)
    assert script.startswith("#compdef gpt2")
    assert script.index("_cyclopts_gpt2() {") < script.index('_cyclopts_gpt2 "$@"')
    assert "compdef _cyclopts_gpt2 gpt2" in script


def test_the_version_is_the_apps(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed_by(["--version"], capsys) == f"{command_line().version}\n"
