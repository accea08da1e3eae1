// Package api holds the contract of the HTTP API, from which server types and clients are generated.
package api

import _ "embed"

//go:generate go run ../internal/authz/gen
//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi-codegen.yaml openapi.yaml
//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config client.yaml openapi.yaml

// An id may be "." or "..". url.URL.Parse, which oapi-codegen calls, would resolve such a segment of a path. This
// command replaces it by rest.Join, which does not.
//go:generate perl -pi -e "s/serverURL\\.Parse\\(operationPath\\)/Join(serverURL, operationPath)/" ../client/rest/rest.gen.go

// Contract is the OpenAPI 3 document.
//
//go:embed openapi.yaml
var Contract []byte
