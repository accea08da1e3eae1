package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type accountMemberOperations interface {
	AccountMembers(
		ctx context.Context, by operation.Caller, id authz.ID, holders authz.Type, role string, page operation.Page,
	) (operation.Members, authz.Token, error)
	GetAccountMember(ctx context.Context, by operation.Caller, id, user authz.ID) (operation.Member, authz.Token, error)
	PutAccountMember(
		ctx context.Context, by operation.Caller, id, user authz.ID, roles []string, until time.Time,
	) (operation.Member, operation.Done, error)
	RemoveAccountMember(ctx context.Context, by operation.Caller, id, user authz.ID) (operation.Done, error)
	RemoveAccountMemberAndGroups(ctx context.Context, by operation.Caller, id, user authz.ID) (operation.Done, error)
	RemainingGroups(ctx context.Context, by operation.Caller, id, user authz.ID) ([]operation.HolderRoles, error)
	HandOverAccountMember(
		ctx context.Context, by operation.Caller, id, user authz.ID, to operation.Handover,
	) (*operation.Reassigned, operation.Done, error)
	PatchAccountMembers(
		ctx context.Context, by operation.Caller, id authz.ID, members map[authz.ID][]string, until time.Time,
	) ([]operation.Member, operation.Done, error)
}

type subscriptionMemberOperations interface {
	SubscriptionMembers(
		ctx context.Context, by operation.Caller, id authz.ID, byAccount bool, page operation.Page,
	) (operation.Members, authz.Token, error)
	SubscriptionPeople(
		ctx context.Context, by operation.Caller, id authz.ID, page operation.Page,
	) (operation.Members, authz.Token, error)
	GetSubscriptionMember(
		ctx context.Context, by operation.Caller, id, user authz.ID,
	) (operation.Member, authz.Token, error)
	PutSubscriptionMember(
		ctx context.Context, by operation.Caller, id, user authz.ID, roles []string,
	) (operation.Member, operation.Done, error)
	RemoveSubscriptionMember(ctx context.Context, by operation.Caller, id, user authz.ID) (operation.Done, error)
	HandOverSubscriptionMember(
		ctx context.Context, by operation.Caller, id, user authz.ID, to operation.Handover,
	) (*operation.Reassigned, operation.Done, error)
	PutMemberAccounts(
		ctx context.Context, by operation.Caller, id, user authz.ID, accounts map[authz.ID][]string, until time.Time,
	) (operation.Member, operation.Done, error)
}

// ListAccountMembers implements ServerInterface.
func (a *productAPI) ListAccountMembers(c *gin.Context, id ID, params ListAccountMembersParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		members, token, err := a.operations.AccountMembers(
			ctx, callOf(c).caller(), authz.ID(id), cmp.Or(authz.Type(optional(params.HolderType)), authz.TypeUser),
			optional(params.Role), page(params.Limit, params.Cursor),
		)
		if err != nil {
			return nil, err
		}
		return showMemberPage(members, token)
	})
}

// GetAccountMember implements ServerInterface.
func (a *productAPI) GetAccountMember(c *gin.Context, id ID, user User, _ GetAccountMemberParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		member, token, err := a.operations.GetAccountMember(ctx, callOf(c).caller(), authz.ID(id), authz.ID(user))
		return showMemberDetails(member, token), err
	})
}

// putAccountMember decodes PUT /v1/accounts/{id}/members/{user}.
func putAccountMember(r request) (writeCall, error) {
	body, err := decodeBody[AccountRoles](r)
	if err != nil {
		return nil, err
	}
	by, err := r.callerWith(body.Reason)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		member, done, err := on.PutAccountMember(
			ctx, by, r.id(), r.user(), body.Roles, endOf(body.ExpiresAt))
		return showChangedMember(member, done.Token), done, err
	}, nil
}

// removeAccountMember decodes DELETE /v1/accounts/{id}/members/{user}.
func removeAccountMember(r request) (writeCall, error) {
	to, err := readHandover(r.query)
	if err != nil {
		return nil, err
	}
	groups := r.query.Get("groups")
	if r.query.Has("groups") && groups != "leave" {
		return nil, authz.Errorf(authz.CodeInvalid, `the parameter "groups" must be leave, not %q`, groups)
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		reassigned, done, err := performRemoval(ctx, on, r, to, groups == "leave")
		removed := showRemoved(reassigned, done.Token)
		if err != nil || done.IsReplay {
			return removed, done, err
		}
		remaining, err := on.RemainingGroups(ctx, r.caller(), r.id(), r.user())
		removed.Remaining = showGroups(remaining)
		return removed, done, err
	}, nil
}

// performRemoval removes the person in the path from the account in the path. If to is not nil, the person's
// creations get a new owner. If leavesGroups is set, the person also leaves the groups of the account's subscription.
func performRemoval(
	ctx context.Context, on Operations, r request, to *operation.Handover, leavesGroups bool,
) (*operation.Reassigned, operation.Done, error) {
	switch {
	case to != nil:
		handover := *to
		handover.LeavesGroups = leavesGroups
		return on.HandOverAccountMember(ctx, r.caller(), r.id(), r.user(), handover)
	case leavesGroups:
		done, err := on.RemoveAccountMemberAndGroups(ctx, r.caller(), r.id(), r.user())
		return nil, done, err
	}
	done, err := on.RemoveAccountMember(ctx, r.caller(), r.id(), r.user())
	return nil, done, err
}

// patchAccountMembers decodes PATCH /v1/accounts/{id}/members.
func patchAccountMembers(r request) (writeCall, error) {
	body, err := decodeBody[AccountMembers](r)
	if err != nil {
		return nil, err
	}
	var in reader
	roles := in.rolesOfPeople("members", body.Members)
	if in.err != nil {
		return nil, in.err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		members, done, err := on.PatchAccountMembers(
			ctx, r.caller(), r.id(), roles, endOf(body.ExpiresAt),
		)
		if err != nil {
			return nil, done, err
		}
		shown, err := showMembers(members)
		return ChangedMembers{Members: new(shown), Token: string(done.Token)}, done, err
	}, nil
}

// ListSubscriptionMembers implements ServerInterface.
func (a *productAPI) ListSubscriptionMembers(c *gin.Context, id ID, params ListSubscriptionMembersParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		members, token, err := a.operations.SubscriptionMembers(
			ctx, callOf(c).caller(), authz.ID(id), optional(params.ByAccount), page(params.Limit, params.Cursor),
		)
		if err != nil {
			return nil, err
		}
		return showMemberPage(members, token)
	})
}

// ListSubscriptionPeople implements ServerInterface.
func (a *productAPI) ListSubscriptionPeople(c *gin.Context, id ID, params ListSubscriptionPeopleParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		people, token, err := a.operations.SubscriptionPeople(
			ctx, callOf(c).caller(), authz.ID(id), page(params.Limit, params.Cursor),
		)
		if err != nil {
			return nil, err
		}
		shown, err := showMembers(people.Members)
		return PeoplePage{People: shown, NextCursor: people.NextCursor, Token: string(token)}, err
	})
}

// GetSubscriptionMember implements ServerInterface.
func (a *productAPI) GetSubscriptionMember(c *gin.Context, id ID, user User, _ GetSubscriptionMemberParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		member, token, err := a.operations.GetSubscriptionMember(ctx, callOf(c).caller(), authz.ID(id), authz.ID(user))
		return showMemberDetails(member, token), err
	})
}

// putSubscriptionMember decodes PUT /v1/subscriptions/{id}/members/{user}.
func putSubscriptionMember(r request) (writeCall, error) {
	body, err := decodeBody[Roles](r)
	if err != nil {
		return nil, err
	}
	by, err := r.callerWith(body.Reason)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		member, done, err := on.PutSubscriptionMember(ctx, by, r.id(), r.user(), body.Roles)
		return showChangedMember(member, done.Token), done, err
	}, nil
}

// removeSubscriptionMember decodes DELETE /v1/subscriptions/{id}/members/{user}.
func removeSubscriptionMember(r request) (writeCall, error) {
	to, err := readHandover(r.query)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		if to == nil {
			done, err := on.RemoveSubscriptionMember(ctx, r.caller(), r.id(), r.user())
			return showRemoved(nil, done.Token), done, err
		}
		reassigned, done, err := on.HandOverSubscriptionMember(ctx, r.caller(), r.id(), r.user(), *to)
		return showRemoved(reassigned, done.Token), done, err
	}, nil
}

// putMemberAccounts decodes PUT /v1/subscriptions/{id}/members/{user}/accounts.
func putMemberAccounts(r request) (writeCall, error) {
	body, err := decodeBody[MemberAccounts](r)
	if err != nil {
		return nil, err
	}
	var in reader
	roles := in.rolesByAccount("accounts", body.Accounts)
	if in.err != nil {
		return nil, in.err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		member, done, err := on.PutMemberAccounts(
			ctx, r.caller(), r.id(), r.user(), roles, endOf(body.ExpiresAt))
		return showChangedMember(member, done.Token), done, err
	}, nil
}

func showRemoved(reassigned *operation.Reassigned, token authz.Token) RemovedMember {
	removed := RemovedMember{Token: string(token)}
	if reassigned != nil {
		removed.Reassigned = &Reassigned{
			Importers: showNamed(reassigned.Importers), Connections: showNamed(reassigned.Connections),
			PrivateConnections: ReassignedPrivate{
				Moved:        reassigned.PrivateMoved,
				Disconnected: reassigned.PrivateDisconnected,
			},
		}
	}
	return removed
}

func showMember(m operation.Member) Member {
	shown := Member{
		User: string(m.User), Roles: toStrings(m.Roles), ExpiresAt: showTime(m.ExpiresAt), Via: showGroups(m.Via),
		Accounts: showRoles(m.Accounts), AccountsExpireAt: showEnds(m.AccountsExpireAt),
	}
	if m.Holder.Type != "" {
		shown.Holder = m.Holder.String()
	}
	return shown
}

func showMemberDetails(m operation.Member, token authz.Token) MemberDetails {
	return MemberDetails{
		User: string(m.User), Roles: toStrings(m.Roles), ExpiresAt: showTime(m.ExpiresAt), Via: showGroups(m.Via),
		Token: string(token),
	}
}

// showEnds shows when the roles on accounts end. It returns nil if none of them ends.
func showEnds(accounts map[authz.ID]time.Time) *map[string]time.Time {
	if len(accounts) == 0 {
		return nil
	}
	ends := make(map[string]time.Time, len(accounts))
	for id, at := range accounts {
		ends[string(id)] = at.UTC()
	}
	return &ends
}

func showMembers(members []operation.Member) ([]Member, error) {
	shown := make([]Member, len(members))
	var size answerSize
	for i, m := range members {
		shown[i] = showMember(m)
		if err := size.add(&shown[i]); err != nil {
			return nil, err
		}
	}
	return shown, nil
}

func showMemberPage(members operation.Members, token authz.Token) (MemberPage, error) {
	shown, err := showMembers(members.Members)
	return MemberPage{Members: shown, NextCursor: members.NextCursor, Token: string(token)}, err
}

func showChangedMember(m operation.Member, token authz.Token) ChangedMember {
	changed := ChangedMember{
		User: string(m.User), ExpiresAt: showTime(m.ExpiresAt),
		Accounts: showRoles(m.Accounts), AccountsExpireAt: showEnds(m.AccountsExpireAt), Token: string(token),
	}
	if m.Roles != nil {
		changed.Roles = new(toStrings(m.Roles))
	}
	return changed
}

// showRoles shows the roles of a person on accounts. It returns nil if the request did not ask for them.
func showRoles(accounts map[authz.ID]operation.Roles) *RolesByID {
	if accounts == nil {
		return nil
	}
	shown := make(RolesByID, len(accounts))
	for id, roles := range accounts {
		shown[string(id)] = toStrings(roles)
	}
	return &shown
}
