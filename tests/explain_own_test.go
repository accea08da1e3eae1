package tests

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// dashboards is the schema of a company that docs/extending.md describes.
const dashboards = `use import
import "sluice/root.zed"

definition dashboard {
    relation account: account
    relation creator: user
    relation editor: user
    relation shows: importer
    permission view = account->view
    permission edit = (creator + editor) & account->view
    permission delete = (creator & account->view) + account->delete
}
`

// TestExplainOwnDefinitions explains denials about a type of a company's own schema. The suggestions are operations
// on the object's account, relationships of the type, and both together. The test performs each suggestion.
func TestExplainOwnDefinitions(t *testing.T) {
	t.Parallel()
	server, conn := own(t, dashboards)
	write(
		t, conn, "dashboard:revenue#account@account:sales", "dashboard:revenue#shows@importer:leads-sales",
		"dashboard:revenue#creator@user:peter",
	)
	c := newCaller(t, server.URL).withKey(server.Key)
	c.as("olga").must("PUT", "accounts/sales/members/gus", map[string]any{"roles": []string{"guest"}})

	why := func(q question) (e explanation) {
		c.must("POST", "explain", map[string]any{ // the explanation must also see the writes above, which bypass Sluice
			"subject": q.Subject, "permission": q.Permission, "resource": q.Resource, "consistency": "fully_consistent",
		}).decode(t, &e)
		return e
	}

	for _, test := range []struct {
		who, permission, says string
		suggestions           []string
	}{
		{
			"nemo", "view",
			"nemo lacks the permission view on dashboard revenue. nemo is not a guest of account sales. An owner of account sales can do that: olga",
			[]string{"account:sales#guest", "account:sales#user"},
		},
		{
			"olga", "edit",
			"olga lacks the permission edit on dashboard revenue. olga is not editor of dashboard revenue. The application itself writes relationships of this type",
			[]string{"dashboard:revenue#editor", "dashboard:revenue#creator"},
		},
		{
			"nemo", "edit", "nemo lacks the permission edit on dashboard revenue. nemo is not a guest of account sales and nemo is not editor of dashboard revenue. " +
				"Step 1: An owner of account sales can do that: olga. Step 2: The application itself writes that nemo is editor of dashboard revenue",
			[]string{"account:sales#guest dashboard:revenue#editor", "account:sales#owner dashboard:revenue#editor"},
		},
		{
			"peter", "delete", "peter is not a guest of account sales. ", []string{"account:sales#guest", "account:sales#owner"},
		},
		{
			"gus", "delete", "gus is not creator of dashboard revenue. The application itself writes relationships of this type",
			[]string{"dashboard:revenue#creator", "account:sales#owner"},
		},
	} {
		q := question{"user:" + test.who, test.permission, "dashboard:revenue"}
		e := why(q)
		require.Contains(t, e.Text, test.says)
		var suggestions []string
		for _, suggested := range e.Suggestions {
			var gains []string
			for _, r := range suggested.Relationships {
				gains = append(gains, r.Resource+"#"+r.Relation)
			}
			suggestions = append(suggestions, strings.Join(gains, " "))
			require.LessOrEqual(t, len(suggested.Operations), 1)
		}
		require.Subset(t, suggestions, test.suggestions, q)
		distinct := slices.Compact(slices.Sorted(slices.Values(suggestions)))
		require.Len(t, suggestions, len(distinct), "each once: %s", suggestions)
	}

	// SpiceDB checks the set account:sales#owner as one subject, and does not check the people in it. The permission
	// requires a role and a flag, which is a relation to user:*. The set has the role owner, but user:* does not
	// contain the set.
	require.Contains(
		t,
		why(question{"account:sales#owner", "view", "account:sales"}).Text,
		"every owner of account sales, as one subject, lacks the permission view on account sales; the answer for each member may differ",
	)
	require.True(t, why(question{"subscription:initech#owner", "view", "account:sales"}).Allowed)
	require.Contains(
		t, why(question{"user:gus", "owner", "account:sales"}).Text, "gus is not in the relation owner of account sales. ",
	)

	// Perform the first suggestion for each check: the request of an approver whom it names, and the writes of the
	// application itself.
	for _, q := range []question{{"user:nemo", "edit", "dashboard:revenue"}, {"user:olga", "edit", "dashboard:revenue"}} {
		suggested := why(q).Suggestions[0]
		for _, o := range suggested.Operations {
			c.as(o.Approvers[0].People[0]).must(o.Method, o.Path, o.Body)
		}
		for _, r := range suggested.Relationships {
			if strings.HasPrefix(r.Resource, "dashboard:") {
				write(t, conn, r.String())
			}
		}
		require.True(t, why(q).Allowed, q)
	}
}
