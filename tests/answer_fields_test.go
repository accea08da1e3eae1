package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// answerFields lists every field in the answers of operations, previews, offboarding reports and explanations. Each
// key is the name of a test. This test checks that an answer hides the fields if the actor may not view the objects
// in them. The key "" lists the fields that need no such test: values in the request, its object, numbers that the
// server chooses, and objects whose own fields are listed too.
var answerFields = map[string]string{
	"": `AcceptedInvitation.replayed AcceptedInvitation.token AcceptedInvitation.user Account.id Account.replayed
		Account.token ChangedMember.replayed ChangedMember.token ChangedMember.user ChangedMembers.replayed
		ChangedMembers.token Connection.id Connection.replayed Connection.token Connector.id Connector.replayed
		Connector.token CopiedImporter.id CopiedImporter.replayed CopiedImporter.token Done.replayed Group.id
		Group.replayed Group.token GroupRoles.group GroupRoles.replayed GroupRoles.token ServiceAccount.id
		ServiceAccount.replayed ServiceAccount.token ServiceAccountRoles.replayed ServiceAccountRoles.service_account
		ServiceAccountRoles.token RoleDefinition.id RoleDefinition.replayed RoleDefinition.token Done.token
		Explanation.allowed Explanation.token Importer.id Importer.replayed
		Importer.token Invitation.replayed Invitation.token Member.user Offboarding.token Offboarding.user
		PartOfAccount.id PartOfAccount.replayed PartOfAccount.token PartOfWorkspace.id PartOfWorkspace.replayed
		PartOfWorkspace.token Preview.effects RemovedMember.reassigned RemovedMember.remaining Offboarding.groups
		Member.via Member.holder RemovedMember.replayed RemovedMember.token Subscription.id Subscription.replayed
		Subscription.token Workspace.id Workspace.replayed Workspace.token Invitation.inviter Offboarding.connections
		Offboarding.importers Offboarding.invitations Offboarding.shares Reassigned.connections Reassigned.importers
		Reassigned.private_connections OffboardingShares.workspaces Offboarding.roles Offboarding.private_connections
		OffboardingPrivate.count OffboardingPrivate.used_by_others OffboardingShares.connections
		ReassignedPrivate.disconnected ReassignedPrivate.moved Named.count Explanation.failed Explanation.incomplete
		Explanation.suggestions Explanation.missing_context Explanation.path TraceNode.cached TraceNode.condition
		TraceNode.parts Suggestion.operations Suggestion.relationships Suggestion.without SuggestedOperation.needs
		SuggestedOperation.approvers SuggestedOperation.method SuggestedOperation.scope`,
	"TestOffboardingReportHidesMemberships":          "Offboarding.ends_membership",
	"TestGroupsOfMembersAreShown":                    "AccountGroup.expires_at AccountGroup.group AccountGroup.roles",
	"TestReassigningRemovalReportsReassignedObjects": "Named.ids",
	"TestOffboardingReportHidesInvitations":          "OffboardingInvitations.received OffboardingInvitations.sent",
	"TestExplainNamesPeople": `SuggestedOperation.body SuggestedOperation.body_omitted SuggestedOperation.text
		Approvers.people Approvers.more Approvers.relation Approvers.resource Explanation.omitted Suggestion.text
		SuggestedRelationship.subject`,
	"TestExplanationsShowRelationsOfVisibleObjects": `ExplainedStep.relation ExplainedStep.resource ExplainedStep.subject
		ExplainedStep.text ExplainedStep.expires_at ExplainedStep.caveat SuggestedRelationship.resource
		SuggestedRelationship.relation`,
	"TestExplainHidesHiddenObjects": `Explanation.text SuggestedOperation.path Suggestion.requires_feature
		NeededPermission.permission NeededPermission.resource Explanation.unstored`,
	"TestExpressionIsHiddenFromActor": "ExplainedStep.expression",
	"TestHiddenPartsAreOmitted": `Explanation.trace TraceNode.kind TraceNode.name TraceNode.resources TraceNode.result
		TraceCondition.caveat TraceCondition.expression TraceCondition.missing_context TraceCondition.result`,
	"TestAnswersNameVisibleObjects": `AcceptedInvitation.account AcceptedInvitation.subscription Account.subscription
		Connection.account Connection.connector Connector.account CopiedImporter.account CopiedImporter.destination
		CopiedImporter.source Group.subscription ServiceAccount.account ServiceAccount.subscription Importer.account
		Importer.destination Importer.source Invitation.account Invitation.subscription PartOfAccount.account
		PartOfWorkspace.workspace Workspace.account ChangedMember.accounts Member.accounts`,
	"TestReplaysShowWhatReadsShow": `AcceptedInvitation.roles AcceptedInvitation.expires_at Account.role_set
		ChangedMembers.members Subscription.role_set Connection.group Connection.users Connection.visibility
		Connector.capabilities CopiedImporter.left_out Group.title GroupRoles.expires_at GroupRoles.roles
		ServiceAccount.title ServiceAccount.roles ServiceAccount.expires_at ServiceAccountRoles.roles
		ServiceAccountRoles.expires_at Importer.hidden_ends Invitation.expires_at Invitation.invitee Invitation.roles
		Subscription.features Workspace.open Workspace.users ChangedMember.accounts_expire_at
		Member.accounts_expire_at Member.expires_at ChangedMember.expires_at RoleDefinition.title
		RoleDefinition.description RoleDefinition.builtin RoleDefinition.required RoleDefinition.grants
		RoleDefinition.version`,
	"TestScopesOfRolesAreHidden":          "RoleDefinition.scope",
	"TestReplayedInvitationNeedsTheRight": "Invitation.handle Invitation.id",
	"TestBulkAnswerHidesRolesElsewhere":   "ChangedMember.roles Member.roles",
	"TestPreviewNamesUndecidedObjects": `Preview.undecided Undecided.errors Undecided.resource ItemError.code
		ItemError.detail`,
	"TestPreviewShowsNothingHidden": "Effect.gains Effect.loses Effect.resource Effect.subject Preview.omitted",
}

// TestAnswerFieldsAreThoseOfTheContract checks that answerFields has exactly the fields of the contract, and that its
// tests exist.
func TestAnswerFieldsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	found := make(map[string]bool)
	for _, e := range endpoints(t) {
		if !e.has("Idempotency-Key") && e.path != "/v1/preview" && e.path != "/v1/explain" &&
			!strings.HasSuffix(e.path, "/offboarding") {
			continue
		}
		for status, response := range e.operation.Responses.Map() {
			if content := response.Value.Content.Get("application/json"); content != nil && status < "300" {
				fieldsOf(content.Schema, found)
			}
		}
	}
	listed, tests := make(map[string]bool), testNames(t)
	for test, fields := range answerFields {
		if test != "" && !tests[test] {
			t.Errorf("answerFields names %s, but there is no such test", test)
		}
		for _, field := range strings.Fields(fields) {
			if !found[field] || listed[field] {
				t.Errorf("%s is listed twice, or is no field of these answers", field)
			}
			listed[field] = true
		}
	}
	for field := range found {
		if !listed[field] {
			t.Errorf("%s is not in answerFields", field)
		}
	}
	if len(found) < 100 {
		t.Errorf("these answers have only %d fields", len(found))
	}
}

// fieldsOf adds to found the fields of a schema, and of the schemas in it, in the form Schema.field.
func fieldsOf(ref *openapi3.SchemaRef, found map[string]bool) {
	if ref == nil {
		return
	}
	name := ref.Ref[strings.LastIndex(ref.Ref, "/")+1:]
	for field, property := range ref.Value.Properties {
		if !found[name+"."+field] {
			found[name+"."+field] = true
			fieldsOf(property, found)
		}
	}
	for _, part := range ref.Value.AllOf {
		fieldsOf(part, found)
	}
	fieldsOf(ref.Value.Items, found)
	fieldsOf(ref.Value.AdditionalProperties.Schema, found)
}

// testNames returns the names of all tests of this package, of tests/operations and of internal/explain.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	for _, pattern := range []string{"*_test.go", "operations/*_test.go", "../internal/explain/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
				names[string(match[1])] = true
			}
		}
	}
	return names
}

// referenceTypes maps fields of answers that contain ids of objects to the type of these objects.
var referenceTypes = map[string]string{
	"account": "account", "accounts": "account", "subscription": "subscription", "workspace": "workspace",
	"source": "connection", "destination": "connection", "connector": "connector",
}

// TestAnswersNameVisibleObjects sends a request for every operation. The answer may name an object only if the
// request names it too, or if the actor may view it.
func TestAnswersNameVisibleObjects(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	var made invitation
	seen := make(map[string]bool)
	for i, request := range replays {
		request = made.in(request)
		a := s.under(s.id(fmt.Sprint(i)), request)
		if a.status > 299 {
			t.Fatalf("%s: %d %s", request, a.status, a.body)
		}
		if strings.Contains(request, "/invitations {") {
			a.decode(t, &made)
		}
		actor, _, _ := strings.Cut(request, " ")
		for field, value := range a.withoutToken(t) {
			typ, isReference := referenceTypes[field]
			if !isReference || actor == "backend" {
				continue
			}
			ids := []string{fmt.Sprint(value)}
			if accounts, isMap := value.(map[string]any); isMap {
				ids = ids[:0]
				for id := range accounts {
					ids = append(ids, id)
				}
			}
			for _, id := range ids {
				seen[field] = true
				isNamed := slices.Contains(strings.FieldsFunc(s.in(request), func(r rune) bool {
					return strings.ContainsRune(" /{}:,[]?=", r)
				}), id)
				if !isNamed && !s.permissions("user:"+s.id(actor), typ+":"+id)["view"] {
					t.Errorf("%s names %s:%s, which %s may not view: %s", request, typ, id, actor, a.body)
				}
			}
		}
	}
	for field := range referenceTypes {
		if !seen[field] {
			t.Errorf("no answer has the field %s", field)
		}
	}
}

// TestOffboardingReportHidesInvitations checks that the offboarding report of an owner names invitations. A person
// who may not list invitations gets no report, not even about themselves.
func TestOffboardingReportHidesInvitations(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	line{"inline", "include team"}.play(s, "", "")
	received := s.invite("olga POST accounts/~a/invitations {invitee: ~gert, roles: [owner]}")
	s.with(
		received,
		"olga GET accounts/~a/members/~gert/offboarding => 200 {invitations: {received: {count: 1, ids: [$HANDLE]}}}",
		"gert GET accounts/~a/invitations => 403", "gert GET accounts/~a/members/~gert/offboarding => 403",
	)
}
