package client

import (
	"context"
	"iter"

	"github.com/sluice-authz/sluice/client/rest"
)

// VisibleObject is an object with the permissions that a person has on it.
type VisibleObject = rest.VisibleObject

// FoundResource is a result of a look-up of resources. If Allowed is false, the server could not decide whether the
// subject has the permission: MissingContext lists the caveat parameters that it needs, or Err has its error.
type FoundResource struct {
	Resource       Reference
	Allowed        bool
	MissingContext []string
	Err            error
}

// FoundSubject is a result of a look-up of subjects. It is one subject or, with Everybody, all subjects of the type
// except those in Excluded. If Allowed is false, the server could not decide whether the subject has the permission:
// MissingContext lists the caveat parameters that it needs, or Err has its error.
type FoundSubject struct {
	Subject        Reference
	Everybody      bool
	Excluded       []Reference
	Allowed        bool
	MissingContext []string
	Err            error
}

// Resources lists the ids of all objects of a type on which a person has the permission.
func (c *Client) Resources(ctx context.Context, user, permission, typ string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		asked := Check{Subject: User(user), Permission: permission, Resource: Reference{Type: typ}}
		for found, err := range c.LookupResources(ctx, asked) {
			if err != nil {
				yield("", err)
				return
			}
			if found.Allowed && !yield(found.Resource.ID, nil) {
				return
			}
		}
	}
}

// LookupResources lists all objects of a type on which the subject has the permission. In the resource of the check,
// set only the type.
func (c *Client) LookupResources(ctx context.Context, check Check) iter.Seq2[FoundResource, error] {
	return func(yield func(FoundResource, error) bool) {
		in, err := check.wire()
		if err != nil {
			yield(FoundResource{}, err)
			return
		}
		at, answered := chainOf(ctx).ask() // all pages of a look-up have the same consistency
		pages(func(cursor string) ([]FoundResource, string, error) {
			page, err := answer[rest.FoundResources](c.rest.LookupResources(ctx, rest.ResourceLookup{
				Subject: in.Subject, Permission: in.Permission, ResourceType: check.Resource.Type, Context: in.Context,
				Limit: pageSize, Cursor: cursor, Consistency: at,
			}))
			if err != nil {
				return nil, "", err
			}
			answered(page.Token)
			found := make([]FoundResource, len(page.Resources))
			for i, r := range page.Resources {
				found[i] = FoundResource{Allowed: r.Allowed, MissingContext: r.MissingContext, Err: itemError(r.Error)}
				found[i].Resource, _ = readReference(r.Resource)
			}
			return found, page.NextCursor, nil
		})(yield)
	}
}

// LookupSubjects lists all subjects of a type that have the permission on the resource. Their number is not limited.
// In the subject of the check, set only the type, or the type and the relation. If the sequence ends without an
// error, it is complete.
func (c *Client) LookupSubjects(ctx context.Context, check Check) iter.Seq2[FoundSubject, error] {
	return func(yield func(FoundSubject, error) bool) {
		in, err := check.wire()
		if err != nil {
			yield(FoundSubject{}, err)
			return
		}
		at, answered := chainOf(ctx).ask()
		response, err := c.rest.LookupSubjects(ctx, rest.SubjectLookup{
			Resource: in.Resource, Permission: in.Permission, SubjectType: check.Subject.Type,
			SubjectRelation: check.Subject.Relation,
			Context:         in.Context, Consistency: at,
		}, acceptLines)
		if err != nil {
			yield(FoundSubject{}, asError(err))
			return
		}
		for found, err := range lines[rest.FoundSubject](ctx, response, answered) {
			if !yield(foundSubject(found), err) {
				return
			}
		}
	}
}

// itemError returns the error that an answer has for one item of a list, or nil.
func itemError(sent rest.ItemError) error {
	if sent.Code == "" {
		return nil
	}
	return &Error{Code: Code(sent.Code), Detail: sent.Detail}
}

func foundSubject(sent rest.FoundSubject) FoundSubject {
	found := FoundSubject{Allowed: sent.Allowed, MissingContext: sent.MissingContext, Err: itemError(sent.Error)}
	found.Subject, found.Everybody = readReference(sent.Subject)
	for _, excluded := range sent.Excluded {
		but, _ := readReference(excluded)
		found.Excluded = append(found.Excluded, but)
	}
	return found
}

// AccountContents lists the objects of one type in an account that the actor may view, with the actor's permissions
// on each object. The collection is the plural of their type, for example importers.
func (a *Actor) AccountContents(ctx context.Context, account, collection string) iter.Seq2[VisibleObject, error] {
	return pages(func(cursor string) ([]VisibleObject, string, error) {
		page, err := answer[rest.ObjectPage](
			a.rest.ListAccountContents(ctx, account, rest.ListAccountContentsParamsCollection(collection),
				&rest.ListAccountContentsParams{Actor: a.user, Limit: &pageSize, Cursor: cursor}),
		)
		return page.Objects, page.NextCursor, err
	})
}

// WorkspaceContents lists the objects of one type in a workspace that the actor may view, with the actor's
// permissions on each object. The collection is the plural of their type, for example flows.
func (a *Actor) WorkspaceContents(ctx context.Context, workspace, collection string) iter.Seq2[VisibleObject, error] {
	return pages(func(cursor string) ([]VisibleObject, string, error) {
		page, err := answer[rest.ObjectPage](
			a.rest.ListWorkspaceContents(ctx, workspace, rest.ListWorkspaceContentsParamsCollection(collection),
				&rest.ListWorkspaceContentsParams{Actor: a.user, Limit: &pageSize, Cursor: cursor}),
		)
		return page.Objects, page.NextCursor, err
	})
}
