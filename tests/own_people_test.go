package tests

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// placesOfOwn is the schema of a company. Its objects lead to an account directly, through an importer, or through
// another object.
const placesOfOwn = `use import
import "sluice/root.zed"

definition folder {
    relation account: account
    relation shows: importer
    relation reader: user
    permission view = account->view + shows->view + reader
}

definition dashboard {
    relation account: account
    relation shows: importer
    relation folder: folder
    relation editor: user
    relation approver: user
    relation reader: user
    permission view = account->view + shows->view + folder->view + reader
    permission edit = editor
    permission approve = editor & approver
}
`

// TestPeopleOfOwnObjectsAreHidden checks which readers learn from an answer that a person is related to an object of
// a company's own type. The relationships of the object lead to one or more accounts. Only a reader who may list the
// people of all these accounts may learn that. A guest may view the objects, but may not list the people.
func TestPeopleOfOwnObjectsAreHidden(t *testing.T) {
	t.Parallel()
	server, conn := own(t, placesOfOwn)
	c := newCaller(t, server.URL).withKey(server.Key)
	olga, milton, paula := c.as("olga"), c.as("milton"), c.as("paula")
	olga.must(http.MethodPut, "accounts/sales/members/milton", roles("guest"))
	for _, who := range []string{"paula", "peter"} {
		olga.must(http.MethodPut, "accounts/support/members/"+who, roles("user"))
	}
	write(t, conn,
		"dashboard:direct#account@account:sales", "dashboard:importer#shows@importer:leads-sales",
		"folder:f#shows@importer:leads-sales", "dashboard:folder#folder@folder:f",
		"dashboard:both#account@account:support", "dashboard:both#shows@importer:leads-sales",
		"dashboard:support#account@account:support", "dashboard:both#editor@user:peter",
		"dashboard:support#editor@user:peter", "dashboard:importer#reader@user:milton", "folder:f#reader@user:milton",
	)
	explain := func(by caller, who, permission, object string) string {
		return string(by.must(http.MethodPost, "explain", map[string]any{
			"subject": "user:" + who, "permission": permission, "resource": object, "consistency": "fully_consistent",
		}).body)
	}
	for _, object := range []string{"dashboard:direct", "dashboard:importer", "dashboard:folder"} {
		write(t, conn, object+"#editor@user:peter")
		preview := func(by caller) []string {
			effects, _ := by.preview(http.MethodDelete, "relationships?resource="+object, nil).effects(t)
			return effects
		}
		require.Contains(t, preview(olga), "- user:peter edit "+object)
		require.Contains(t, preview(milton), "- user:milton view "+object)
		for _, effect := range preview(milton) {
			require.Contains(t, effect, "user:milton", "the guest may not learn about other people")
		}
		require.NotContains(t, preview(paula), "- user:peter edit "+object)

		require.Contains(t, explain(olga, "peter", "edit", object), `"relation":"editor"`)
		require.NotContains(t, explain(milton, "peter", "edit", object), "editor")
		// The explanations about peter and zoe are equal, so the guest does not learn that peter is an editor.
		asPeter, asZoe := explain(milton, "peter", "approve", object), explain(milton, "zoe", "approve", object)
		asZoe = strings.ReplaceAll(asZoe, "zoe", "peter")
		require.Equal(t, withoutToken(asZoe), withoutToken(asPeter))
	}

	// One write of another tool changes an account and dashboards. The reader paula may list the people of only one
	// account.
	write(t, conn,
		"account:support#user@user:nina", "dashboard:both#editor@user:nina", "dashboard:support#editor@user:nina",
	)
	about := func(by caller) []string {
		return changes(by.history("account=support&object=user:nina", atLeast(1)))
	}
	const account, support, both = " touch account:support#user@user:nina",
		" touch dashboard:support#editor@user:nina", " touch dashboard:both#editor@user:nina"
	require.ElementsMatch(t, []string{account, support}, about(paula))
	require.ElementsMatch(t, []string{account, support, both}, about(olga))
}

func withoutToken(answer string) string {
	before, _, _ := strings.Cut(answer, `"token"`)
	return before
}
