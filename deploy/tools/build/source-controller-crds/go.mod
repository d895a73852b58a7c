module catalyst-zero.invalid/tools/source-controller-crds

go 1.26.0

// Read, never built: its manifests of custom resource definitions.
require github.com/fluxcd/source-controller v1.9.5
