package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type accountMemberOperations interface {
	AccountMembers(
		ctx context.Context, by operation.Caller, id authz.ID, page operation.Page,
	) (operation.Members, authz.Token, error)
	GetAccountMember(ctx context.Context, by operation.Caller, id, user authz.ID) (operation.Member, authz.Token, error)
	PutAccountMember(
		ctx context.Context, by operation.Caller, id, user authz.ID, roles []string, until time.Time,
	) (operation.Member, authz.Token, error)
	RemoveAccountMember(ctx context.Context, by operation.Caller, id, user authz.ID) (authz.Token, error)
	HandOverAccountMember(
		ctx context.Context, by operation.Caller, id, user authz.ID, to operation.Handover,
	) (*operation.Reassigned, authz.Token, error)
	PatchAccountMembers(
		ctx context.Context, by operation.Caller, id authz.ID, members map[authz.ID][]string, until time.Time,
	) ([]operation.Member, authz.Token, error)
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
	) (operation.Member, authz.Token, error)
	RemoveSubscriptionMember(ctx context.Context, by operation.Caller, id, user authz.ID) (authz.Token, error)
	HandOverSubscriptionMember(
		ctx context.Context, by operation.Caller, id, user authz.ID, to operation.Handover,
	) (*operation.Reassigned, authz.Token, error)
	PutMemberAccounts(
		ctx context.Context, by operation.Caller, id, user authz.ID, accounts map[authz.ID][]string, until time.Time,
	) (operation.Member, authz.Token, error)
}

// ListAccountMembers implements ServerInterface.
func (s *server) ListAccountMembers(c *gin.Context, id ID, params ListAccountMembersParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		members, token, err := s.Operations.AccountMembers(
			ctx, callOf(c).caller(), authz.ID(id), page(params.Limit, params.Cursor),
		)
		if err != nil {
			return nil, err
		}
		return showMemberPage(members, token)
	})
}

// GetAccountMember implements ServerInterface.
func (s *server) GetAccountMember(c *gin.Context, id ID, user User, _ GetAccountMemberParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		member, token, err := s.Operations.GetAccountMember(ctx, callOf(c).caller(), authz.ID(id), authz.ID(user))
		return showMemberDetails(member, token), err
	})
}

// PutAccountMember implements ServerInterface.
func (s *server) PutAccountMember(c *gin.Context, id ID, user User, _ PutAccountMemberParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[AccountRoles](c)
		if err != nil {
			return nil, err
		}
		by, err := callOf(c).callerWith(body.Reason)
		if err != nil {
			return nil, err
		}
		member, token, err := s.Operations.PutAccountMember(
			ctx, by, authz.ID(id), authz.ID(user), body.Roles, endOf(body.ExpiresAt))
		return showChangedMember(member, token), err
	})
}

// RemoveAccountMember implements ServerInterface.
func (s *server) RemoveAccountMember(c *gin.Context, id ID, user User, params RemoveAccountMemberParams) {
	s.removeMember(c, params.ReassignTo, params.PrivateConnections, removal{
		remove: func(ctx context.Context, by operation.Caller) (authz.Token, error) {
			return s.Operations.RemoveAccountMember(ctx, by, authz.ID(id), authz.ID(user))
		},
		reassign: func(
			ctx context.Context, by operation.Caller, to operation.Handover,
		) (*operation.Reassigned, authz.Token, error) {
			return s.Operations.HandOverAccountMember(ctx, by, authz.ID(id), authz.ID(user), to)
		},
	})
}

// PatchAccountMembers implements ServerInterface.
func (s *server) PatchAccountMembers(c *gin.Context, id ID, _ PatchAccountMembersParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[AccountMembers](c)
		if err != nil {
			return nil, err
		}
		var in reader
		roles := in.rolesOfPeople("members", body.Members)
		if in.err != nil {
			return nil, in.err
		}
		members, token, err := s.Operations.PatchAccountMembers(
			ctx, callOf(c).caller(), authz.ID(id), roles, endOf(body.ExpiresAt),
		)
		if err != nil {
			return nil, err
		}
		shown, err := showMembers(members)
		return ChangedMembers{Members: shown, Token: string(token)}, err
	})
}

// ListSubscriptionMembers implements ServerInterface.
func (s *server) ListSubscriptionMembers(c *gin.Context, id ID, params ListSubscriptionMembersParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		members, token, err := s.Operations.SubscriptionMembers(
			ctx, callOf(c).caller(), authz.ID(id), optional(params.ByAccount), page(params.Limit, params.Cursor),
		)
		if err != nil {
			return nil, err
		}
		return showMemberPage(members, token)
	})
}

// ListSubscriptionPeople implements ServerInterface.
func (s *server) ListSubscriptionPeople(c *gin.Context, id ID, params ListSubscriptionPeopleParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		people, token, err := s.Operations.SubscriptionPeople(
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
func (s *server) GetSubscriptionMember(c *gin.Context, id ID, user User, _ GetSubscriptionMemberParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		member, token, err := s.Operations.GetSubscriptionMember(ctx, callOf(c).caller(), authz.ID(id), authz.ID(user))
		return showMemberDetails(member, token), err
	})
}

// PutSubscriptionMember implements ServerInterface.
func (s *server) PutSubscriptionMember(c *gin.Context, id ID, user User, _ PutSubscriptionMemberParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[Roles](c)
		if err != nil {
			return nil, err
		}
		by, err := callOf(c).callerWith(body.Reason)
		if err != nil {
			return nil, err
		}
		member, token, err := s.Operations.PutSubscriptionMember(ctx, by, authz.ID(id), authz.ID(user), body.Roles)
		return showChangedMember(member, token), err
	})
}

// RemoveSubscriptionMember implements ServerInterface.
func (s *server) RemoveSubscriptionMember(c *gin.Context, id ID, user User, params RemoveSubscriptionMemberParams) {
	s.removeMember(c, params.ReassignTo, params.PrivateConnections, removal{
		remove: func(ctx context.Context, by operation.Caller) (authz.Token, error) {
			return s.Operations.RemoveSubscriptionMember(ctx, by, authz.ID(id), authz.ID(user))
		},
		reassign: func(
			ctx context.Context, by operation.Caller, to operation.Handover,
		) (*operation.Reassigned, authz.Token, error) {
			return s.Operations.HandOverSubscriptionMember(ctx, by, authz.ID(id), authz.ID(user), to)
		},
	})
}

// PutMemberAccounts implements ServerInterface.
func (s *server) PutMemberAccounts(c *gin.Context, id ID, user User, _ PutMemberAccountsParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[MemberAccounts](c)
		if err != nil {
			return nil, err
		}
		var in reader
		roles := in.rolesByAccount("accounts", body.Accounts)
		if in.err != nil {
			return nil, in.err
		}
		member, token, err := s.Operations.PutMemberAccounts(
			ctx, callOf(c).caller(), authz.ID(id), authz.ID(user), roles, endOf(body.ExpiresAt))
		return showChangedMember(member, token), err
	})
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
	return Member{
		User: string(m.User), Roles: toStrings(m.Roles), ExpiresAt: showTime(m.ExpiresAt),
		Accounts: showRoles(m.Accounts), AccountsExpireAt: showEnds(m.AccountsExpireAt),
	}
}

func showMemberDetails(m operation.Member, token authz.Token) MemberDetails {
	return MemberDetails{
		User: string(m.User), Roles: toStrings(m.Roles), ExpiresAt: showTime(m.ExpiresAt), Token: string(token),
	}
}

// showEnds returns nil if no role ends.
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

// showRoles returns nil if the request did not ask for the roles on accounts.
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

// removal removes a person from one place. remove only removes them. reassign also gives their creations a new creator.
type removal struct {
	remove   func(context.Context, operation.Caller) (authz.Token, error)
	reassign func(context.Context, operation.Caller, operation.Handover) (*operation.Reassigned, authz.Token, error)
}

// removeMember answers a call that removes a person. With reassignTo, it also gives their creations a new creator.
func (s *server) removeMember(c *gin.Context, reassignTo *ReassignTo, private *PrivateConnections, of removal) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		to, err := readHandover(reassignTo, private)
		if err != nil {
			return nil, err
		}
		var token authz.Token
		var reassigned *operation.Reassigned
		if to == nil {
			token, err = of.remove(ctx, callOf(c).caller())
		} else {
			reassigned, token, err = of.reassign(ctx, callOf(c).caller(), *to)
		}
		return showRemoved(reassigned, token), err
	})
}
