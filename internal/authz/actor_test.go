package authz_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

func TestParseActor(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		actor  authz.Actor
		object authz.Object
		person authz.ID
	}{
		"bob":                     {"bob", authz.Object{Type: "user", ID: "bob"}, "bob"},
		"user:bob":                {"bob", authz.Object{Type: "user", ID: "bob"}, "bob"},
		"stored:==":               {"stored:==", authz.Object{Type: "user", ID: "stored:=="}, "stored:=="},
		"service_account:nightly": {"service_account:nightly", authz.Object{Type: "service_account", ID: "nightly"}, ""},
		"service_account:stored:==": {
			"service_account:stored:==", authz.Object{Type: "service_account", ID: "stored:=="}, "",
		},
	} {
		actor, err := authz.ParseActor(text)
		require.NoError(t, err, text)
		require.Equal(t, want.actor, actor, text)
		require.Equal(t, want.object, actor.Object(), text)
		require.Equal(t, authz.Subject{Object: want.object}, actor.Subject(), text)
		require.Equal(t, want.person, actor.Person(), text)
		require.Equal(t, want.person == "", actor.IsServiceAccount(), text)
		require.Equal(t, actor, authz.ActorOf(want.object), text)
	}
	for _, text := range []string{
		"", "group:data-team", "account:acme", "service_account:", "service_account:user:bob", "user:service_account:x",
		"service_account:group:x", "service_account:a\x00",
	} {
		_, err := authz.ParseActor(text)
		require.ErrorIs(t, err, authz.CodeInvalid, text)
	}
}

func TestEmptyActorIsNoServiceAccount(t *testing.T) {
	t.Parallel()
	require.Equal(t, authz.Object{Type: "user"}, authz.Actor("").Object())
	require.False(t, authz.Actor("").IsServiceAccount())
}
