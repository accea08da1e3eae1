package httpapi

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// undecided has the texts that a person sees if a permission could not be decided. The error itself is not shown,
// because it may name objects that the person may not view.
var undecided = map[authz.Code]string{
	authz.CodeTooLarge: "the answer needs too many steps",
}

// permissionErrors converts the errors of permissions on one object for a person, with the texts of undecided. It
// returns nil if there are none.
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

// outcomes are the results of a search by id or name. A permitted result is nil. A result that could not be decided is
// an error.
type outcomes map[string]error

// checkCount returns an error with CodeTooLarge if a search found more than maxSearched results.
func (o outcomes) checkCount() error {
	if len(o) <= maxSearched {
		return nil
	}
	return authz.Errorf(
		authz.CodeTooLarge,
		"the search has more than %d results; look-ups under /v1/lookup have no such limit",
		maxSearched,
	)
}

// page returns the outcomes on a page: permitted ones, and those that could not be decided.
func (o outcomes) page(p searchPage) (permitted, failed []string, shown FoundPage, err error) {
	all, shown, err := p.slice(slices.Sorted(maps.Keys(o)))
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

// hasContextError reports whether a result could not be decided with the context.
func (o outcomes) hasContextError() bool {
	for _, err := range o {
		if authz.CodeOf(err) == authz.CodeInvalid {
			return true
		}
	}
	return false
}

// searchErrors converts the results that could not be decided. It returns nil if there are none.
func (a *authZENAPI) searchErrors(
	ctx context.Context, o outcomes, failed []string, show func(name string) SearchError,
) *SearchErrors {
	if len(failed) == 0 {
		return nil
	}
	errs := make(SearchErrors, len(failed))
	for i, name := range failed {
		errs[i] = show(name)
		errs[i].Error = a.evaluationError(ctx, o[name])
	}
	return &errs
}

// searchContext returns a search context with the errors, or nil if there are none.
func searchContext(errs *SearchErrors) *SearchContext {
	if errs == nil {
		return nil
	}
	return &SearchContext{Errors: errs}
}

func failedEntity(typ string) func(id string) SearchError {
	return func(id string) SearchError { return SearchError{Type: &typ, ID: &id} }
}
