module catalyst-zero.invalid/tools/kustomize-controller-crds

go 1.26.0

// Read, never built: its manifests of custom resource definitions.
require github.com/fluxcd/kustomize-controller v1.9.5
