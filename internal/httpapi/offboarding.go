package httpapi

import (
	"context"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type offboardingOperations interface {
	ReportOffboarding(
		ctx context.Context, by operation.Caller, id, user authz.ID,
	) (operation.OffboardingReport, authz.Token, error)
	EraseUser(ctx context.Context, by operation.Caller, user authz.ID) (operation.Done, error)
}

// ReportOffboarding implements ServerInterface.
func (a *productAPI) ReportOffboarding(c *gin.Context, id ID, user User, _ ReportOffboardingParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		report, token, err := a.operations.ReportOffboarding(ctx, callOf(c).caller(), authz.ID(id), authz.ID(user))
		return Offboarding{
			User: string(report.User), Roles: toStrings(report.Roles),
			Groups: showGroups(report.Groups), EndsMembership: report.EndsMembership,
			Importers: showNamed(report.Importers), Connections: showNamed(report.Connections),
			PrivateConnections: OffboardingPrivate{Count: report.Private, UsedByOthers: report.PrivateInUse},
			Shares:             OffboardingShares{Connections: report.Shares, Workspaces: showNamed(report.Workspaces)},
			Invitations: OffboardingInvitations{
				Sent:     showNamed(report.Invited),
				Received: showNamed(report.Invitations),
			},
			Token: string(token),
		}, err
	})
}

// eraseUser decodes DELETE /v1/users/{user}.
func eraseUser(r request) (writeCall, error) {
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		done, err := on.EraseUser(ctx, r.caller(), r.user())
		return doneAnswer(done), done, err
	}, nil
}

func showNamed(n operation.Named) Named { return Named{Count: n.Count, IDs: toStrings(n.IDs)} }

// readHandover reads the new owner of a removed person's creations from the query. It returns nil if there is none.
func readHandover(query url.Values) (*operation.Handover, error) {
	private := PrivateConnections(query.Get("private_connections"))
	switch {
	case !query.Has("reassign_to") && query.Has("private_connections"):
		return nil, authz.Errorf(
			authz.CodeInvalid,
			`the parameter "private_connections" is allowed only with "reassign_to"`,
		)
	case !query.Has("reassign_to"):
		return nil, nil //nolint:nilnil // nil means that nothing is reassigned
	}
	id, err := parseID(`the parameter "reassign_to"`, query.Get("reassign_to")) // readQuery has removed "user:"
	if err == nil && query.Has("private_connections") && !private.Valid() {
		err = authz.Errorf(
			authz.CodeInvalid,
			`the parameter "private_connections" must be %s or %s, not %q`,
			Disconnect,
			Leave,
			private,
		)
	}
	return &operation.Handover{To: id, Private: string(private)}, err
}
