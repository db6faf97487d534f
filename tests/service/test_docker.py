"""The container files, as far as they can be held to their rules without an engine."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
FILES = ["Dockerfile.cpu", "Dockerfile.gpu"]
KNOWN = {"FROM", "ENV", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL"}
KNOWN |= {"HEALTHCHECK", "ENTRYPOINT", "CMD"}


def steps(name: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, continuation lines joined."""
    written = (DOCKER / name).read_text().splitlines()
    text = "\n".join(line for line in written if not line.lstrip().startswith("#"))
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def loader() -> type[yaml.SafeLoader]:
    """YAML with compose's own `!override`."""

    class Compose(yaml.SafeLoader):
        pass

    Compose.add_constructor("!override", lambda load, node: load.construct_sequence(node))
    return Compose


@pytest.mark.parametrize("name", FILES)
def test_every_instruction_is_one_that_dockerfiles_have(name: str) -> None:
    assert {verb for verb, _ in steps(name)} <= KNOWN
    assert steps(name)[0][0] == "FROM"


@pytest.mark.parametrize("name", FILES)
def test_the_image_runs_as_nobody_s_root_and_says_how_it_is(name: str) -> None:
    last = steps(name)[max(i for i, (verb, _) in enumerate(steps(name)) if verb == "FROM") :]
    verbs = [verb for verb, _ in last]
    assert dict(last)["USER"] == "10001:10001"
    assert verbs.index("USER") > max(i for i, verb in enumerate(verbs) if verb == "RUN")
    assert "/healthz" in dict(last)["HEALTHCHECK"]
    assert all(":" in image and "latest" not in image for verb, image in steps(name) if verb == "FROM")


@pytest.mark.parametrize("name", FILES)
def test_what_is_copied_exists_and_passes_the_ignore_file(name: str) -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for verb, rest in steps(name):
        if verb == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists() or source == "LICENSE", source
                assert source in let_in, source


@pytest.mark.parametrize("name", FILES)
def test_every_package_of_the_wheel_is_copied(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    copied = {source for verb, rest in steps(name) if verb == "COPY" for source in rest.split()[:-1]}
    assert wheel <= copied
    extra = re.search(r"\.\[(\w+)\]", (DOCKER / name).read_text())
    assert extra is not None
    assert extra[1] in project["project"]["optional-dependencies"]


@pytest.mark.parametrize("name", FILES)
def test_every_shell_step_is_valid_shell(name: str) -> None:
    for verb, rest in steps(name):
        if verb == "RUN":
            assert subprocess.run(["sh", "-n", "-c", rest], check=False).returncode == 0, rest


@pytest.mark.parametrize("name", FILES)
def test_the_health_check_s_program_tells_a_dead_service_from_a_living_one(name: str) -> None:
    check = dict(steps(name))["HEALTHCHECK"]
    code = re.search(r'"-c", "(.*)"\]', check)
    assert code is not None
    dead = code[1].replace(":8000", ":9")
    assert subprocess.run([sys.executable, "-c", dead], check=False, capture_output=True).returncode == 1


@pytest.mark.parametrize("name", FILES)
def test_the_command_is_one_that_recto_has(name: str) -> None:
    found = dict(steps(name))
    assert found["ENTRYPOINT"] == '["recto"]'
    command = [word.strip('",[]') for word in shlex.split(found["CMD"])]
    assert command == ["serve", "--host", "0.0.0.0", "--port", "8000"]  # noqa: S104  inside a container


def test_compose_gives_no_more_than_is_needed() -> None:
    services = yaml.load((DOCKER / "compose.yaml").read_text(), loader())["services"]  # noqa: S506  a SafeLoader
    service = services["recto"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    for each in services.values():
        assert all(port.startswith("127.0.0.1:") for port in each["ports"])
        assert (DOCKER / Path(each["build"]["dockerfile"]).name).exists()
