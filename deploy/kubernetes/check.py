"""What the API's schemas can't know about the manifests. Use: check.py SECRETS RENDERED..."""

import sys

import yaml


def pod_template(thing):
    if thing["kind"] in ("Deployment", "StatefulSet", "Job"):
        return thing["spec"]["template"]
    return None


def matches(selector, labels):
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", selector).items())


def check(path, secrets):
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
                need(source["configMapRef"]["name"] in names["ConfigMap"], f"{name}: no such ConfigMap")
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
        need("replicas" not in names[target["kind"]][target["name"]]["spec"], f"{target['name']}: has replicas and an autoscaler")
    every = [name for name in labels if name.startswith("Deployment") and "redis" not in name]
    for kind in ("PodDisruptionBudget", "HorizontalPodAutoscaler"):
        need(len(of(kind)) == len(every), f"{len(of(kind))} {kind} for {len(every)} deployments")

    # Nothing is open by default, and every allowance is for somebody.
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in of("NetworkPolicy")}
    need(policies.get("default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}, "no default-deny")
    outside = {"postgres", "redis"} if "StatefulSet" not in names else set()
    for name, policy in policies.items():
        need(policy["podSelector"] == {} or selected(policy["podSelector"]), f"NetworkPolicy {name}: for nobody")
        for peer in [p for rule in policy.get("ingress", []) for p in rule["from"]] + [p for rule in policy.get("egress", []) for p in rule["to"]]:
            own = peer.get("podSelector")
            if "namespaceSelector" in peer or own is None or own["matchLabels"].get("app.kubernetes.io/name") in outside:
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
    secrets = {thing["metadata"]["name"] for thing in yaml.safe_load_all(open(sys.argv[1])) if thing}
    # The trial's own secret is described in its kustomization.
    secrets.add("shipei-state")
    results = [check(path, secrets) for path in sys.argv[2:]]
    sys.exit(0 if all(results) else 1)


main()
