//go:build tools

// Package tools keeps the program's module in go.mod.
package tools

import _ "github.com/fluxcd/helm-controller"
