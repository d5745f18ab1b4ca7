package api

import (
	_ "embed" // the document
)

// document is written by tools/openapi: make generate.
//
//go:embed openapi.json
var document []byte
