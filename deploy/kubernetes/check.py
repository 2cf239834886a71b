"""What the API's schemas can't know about the manifests. Use: check.py REPOSITORY RENDERED...

To add a check: a `need(condition, what is wrong)` in `check`.
"""

import re
import sys

import yaml

# Preparing to stop, then the two steps in which a service stops.
STOP_SECONDS = 5 + 5 + 5


def pod_template(thing):
    if thing["kind"] in ("Deployment", "StatefulSet", "Job"):
        return thing["spec"]["template"]
    return None


def matches(selector, labels):
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", selector).items())


def check(path, secrets, settings, metrics, connections):
    things = [thing for thing in yaml.safe_load_all(open(path)) if thing]
    names = {}
    wrong = []
    for thing in things:
        names.setdefault(thing["kind"], {})[thing["metadata"]["name"]] = thing
    of = lambda kind: list(names.get(kind, {}).values())
    templates = {f"{t['kind']} {t['metadata']['name']}": pod_template(t) for t in things if pod_template(t)}

    def need(condition, text):
        if not condition:
            wrong.append(text)

    # The restricted standard, and our own: read-only root, limits, probes, no token, a tag that is a version.
    for name, template in templates.items():
        spec = template["spec"]
        pod = spec.get("securityContext", {})
        need(pod.get("runAsNonRoot") and pod.get("runAsUser", 0) > 0, f"{name}: may run as root")
        need(pod.get("seccompProfile", {}).get("type") == "RuntimeDefault", f"{name}: no seccomp profile")
        need(spec.get("automountServiceAccountToken") is False, f"{name}: gets a token")
        need(spec.get("enableServiceLinks") is False, f"{name}: gets variables of services")
        need(spec.get("serviceAccountName") in names["ServiceAccount"], f"{name}: no such service account")
        for container in spec["containers"] + spec.get("initContainers", []):
            of_container = container.get("securityContext", {})
            need(of_container.get("allowPrivilegeEscalation") is False, f"{name}: privilege escalation")
            need(of_container.get("readOnlyRootFilesystem"), f"{name}: root can be written")
            need(of_container.get("capabilities", {}).get("drop") == ["ALL"], f"{name}: keeps capabilities")
            need("memory" in container.get("resources", {}).get("limits", {}), f"{name}: no memory limit")
            need({"cpu", "memory"} <= set(container.get("resources", {}).get("requests", {})), f"{name}: no requests")
            image = container["image"]
            need(":" in image and not image.endswith(":latest"), f"{name}: image {image} has no version")
            if not name.startswith("Job"):
                for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                    need(probe in container, f"{name}: no {probe}")
            ports = {port.get("name") for port in container.get("ports", [])}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                for way in ("tcpSocket", "httpGet"):
                    port = container.get(probe, {}).get(way, {}).get("port")
                    need(not isinstance(port, str) or port in ports, f"{name}: {probe} asks port {port}, which is none")
            volumes = {volume["name"] for volume in spec.get("volumes", [])}
            thing = names[name.split()[0]][name.split()[1]]
            volumes |= {claim["metadata"]["name"] for claim in thing["spec"].get("volumeClaimTemplates", [])}
            for mount in container.get("volumeMounts", []):
                need(mount["name"] in volumes, f"{name}: mounts {mount['name']}, which is no volume")
            for source in container.get("envFrom", []):
                of_map = source["configMapRef"]["name"]
                need(of_map in names["ConfigMap"], f"{name}: no such ConfigMap")
                for key, value in names["ConfigMap"].get(of_map, {"data": {}})["data"].items():
                    need(key in settings, f"{of_map}: {key} is no setting of the binary")
                    if value.startswith("/"):
                        need(any(value.startswith(mount["mountPath"] + "/") for mount in container["volumeMounts"]), f"{name}: {key} is {value}, where nothing is mounted")
            if container["image"].split("/")[-1].startswith("shipei:"):
                # The SDK's own variables, and names that others are put together from.
                texts = " ".join(variable.get("value", "") for variable in container.get("env", []))
                for variable in container.get("env", []):
                    known = variable["name"] in settings or variable["name"].startswith("OTEL_") or f"$({variable['name']})" in texts
                    need(known, f"{name}: {variable['name']} is no setting of the binary")
                serves = container["args"][0] == "serve"
                instance = [v["valueFrom"]["fieldRef"]["fieldPath"] for v in container.get("env", []) if v["name"] == "SHIPEI_INSTANCE"]
                need(not serves or instance == ["metadata.name"], f"{name}: instances don't bear their pod's name")
                need(not serves or spec["terminationGracePeriodSeconds"] > STOP_SECONDS, f"{name}: is cut off while it stops")
                need(template["metadata"]["labels"].get("shipei/needs-database") == "true", f"{name}: no policy lets it reach the database")
        for volume in spec.get("volumes", []):
            if "configMap" in volume:
                need(volume["configMap"]["name"] in names["ConfigMap"], f"{name}: no ConfigMap {volume['configMap']['name']}")
            if "secret" in volume:
                need(volume["secret"]["secretName"] in secrets, f"{name}: no template of secret {volume['secret']['secretName']}")
        if name.split()[0] in ("Deployment", "StatefulSet"):
            thing = names[name.split()[0]][name.split()[1]]
            need(matches(thing["spec"]["selector"], template["metadata"]["labels"]), f"{name}: selector fits no pod")

    # Who selects pods selects some, by names that exist.
    labels = {name: template["metadata"]["labels"] for name, template in templates.items()}
    selected = lambda selector: [name for name, own in labels.items() if matches(selector, own)]
    for service in of("Service"):
        name = service["metadata"]["name"]
        found = selected(service["spec"]["selector"])
        need(len(found) == 1, f"Service {name}: selects {found}")
        for port in service["spec"]["ports"]:
            ports = {p["name"] for pod in found for c in templates[pod]["spec"]["containers"] for p in c.get("ports", [])}
            need(port["targetPort"] in ports, f"Service {name}: no port {port['targetPort']}")
    for budget in of("PodDisruptionBudget"):
        found = selected(budget["spec"]["selector"])
        need(len(found) == 1, f"PodDisruptionBudget {budget['metadata']['name']}: selects {found}")
    for scaler in of("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        need(target["name"] in names[target["kind"]], f"HorizontalPodAutoscaler: no {target['kind']} {target['name']}")
        need(scaler["spec"]["minReplicas"] >= 2, f"{target['name']}: a disruption of one is a disruption of all")
        for metric in scaler["spec"]["metrics"]:
            if metric["type"] != "Resource":
                name = metric[metric["type"].lower()]["metric"]["name"]
                need(name in metrics, f"{target['name']}: scales on {name}, for which prometheus-adapter has no rule")
        need("replicas" not in names[target["kind"]][target["name"]]["spec"], f"{target['name']}: has replicas and an autoscaler")
    # At the widest, and with one more of each while it is upgraded, instances have fewer connections than Postgres gives.
    services = [s for s in of("HorizontalPodAutoscaler") if s["metadata"]["name"] != "nginx"]
    most = sum(scaler["spec"]["maxReplicas"] + 1 for scaler in services) * connections["pool"]
    need(most < connections["postgres"], f"{most} connections at the widest, of {connections['postgres']}")
    # What may be one only: Redis, whose contents may vanish, and the collector, which adds up.
    single = {"redis", "collector"}
    every = [name for name in labels if name.startswith("Deployment") and name.split()[1] not in single]
    for kind in ("PodDisruptionBudget", "HorizontalPodAutoscaler"):
        need(len(of(kind)) == len(every), f"{len(of(kind))} {kind} for {len(every)} deployments")

    # Nothing is open by default, and every allowance is for somebody.
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in of("NetworkPolicy")}
    if "shipei" in names["Namespace"]:
        need(policies.get("default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}, "no default-deny")
    for name, own in labels.items():
        need(any(matches(policy["podSelector"], own) for policy in policies.values() if policy["podSelector"]), f"{name}: no policy of its own")
    outside = {"tempo"} | ({"postgres", "redis"} if "StatefulSet" not in names else set())
    for name, policy in policies.items():
        need(policy["podSelector"] == {} or selected(policy["podSelector"]), f"NetworkPolicy {name}: for nobody")
        for peer in [p for rule in policy.get("ingress", []) for p in rule["from"]] + [p for rule in policy.get("egress", []) for p in rule["to"]]:
            own = peer.get("podSelector")
            if "namespaceSelector" in peer or own in (None, {}) or own["matchLabels"].get("app.kubernetes.io/name") in outside:
                continue
            need(selected(own), f"NetworkPolicy {name}: lets talk to nobody: {own}")

    # nginx's upstreams are the headless services.
    for name, config in names["ConfigMap"].items():
        if not name.startswith("nginx-upstreams"):
            continue
        for line in config["data"]["upstreams.conf"].splitlines():
            words = line.split()
            if words[:1] == ["server"]:
                host, port = words[1].split(":")
                service = names["Service"].get(host.split(".")[0], {"spec": {"ports": [], "clusterIP": ""}})
                need(service["spec"]["clusterIP"] == "None" and service["spec"]["ports"][0]["port"] == int(port), f"upstream {host}")
    print(f"{path.rsplit('/')[-1]}: {len(things)} objects, {len(templates)} kinds of pods, {len(wrong)} things wrong")
    for text in wrong:
        print("  " + text)
    return not wrong


def main():
    root = sys.argv[1]
    read = lambda path: open(f"{root}/{path}").read()
    example = [thing for thing in yaml.safe_load_all(read("deploy/kubernetes/secrets.example.yaml")) if thing]
    # The trial's own secret is described in its kustomization.
    secrets = {thing["metadata"]["name"] for thing in example} | {"shipei-state"}
    rust = read("crates/shipei/src/settings/list.rs") + read("crates/shipei/src/environment.rs")
    settings = set(re.findall(r'"(SHIPEI_[A-Z_]+)"', rust)) | {"SHIPEI_LOG"}
    rules = yaml.safe_load(read("deploy/kubernetes/prometheus-adapter.yaml"))["rules"]
    metrics = {rule["name"]["as"] for kind in ("custom", "external") for rule in rules[kind]}
    connections = {
        "pool": int(re.search(r"The most connections \[default: (\d+)\]", rust)[1]),
        "postgres": int(re.search(r"^max_connections = (\d+)", read("deploy/postgres/postgresql.conf"), re.M)[1]),
    }
    results = [check(path, secrets, settings, metrics, connections) for path in sys.argv[2:]]
    # Compose's variables are settings too, and the template of the secret is what make-secrets writes.
    compose = yaml.safe_load(read("docker-compose.yml"))
    unknown = {key for service in compose["services"].values() for key in service.get("environment", {}) if key.startswith("SHIPEI_")} - settings
    lines = lambda text: [re.sub(r"\$\(cat \w+\)", "REPLACE", line) for line in re.findall(r"^ *((?:database|redis|redis_ca_file) = .*)", text, re.M)]
    told, made = lines(example[0]["stringData"]["shipei.toml"]), lines(read("deploy/make-secrets"))
    for wrong in [f"docker-compose.yml: {key} is no setting" for key in sorted(unknown)] + ([] if told == made else ["secrets.example.yaml and make-secrets differ"]):
        print("  " + wrong)
        results.append(False)
    sys.exit(0 if all(results) else 1)


main()
