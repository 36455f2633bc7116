"""Launch files of this folder by their form: shellcheck, and the schemas of Kubernetes, Volcano and Kubeflow."""

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parent
SCRIPTS = sorted([*FOLDER.glob("*.sbatch"), *FOLDER.glob("*.sh")])
MANIFESTS = sorted(FOLDER.glob("*.yaml"))
VERSION = "1.37"  # of Kubernetes
IMAGES = {"pysot:cpu", "pysot:cuda", "pysot:ascend"}


def documents(path) -> list[dict]:
    return list(yaml.safe_load_all(path.read_text()))


def check_core(document) -> None:
    """Raise an error for a document that is not what Kubernetes accepts."""
    pytest.importorskip("kubernetes_validate").validate(document, VERSION, strict=True)


def check_pod(template) -> None:
    check_core({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **template})


def check_volcano(document) -> None:
    schema = json.loads((FOLDER / "volcano_job.schema.json").read_text())
    pytest.importorskip("jsonschema").validate(document, schema)
    for task in document["spec"]["tasks"]:
        check_pod(task["template"])


def check_kubeflow(value, kind="KubeflowOrgV1PyTorchJob") -> None:
    """Check a value against the models of Kubeflow's package, whose types are texts."""
    models = pytest.importorskip("kubeflow.training.models")
    simple = {"str": str, "int": int, "bool": bool}
    if match := re.fullmatch(r"dict\(str, (\w+)\)|list\[(\w+)\]", kind):
        assert isinstance(value, dict if match[1] else list)
        for item in value.values() if match[1] else value:
            check_kubeflow(item, match[1] or match[2])
    elif kind == "V1PodTemplateSpec":
        check_pod(value)
    elif kind in simple:
        assert isinstance(value, simple[kind]), f"{value!r} is no {kind}"
    elif hasattr(models, kind):
        model = getattr(models, kind)
        types = {key: model.openapi_types[name] for name, key in model.attribute_map.items()}
        assert {*value} <= {*types}, f"{kind} has no {', '.join({*value} - {*types})}"
        for key, item in value.items():
            check_kubeflow(item, types[key])


CHECKS = {"batch.volcano.sh/v1alpha1": check_volcano, "kubeflow.org/v1": check_kubeflow}


def check(document) -> None:
    CHECKS.get(document["apiVersion"], check_core)(document)


def all_pods(document) -> list[dict]:
    """Return the pod templates of a document."""
    spec = document["spec"]
    tasks = [
        *spec.get("tasks", ()),
        *spec.get("pytorchReplicaSpecs", {}).values(),
        *([spec] if "template" in spec else ()),
    ]
    return [task["template"] for task in tasks]


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck")
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck(path):
    done = subprocess.run(["shellcheck", "-x", path], capture_output=True, text=True, cwd=FOLDER.parents[1])
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_schema(path):
    for document in documents(path):
        check(document)


def broken(name, change, index=0):
    document = copy.deepcopy(documents(FOLDER / name)[index])
    change(document)
    return document


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("storage.yaml", lambda d: d["spec"].update(accessMode="ReadWriteMany")),
        ("prepare_job.yaml", lambda d: d["spec"].update(completions="8")),
        ("prepare_job.yaml", lambda d: d["spec"]["template"]["spec"]["containers"][0].pop("name")),
        ("evaluate_job.yaml", lambda d: d["spec"]["template"]["spec"].update(volume=[])),
        ("volcano_train.yaml", lambda d: d["spec"].update(minavailable=2)),
        ("volcano_train.yaml", lambda d: d["spec"]["policies"][0].update(events=["PodFail"])),
        ("volcano_train.yaml", lambda d: d["spec"]["plugins"].update(env=None)),
        ("volcano_train.yaml", lambda d: d["spec"]["tasks"][0]["template"]["spec"].update(nodeselector={})),
        ("pytorchjob_train.yaml", lambda d: d["spec"].update(pytorchReplicaSpec={})),
        ("pytorchjob_train.yaml", lambda d: d["spec"]["runPolicy"].update(backoffLimit="3")),
        (
            "pytorchjob_train.yaml",
            lambda d: d["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"].pop("containers"),
        ),
    ],
)
def test_mistakes_are_found(name, change):
    check(documents(FOLDER / name)[0])  # skipped without the packages
    with pytest.raises(Exception, match="."):
        check(broken(name, change))


def test_images_and_storage():
    (claim,) = documents(FOLDER / "storage.yaml")
    for path in MANIFESTS:
        for pod in (pod for document in documents(path) for pod in all_pods(document)):
            volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
            assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
            for container in pod["spec"]["containers"]:
                assert container["image"] in IMAGES
                assert {mount["name"] for mount in container["volumeMounts"]} == {*volumes}


def test_parts_are_completions_and_nodes_are_replicas():
    for name in ("prepare_job.yaml", "evaluate_job.yaml"):
        first, last = (document["spec"] for document in documents(FOLDER / name))
        (container,) = first["template"]["spec"]["containers"]
        variables = {variable["name"]: variable.get("value") for variable in container["env"]}
        assert int(variables["PARTS"]) == first["completions"] == first["parallelism"]
        assert first["completionMode"] == "Indexed" and last["suspend"]
    (job,) = documents(FOLDER / "volcano_train.yaml")
    assert job["spec"]["minAvailable"] == sum(task["replicas"] for task in job["spec"]["tasks"])
    assert [task["name"] for task in job["spec"]["tasks"]] == ["worker"] and {"env", "svc"} <= {*job["spec"]["plugins"]}
