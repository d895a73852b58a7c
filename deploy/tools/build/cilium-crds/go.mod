module catalyst-zero.invalid/tools/cilium-crds

go 1.26.0

// Read, never built: its manifests of custom resource definitions.
require github.com/cilium/cilium v1.20.2
