package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// AccessThen implements ServerInterface.
func (a *auditAPI) AccessThen(c *gin.Context, params AccessThenParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		if a.history == nil {
			return nil, errNoHistory
		}
		query, at, err := pastQuery(params)
		if err != nil {
			return nil, err
		}
		return a.expensive.run(ctx, func() (any, error) { return a.accessThen(ctx, query, at) })
	})
}

func (a *auditAPI) accessThen(ctx context.Context, query authz.SubjectQuery, at time.Time) (AccessThen, error) {
	answer := AccessThen{At: at, Subjects: []FoundSubject{}}
	var size answerSize
	found, err := a.history.Access(ctx, query, at)
	for _, subject := range found {
		shown, err := a.showSubject(ctx, subject)
		if err == nil {
			err = size.add(&shown)
		}
		if err != nil {
			return answer, err
		}
		answer.Subjects = append(answer.Subjects, shown)
	}
	return answer, err
}

func pastQuery(params AccessThenParams) (query authz.SubjectQuery, then time.Time, err error) {
	if query.Resource, err = queryObject(params.Resource); err != nil {
		return query, then, withPlace(`the parameter "resource"`, err)
	}
	if query.Permission, err = authz.ParsePermission(params.Permission); err != nil {
		return query, then, withPlace(`the parameter "permission"`, err)
	}
	query.Type = "user"
	if params.SubjectType != nil {
		if query.Type, err = authz.ParseType(*params.SubjectType); err != nil {
			return query, then, withPlace(`the parameter "subject_type"`, err)
		}
	}
	if then, err = queryTime("at", &params.At); err != nil {
		return query, then, err
	}
	if then.After(time.Now()) {
		err = authz.Errorf(
			authz.CodeInvalid, `the parameter "at" is in the future; for the present, use POST /v1/lookup/subjects`,
		)
	}
	return query, then, err
}
