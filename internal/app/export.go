package app

import (
	"context"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/internal/transfer"
	"github.com/sluice-authz/sluice/schema"
)

// ExportSource returns a source that exports a store. If the store has the product's schema, the export omits
// relationships that are left over from expired roles, since the rules of an import reject them.
func ExportSource(engine Store) transfer.Source { return exportSource{engine} }

type exportSource struct{ Store }

// ExportTexts implements transfer.Source.
func (s exportSource) ExportTexts(
	ctx context.Context, at authz.Token, after string, take func([]string, string) error,
) error {
	text, err := s.Schema(ctx)
	if err != nil {
		return err
	}
	definitions, err := schema.Describe(text)
	if err != nil {
		return err
	}
	if !operation.IsProduct(definitions) {
		return s.Store.ExportTexts(ctx, at, after, take)
	}
	leftovers := operation.NewLeftovers(s.Store, at)
	return s.Store.ExportTexts(ctx, at, after, func(relationships []string, after string) error {
		kept := make([]string, 0, len(relationships))
		for _, text := range relationships {
			left, err := isLeftover(ctx, leftovers, text)
			if err != nil {
				return err
			}
			if !left {
				kept = append(kept, text)
			}
		}
		return take(kept, after)
	})
}

func isLeftover(ctx context.Context, leftovers *operation.Leftovers, text string) (bool, error) {
	resource, subject, _ := strings.Cut(text, "@")
	typ, _, _ := strings.Cut(resource, ":")
	relation := resource[strings.LastIndexByte(resource, '#')+1:]
	if subject == "" || !leftovers.MayHave(authz.Type(typ), authz.Relation(relation)) {
		return false, nil
	}
	r, err := spicedb.ParseRelationship(text)
	if err != nil {
		return false, err
	}
	return leftovers.Has(ctx, r)
}
