package api_test

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sluice-authz/sluice/api"
)

func TestContractIsValidWithItsExamples(t *testing.T) {
	contract, err := openapi3.NewLoader().LoadFromData(api.Contract)
	if err != nil {
		t.Fatal(err)
	}
	if err := contract.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
}
