"""What the API server of a bed writes down of its requests."""

# Writes only, one line each when the answer is known. The beating hearts of nodes and of the control plane are left
# out: they would drown what tests look for.
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {
            "level": "None",
            "namespaces": ["kube-node-lease"],
            "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}],
        },
        {
            "level": "None",
            "userGroups": ["system:nodes", "testbed:kwok"],
            "resources": [{"group": "", "resources": ["nodes/status", "events"]}],
        },
        {"level": "Metadata"},
    ],
}
