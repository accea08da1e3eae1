package preview

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// undecidable is an engine that returns an error for each check of one permission. It records the permissions of all
// checks.
type undecidable struct {
	authz.Engine
	permission authz.Permission
	asked      *[]authz.Permission
}

func (u undecidable) CheckBulk(
	_ context.Context, checks []authz.Check, _ authz.Consistency,
) ([]authz.CheckResult, authz.Token, error) {
	results := make([]authz.CheckResult, len(checks))
	for i, check := range checks {
		*u.asked = append(*u.asked, check.Permission)
		if check.Permission == u.permission {
			results[i].Err = authz.Errorf(authz.CodeTooLarge, "too many steps")
		}
	}
	return results, "", nil
}

func (undecidable) Write(context.Context, authz.Write) (authz.Token, error) { return "", nil }

// TestPreviewAsksUndecidedQuestionsOnlyOnce checks that a preview does not repeat a check that failed before the
// operation. Such a check takes the longest, and its result after the operation does not matter.
func TestPreviewAsksUndecidedQuestionsOnlyOnce(t *testing.T) {
	doc := authz.Object{Type: "doc", ID: "1"}
	c := comparison{
		objects: []authz.Object{doc}, people: []authz.Subject{personOf(1)},
		questions: []question{{doc, "view"}, {doc, "sift"}},
	}
	var asked []authz.Permission
	found, err := c.compare(t.Context(), undecidable{permission: "sift", asked: &asked}, nil, nil)
	require.NoError(t, err)
	require.Contains(t, found.undecided[doc], authz.Permission("sift"))
	require.ElementsMatch(t, []authz.Permission{"view", "sift", "view"}, asked)
}
