"""What gcloud says when it refuses, each kind as one sentence with what to do."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

INSTALL_PAGE = "https://cloud.google.com/sdk/docs/install"
INSTALL = f"gcloud is not installed: install it from {INSTALL_PAGE}, then run `gcloud auth login`."
LOGIN = "gcloud is not logged in: run `gcloud auth login`."
BILLING = (
    "the project {project} has no billing account: link one at "
    "https://console.cloud.google.com/billing/linkedaccount?project={project} (what is free stays free)."
)
NOT_YET = "yet: wait two minutes"
"""What the sentences have in common that waiting helps with."""
NOT_FOUND = re.compile(
    r"NOT_FOUND|Cannot find (service|job)|could not be found|was not found|Not found: Dataset|does not exist|"
    r"matched no objects|One or more URLs matched no|\b404\b"
)
# The first pattern that is found says the sentence. {0} and so on are the pattern's groups, {project} is the command's project.
SENTENCES: tuple[tuple[str, str], ...] = (
    (
        r"(?s)(?:unrecognized arguments|Invalid choice|argument [-\w]+: ).*",
        "this gcloud is too old for these options: run `gcloud components update`.",
    ),
    (
        r"Permission denied on secret|Permission '?secretmanager\.versions\.access",
        "the service's account may not read the secrets yet: wait two minutes, and run the command again.",
    ),
    (
        r"missing required IAM permissions|storage\.objects\.get|artifactregistry\.repositories\.uploadArtifacts",
        (
            "the account that builds may not do so yet: wait two minutes, and run the command again; if that does not help, "
            "give it roles/run.builder at https://console.cloud.google.com/iam-admin/iam?project={project}."
        ),
    ),
    (
        r"(?i)service account (?:projects/\S+/)?(\S+@\S+?)'? does not exist",
        (
            "the account {0} is not there yet: wait two minutes, and run the command again; if that does not help, "
            "`gcloud services enable compute.googleapis.com --project {project}` makes it."
        ),
    ),
    (
        r"SERVICE_DISABLED|has not been used in project|API \[?[\w.]+\.googleapis\.com\]? (?:is )?not enabled",
        "an API of {project} does not count yet: wait two minutes, and run the command again, which switches it on.",
    ),
    (
        (
            r"do not currently have an active account|Reauthentication (?:failed|required|is needed)|invalid_grant|"
            r"problem refreshing your current auth tokens|UNAUTHENTICATED|CREDENTIALS_MISSING|credentials are invalid"
        ),
        LOGIN,
    ),
    (
        (
            r"(?i)billing account for project|billing.{0,40}(?:disabled|not enabled|be enabled)|UREQ_PROJECT_BILLING_NOT_FOUND|"
            r"BILLING_DISABLED|billing account .{0,60}(?:not found|closed)"
        ),
        BILLING,
    ),
    (
        r"(constraints/[\w.]*(?:requireInvokerIam|allowedPolicyMemberDomains)|permitted customer|invoker[ -]iam)",
        (
            "your organisation's policy forbids a service that anybody may call: ask its administrator for an exception from "
            "constraints/run.managed.requireInvokerIam for {project}, or use a project outside the organisation."
        ),
    ),
    (
        r"(constraints/[\w.]+)",
        "your organisation's policy {0} forbids this in {project}: ask its administrator, or use another --project or --region.",
    ),
    (
        r"(?s)(?:Build failed|build failed|Building Container.{0,40}failed).*?(https://console\.cloud\.google\.com/\S*cloud-build/\S+?)[\]).,]*(?:\s|$)",
        "the build failed; its log says why: {0}",
    ),
    (
        r"(?s)(https://console\.cloud\.google\.com/\S*cloud-build/\S+?)[\]).,]*\s.*(?:Build failed|build failed)",
        "the build failed; its log says why: {0}",
    ),
    (
        (
            r"(?s)(?:failed to start and listen|container failed to start|is not ready and cannot serve traffic).*?"
            r"(https://console\.cloud\.google\.com/logs\S+?)[\]).,]*(?:\s|$)"
        ),
        "the container was built and did not start; its log says why: {0}",
    ),
    (
        r"(?:Quota exceeded|RESOURCE_EXHAUSTED|quota (?:metric|limit)|QUOTA_EXCEEDED)",
        (
            "a quota of {project} is used up: wait an hour, or ask for more at "
            "https://console.cloud.google.com/iam-admin/quotas?project={project}."
        ),
    ),
    (
        r"projects? instance \[([^\]]+)\]|project \[([^\]]+)\] (?:not found|does not exist)|Project '?([\w-]+)'? not found",
        "the project {0} does not exist, or this account may not see it: `gcloud projects list` shows yours.",
    ),
    (
        r"[Pp]ermission '?([\w.]+\.[\w.]+)'?.{0,20}denied",
        (
            "this account lacks {0} in {project}: ask the project's owner for roles/owner or roles/editor, or log in as "
            "somebody else with `gcloud auth login`."
        ),
    ),
    (
        r"PERMISSION_DENIED|[Aa]ccess [Dd]enied|does not have permission|HTTPError 403|forbidden",
        (
            "this account may not do this in {project}: ask the project's owner for roles/owner or roles/editor, or log in as "
            "somebody else with `gcloud auth login`."
        ),
    ),
    (
        r"(?i)(?:find the server at|host=)\W*([a-z]+-[a-z]+\d+)-run\.googleapis",
        "Cloud Run has no region {0}: `gcloud run regions list` shows all.",
    ),
    (
        (
            r"(?i)unable to find the server|max retries exceeded|failed to establish a new connection|network is unreachable|"
            r"name resolution|could not connect|connection (?:refused|reset|aborted)|proxyerror|sslerror|transporterror|timed out"
        ),
        "Google cannot be reached: check the connection to the internet, and set HTTPS_PROXY if you need a proxy.",
    ),
)


def explain(said: str, words: Sequence[str]) -> str:
    """A sentence for what a command printed when it failed."""
    project = project_of(words)
    for pattern, sentence in SENTENCES:
        if found := re.search(pattern, said):
            groups = [group for group in found.groups() if group]
            return sentence.format(*groups, project=project)
    return f"`{' '.join(words[:4])}` failed: {last_sentence(said)}"


def says_not_found(said: str) -> bool:
    """Whether something is not there, rather than that nothing may be asked about it."""
    return bool(NOT_FOUND.search(said)) and "may not exist" not in said


def project_of(words: Sequence[str]) -> str:
    for name, value in itertools.pairwise(words):
        if name in ("--project", "--project_id"):
            return value
    named = [word.partition("=")[2] for word in words if word.startswith(("--project=", "--project_id="))]
    after = words.index("projects") + 2 if "projects" in words else len(words)  # As in `projects describe NAME`.
    return next(iter([*named, *words[after : after + 1]]), "PROJECT")


def last_sentence(said: str) -> str:
    """The message itself: what stands behind ERROR, without the command's name; else the last line."""
    lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
    errors = [re.sub(r"^ERROR: (\([\w.-]+\) )?", "", line) for line in lines if line.startswith("ERROR:")]
    return (errors or lines[-1:] or ["it said nothing; run it by hand to see more"])[0][:300]
