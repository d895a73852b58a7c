module catalyst-zero.invalid/tools/helm-controller-crds

go 1.26.0

// Read, never built: its manifests of custom resource definitions.
require github.com/fluxcd/helm-controller v1.6.4
