package txtest

import (
	"testing"

	"github.com/authzed/spicedb/pkg/tuple"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Relationship parses a relationship in the format of zed, for example "account:sales#user@user:peter". The test fails
// if the text is no relationship.
func Relationship(t testing.TB, text string) authz.Relationship {
	t.Helper()
	parsed, err := tuple.Parse(text)
	require.NoError(t, err, text)
	r := authz.Relationship{
		Resource: objectOf(parsed.Resource), Relation: authz.Relation(parsed.Resource.Relation),
		Subject: authz.Subject{Object: objectOf(parsed.Subject)},
	}
	if parsed.OptionalExpiration != nil {
		r.ExpiresAt = *parsed.OptionalExpiration
	}
	if parsed.OptionalCaveat != nil {
		r.Caveat = parsed.OptionalCaveat.GetCaveatName()
	}
	switch {
	case parsed.Subject.ObjectID == tuple.PublicWildcard:
		r.Subject = authz.Everybody(r.Subject.Type)
	case parsed.Subject.Relation != tuple.Ellipsis:
		r.Subject.Relation = authz.Relation(parsed.Subject.Relation)
	}
	return r
}

// Relationships parses several relationships, see Relationship.
func Relationships(t testing.TB, texts ...string) []authz.Relationship {
	t.Helper()
	all := make([]authz.Relationship, len(texts))
	for i, text := range texts {
		all[i] = Relationship(t, text)
	}
	return all
}

func objectOf(o tuple.ObjectAndRelation) authz.Object {
	typ := authz.Type(o.ObjectType)
	return authz.Object{Type: typ, ID: authz.DecodeID(typ, o.ObjectID)}
}
