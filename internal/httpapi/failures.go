package httpapi

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// itemError is what an answer says about an item that could not be decided; nil for one that could.
func (s *server) itemError(ctx context.Context, err error) *ItemError {
	if err == nil {
		return nil
	}
	return &ItemError{Code: Code(codeOf(err)), Detail: s.detailOf(ctx, err)}
}

// undecided has the texts of lists for a person about a permission that could not be decided. The error itself may name
// objects that the person may not view.
var undecided = map[authz.Code]string{
	authz.CodeTooLarge: "the answer needs too many steps",
}

// permissionErrors are those of the permissions on one object of a list for a person; nil if there are none.
func permissionErrors(failed map[authz.Permission]error) *PermissionErrors {
	if len(failed) == 0 {
		return nil
	}
	errs := make(PermissionErrors, len(failed))
	for permission, err := range failed {
		code := codeOf(err)
		errs[string(permission)] = ItemError{
			Code: Code(code), Detail: cmp.Or(undecided[code], "the permission could not be decided"),
		}
	}
	return &errs
}

// outcomes are what a search finds, by id or name: nil for what is permitted, an error for what could not be decided.
type outcomes map[string]error

// bounded returns an error with CodeTooLarge if these are more than a search may find.
func (o outcomes) bounded() error {
	if len(o) <= maxSearched {
		return nil
	}
	return authz.Errorf(
		authz.CodeTooLarge, "the search finds more than %d results; look-ups under /v1/lookup find any number", maxSearched,
	)
}

// page returns the part of the outcomes that a page shows: what is permitted, and what could not be decided.
func (o outcomes) page(p searchPage) (permitted, failed []string, shown FoundPage, err error) {
	all, shown, err := p.of(slices.Sorted(maps.Keys(o)))
	for _, name := range all {
		if o[name] == nil {
			permitted = append(permitted, name)
		} else {
			failed = append(failed, name)
		}
	}
	shown.Count = len(permitted)
	return permitted, failed, shown, err
}

// failsFor reports whether something could not be decided with the context.
func (o outcomes) failsFor() bool {
	for _, err := range o {
		if authz.CodeOf(err) == authz.CodeInvalid {
			return true
		}
	}
	return false
}

// searchErrors shows what could not be decided; nil if there is nothing.
func (s *server) searchErrors(
	ctx context.Context, o outcomes, failed []string, show func(name string) SearchError,
) *SearchErrors {
	if len(failed) == 0 {
		return nil
	}
	errs := make(SearchErrors, len(failed))
	for i, name := range failed {
		errs[i] = show(name)
		errs[i].Error = s.evaluationError(ctx, o[name])
	}
	return &errs
}

// searchContext is nil without errors.
func searchContext(errs *SearchErrors) *SearchContext {
	if errs == nil {
		return nil
	}
	return &SearchContext{Errors: errs}
}

func failedEntity(typ string) func(id string) SearchError {
	return func(id string) SearchError { return SearchError{Type: &typ, ID: &id} }
}
