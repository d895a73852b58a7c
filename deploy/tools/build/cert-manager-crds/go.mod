module catalyst-zero.invalid/tools/cert-manager-crds

go 1.26.0

// Read, never built: its manifests of custom resource definitions.
require github.com/cert-manager/cert-manager v1.21.2
