"""What each command does to the fake project, and what it answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.fakes.gcloud.command_lines import CommandLine, pairs

API_OF = {"run": "run", "secrets": "secretmanager", "artifacts": "artifactregistry", "bq": "bigquery"}
LOCATION = "cloud.googleapis.com/location"
SOURCE_APIS = ("run", "cloudbuild", "artifactregistry")


class Failed(Exception):
    """The command ends with code 1 and this on standard error."""


def project_of(line: CommandLine, state: dict[str, Any], name: str | None = None) -> dict[str, Any]:
    name = name or line.flags.get("--project") or line.flags.get("--project_id") or state["config"].get("project")
    if name not in state["projects"]:
        raise Failed(
            f"[ann@example.com] does not have permission to access projects instance [{name}] (or it may not exist)"
        )
    found: dict[str, Any] = state["projects"][name]
    return found


def need(project: dict[str, Any], *apis: str) -> None:
    for api in apis:
        if f"{api}.googleapis.com" not in project["apis"]:
            raise Failed(f"API [{api}.googleapis.com] not enabled on project [{project['number']}].")


def config_list(line: CommandLine, state: dict[str, Any]) -> Any:
    core = {"project": state["config"].get("project"), "account": state["account"]}
    region = state["config"].get("region")
    return {"core": {key: value for key, value in core.items() if value}} | (
        {"run": {"region": region}} if region else {}
    )


def config_set(line: CommandLine, state: dict[str, Any]) -> Any:
    state["config"][line.arguments[0]] = line.arguments[1]


def projects_list(line: CommandLine, state: dict[str, Any]) -> Any:
    return [{"projectId": name} for name in state["projects"]]


def projects_describe(line: CommandLine, state: dict[str, Any]) -> Any:
    project = project_of(line, state, line.arguments[0])
    lifecycle = project.get("lifecycle", "ACTIVE")
    return {"projectId": line.arguments[0], "projectNumber": str(project["number"]), "lifecycleState": lifecycle}


def billing(line: CommandLine, state: dict[str, Any]) -> Any:
    return {"billingEnabled": True} if project_of(line, state, line.arguments[0])["billing"] else {}


def services_list(line: CommandLine, state: dict[str, Any]) -> Any:
    return [{"config": {"name": name}, "state": "ENABLED"} for name in project_of(line, state)["apis"]]


def services_enable(line: CommandLine, state: dict[str, Any]) -> Any:
    project = project_of(line, state)
    if not project["billing"]:
        raise Failed(f"FAILED_PRECONDITION: Billing account for project '{project['number']}' is not found.")
    project["apis"] += [api for api in line.arguments if api not in project["apis"]]


def get_policy(line: CommandLine, state: dict[str, Any]) -> Any:
    return bindings(project_of(line, state, line.arguments[0])["policy"])


def bindings(policy: list[list[str]]) -> dict[str, Any]:
    roles = {role for _, role in policy}
    return {"bindings": [{"role": role, "members": [who for who, has in policy if has == role]} for role in roles]}


def add_binding(line: CommandLine, state: dict[str, Any]) -> Any:
    project = project_of(line, state, line.arguments[0])
    project["policy"].append([line.flags["--member"], line.flags["--role"]])


def repository(line: CommandLine, state: dict[str, Any]) -> Any:
    project = project_of(line, state)
    need(project, "artifactregistry")
    name = f"{line.flags['--location']}/{line.arguments[0]}"
    if name not in project["repositories"]:
        raise Failed("NOT_FOUND: Requested entity was not found.")
    return {"name": name, "format": "DOCKER"}


def service_describe(line: CommandLine, state: dict[str, Any]) -> Any:
    project = project_of(line, state)
    need(project, "run")
    return found(project["services"], line, "Cannot find service [{}]")


def services_in_all_regions(line: CommandLine, state: dict[str, Any]) -> Any:
    project = project_of(line, state)
    need(project, "run")
    name = line.flags["--filter"].removeprefix("metadata.name=")
    return [service for key, service in project["services"].items() if key.startswith(f"{name}@")]


def found(things: dict[str, Any], line: CommandLine, otherwise: str) -> Any:
    name = line.arguments[0]
    key = f"{name}@{line.flags['--region']}" if "--region" in line.flags else name
    if key not in things:
        raise Failed(otherwise.format(name))
    return things[key]


def service_update(line: CommandLine, state: dict[str, Any]) -> Any:
    service = service_describe(line, state)
    change_service(service, line, project_of(line, state))


def service_deploy(line: CommandLine, state: dict[str, Any]) -> Any:
    """Builds from the sources: they need a Dockerfile, what it copies, and one bundle."""
    project = project_of(line, state)
    need(project, *SOURCE_APIS)
    account = f"serviceAccount:{project['number']}-compute@developer.gserviceaccount.com"
    if not {role for who, role in project["policy"] if who == account} & {"roles/run.builder", "roles/editor"}:
        raise Failed(f"Build failed because the service account is missing required IAM permissions: {account}")
    folder, region, (name,) = line.folder / line.flags["--source"], line.flags["--region"], line.arguments
    line.progress.append("Building using Dockerfile and deploying container to Cloud Run service\n")
    log = f"https://console.cloud.google.com/cloud-build/builds;region={region}/abc?project={project['number']}"
    line.progress.append(f"Building Container... Logs are available at [{log}].\n")
    sent = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    bundles = [each for each in sent if re.fullmatch(r"models/[^/]+/manifest.json", each)]
    if "Dockerfile" not in sent or "app/__main__.py" not in sent or len(bundles) != 1:
        raise Failed("Build failed; check build logs for details")
    project["repositories"] = sorted({*project["repositories"], f"{region}/cloud-run-source-deploy"})
    image = f"{region}-docker.pkg.dev/my-project/cloud-run-source-deploy/{name}"
    project["images"], project["sources"] = sorted({*project["images"], image}), sent
    if f"{name}@{region}" not in project["services"]:
        project["services"][f"{name}@{region}"] = new_service(name, region, state["url"], account.partition(":")[2])
    service = project["services"][f"{name}@{region}"]
    change_service(service, line, project)
    service["spec"]["template"]["spec"]["containers"][0]["image"] = f"{image}@sha256:1"


def new_service(name: str, region: str, url: str, account: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {LOCATION: region}, "annotations": {}, "creationTimestamp": "2026-11-27T00:00:00Z"},
        "spec": {"template": {"spec": {"serviceAccountName": account, "containers": [{"env": [], "resources": {"limits": {}}}]}}},
        "status": {"url": url, "conditions": [{"type": "Ready", "status": "True"}]},
    }  # fmt: skip


def change_service(service: dict[str, Any], line: CommandLine, project: dict[str, Any]) -> None:
    template = service["spec"]["template"]["spec"]
    container = template["containers"][0]
    variables = {entry["name"]: entry for entry in container["env"]}
    if "--set-env-vars" in line.flags:
        variables = {}
    for name, value in pairs(line.flags.get("--update-env-vars") or line.flags.get("--set-env-vars")).items():
        variables[name] = {"name": name, "value": value}
    for name, value in pairs(line.flags.get("--update-secrets")).items():
        secret, _, version = value.partition(":")
        stored = project["secrets"].get(secret, {"versions": [], "readers": []})
        if f"serviceAccount:{template['serviceAccountName']}" not in stored["readers"]:
            raise Failed(f"spec.template.spec.containers[0].env: Permission denied on secret: {secret}")
        if not 0 < int(version) <= len(stored["versions"]):
            raise Failed(f"spec.template: Secret {secret}/versions/{version} was not found")
        variables[name] = {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": version}}}
    container["env"] = list(variables.values())
    if "--memory" in line.flags:
        container["resources"]["limits"]["memory"] = line.flags["--memory"]
    service["metadata"]["labels"] |= pairs(line.flags.get("--update-labels"))


def service_delete(line: CommandLine, state: dict[str, Any]) -> Any:
    service_describe(line, state)
    del project_of(line, state)["services"][f"{line.arguments[0]}@{line.flags['--region']}"]


def images_list(line: CommandLine, state: dict[str, Any]) -> Any:
    return [{"package": name} for name in project_of(line, state)["images"] if name == line.arguments[0]]


def images_delete(line: CommandLine, state: dict[str, Any]) -> Any:
    project_of(line, state)["images"].remove(line.arguments[0])


def storage_ls(line: CommandLine, state: dict[str, Any]) -> Any:
    if not project_of(line, state)["sources"]:
        raise Failed("One or more URLs matched no objects.")
    return '[{"url": "gs://…"}]'


def storage_rm(line: CommandLine, state: dict[str, Any]) -> Any:
    project_of(line, state)["sources"] = []


def secrets_of(line: CommandLine, state: dict[str, Any]) -> dict[str, Any]:
    project = project_of(line, state)
    need(project, "secretmanager")
    secrets: dict[str, Any] = project["secrets"]
    return secrets


def secret(line: CommandLine, state: dict[str, Any]) -> Any:
    name = line.flags.get("--secret", line.arguments[0])
    if name not in secrets_of(line, state):
        raise Failed(f"NOT_FOUND: Secret [projects/1/secrets/{name}] not found.")
    return secrets_of(line, state)[name]


def secret_create(line: CommandLine, state: dict[str, Any]) -> Any:
    if line.arguments[0] in secrets_of(line, state):
        raise Failed("ALREADY_EXISTS: Secret already exists.")
    secrets_of(line, state)[line.arguments[0]] = {"versions": [line.stdin], "readers": []}


def secret_add(line: CommandLine, state: dict[str, Any]) -> Any:
    secret(line, state)["versions"].append(line.stdin)


def secret_versions(line: CommandLine, state: dict[str, Any]) -> Any:
    numbers = range(len(secret(line, state)["versions"]), 0, -1)
    return [{"name": f"projects/1/secrets/x/versions/{number}", "state": "ENABLED"} for number in numbers]


def secret_access(line: CommandLine, state: dict[str, Any]) -> Any:
    return secret(line, state)["versions"][-1]


def secret_policy(line: CommandLine, state: dict[str, Any]) -> Any:
    return bindings([[who, "roles/secretmanager.secretAccessor"] for who in secret(line, state)["readers"]])


def secret_bind(line: CommandLine, state: dict[str, Any]) -> Any:
    secret(line, state)["readers"].append(line.flags["--member"])


def secret_delete(line: CommandLine, state: dict[str, Any]) -> Any:
    secret(line, state)
    del secrets_of(line, state)[line.arguments[0]]


def dataset_make(line: CommandLine, state: dict[str, Any]) -> Any:
    project = project_of(line, state)
    need(project, "bigquery")
    project["datasets"][line.arguments[0]] = {"location": line.flags["--location"], "access": []}


def dataset_show(line: CommandLine, state: dict[str, Any]) -> Any:
    return found(project_of(line, state)["datasets"], line, "BigQuery error in show operation: Not found: Dataset {}")


def dataset_delete(line: CommandLine, state: dict[str, Any]) -> Any:
    del project_of(line, state)["datasets"][line.arguments[0]]


def query(line: CommandLine, state: dict[str, Any]) -> Any:
    """Knows GRANT alone."""
    read = re.fullmatch(
        r"GRANT `roles/bigquery.dataEditor` ON SCHEMA `([\w-]+)`\.(\w+) TO 'serviceAccount:(\S+)'", line.arguments[0]
    )
    if not read:
        raise Failed(f"Error in query string: {line.arguments[0]}")
    dataset = project_of(line, state)["datasets"][f"{read[1]}:{read[2]}"]
    if line.flags["--location"] != dataset["location"]:
        raise Failed(f"Not found: Dataset {read[1]}:{read[2]} was not found in location {line.flags['--location']}")
    dataset["access"].append({"role": "WRITER", "userByEmail": read[3]})


COMMANDS: dict[str, Callable[[CommandLine, dict[str, Any]], Any]] = {
    "gcloud config list": config_list, "gcloud projects list": projects_list, "gcloud projects describe": projects_describe,
    "gcloud billing projects describe": billing, "gcloud services list": services_list, "gcloud services enable": services_enable,
    "gcloud projects get-iam-policy": get_policy, "gcloud projects add-iam-policy-binding": add_binding,
    "gcloud artifacts repositories describe": repository, "gcloud run services describe": service_describe,
    "gcloud run services list": services_in_all_regions,
    "gcloud run services update": service_update, "gcloud run deploy": service_deploy,
    "gcloud run services delete": service_delete, "gcloud artifacts docker images list": images_list,
    "gcloud artifacts docker images delete": images_delete,
    "gcloud storage ls": storage_ls, "gcloud storage rm": storage_rm, "gcloud secrets create": secret_create,
    "gcloud secrets versions add": secret_add, "gcloud secrets versions list": secret_versions,
    "gcloud secrets versions access": secret_access, "gcloud secrets get-iam-policy": secret_policy,
    "gcloud secrets add-iam-policy-binding": secret_bind, "gcloud secrets delete": secret_delete, "bq mk": dataset_make,
    "bq show": dataset_show, "bq rm": dataset_delete, "bq query": query,
    "gcloud auth login": lambda line, state: None, "gcloud config set": config_set,
    "gcloud version": lambda line, state: {"Google Cloud SDK": "528.0.0"},
}  # fmt: skip
