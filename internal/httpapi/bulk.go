package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// rawBulkRequest is a BulkCheckRequest with raw checks, each of which is decoded separately.
type rawBulkRequest struct {
	Checks      []json.RawMessage `json:"checks"`
	Consistency *Consistency      `json:"consistency,omitempty"`
}

// CheckBulk implements ServerInterface.
func (a *decisionAPI) CheckBulk(c *gin.Context) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		data, err := readBody(c)
		if err != nil {
			return nil, err
		}
		questions, consistency, err := readBulk(ctx, data)
		if err != nil {
			return nil, err
		}
		var in reader
		at := in.consistency("consistency", consistency)
		switch {
		case in.err != nil:
			return nil, in.err
		case len(questions) == 0:
			return nil, authz.Errorf(authz.CodeInvalid, `the field "checks" is empty; it must have at least one check`)
		}
		results, token, err := a.decideAll(ctx, questions, at)
		if err != nil {
			return nil, err
		}
		answers, err := showResults(ctx, a, callOf(c), results, a.bulkResult)
		if err != nil {
			return nil, err
		}
		return BulkDecision{Results: answers, Token: nilIfEmpty(token)}, nil
	})
}

// readCheck is a decoded check, or the error of decoding it.
type readCheck struct {
	check authz.Check
	err   error
}

// decideAll decides all well-formed checks in one call of the engine. The other results are the errors of their checks.
func (a *decisionAPI) decideAll(
	ctx context.Context, questions []readCheck, at authz.Consistency,
) ([]authz.CheckResult, authz.Token, error) {
	results := make([]authz.CheckResult, len(questions))
	var checks []authz.Check
	var indexes []int
	a.requireChecks(ctx, questions)
	for i, question := range questions {
		if question.err != nil {
			results[i].Err = question.err
			continue
		}
		checks, indexes = append(checks, question.check), append(indexes, i)
	}
	if len(checks) == 0 {
		return results, "", nil
	}
	decided, token, err := a.engine.CheckBulk(ctx, checks, at)
	switch {
	case err == nil || !isRequestError(err):
	case len(decided) == len(checks):
		err = nil
	default:
		decided, err = a.decideEach(ctx, checks, at)
	}
	if err != nil {
		return nil, "", err
	}
	for i, result := range decided {
		results[indexes[i]] = result
	}
	return results, token, nil
}

// isRequestError reports whether the request causes an error, and not the state of the server.
func isRequestError(err error) bool {
	return errors.Is(err, authz.CodeInvalid) || errors.Is(err, authz.CodeTooLarge)
}

// decideEach decides each check in its own call. After a bulk call has failed as a whole, this finds the error of each
// check.
func (a *decisionAPI) decideEach(
	ctx context.Context, checks []authz.Check, at authz.Consistency,
) ([]authz.CheckResult, error) {
	results := make([]authz.CheckResult, len(checks))
	for i, check := range checks {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		decision, _, err := a.engine.Check(ctx, check, at)
		if err != nil && !isRequestError(err) {
			return nil, err
		}
		results[i] = authz.CheckResult{Decision: decision, Err: err}
	}
	return results, nil
}

// readBulk reads the checks of a body. If one is malformed, it decodes each check separately, so that the others are
// decided.
func readBulk(ctx context.Context, data []byte) ([]readCheck, *Consistency, error) {
	var request BulkCheckRequest
	if decodeStrict("the body", data, &request) == nil {
		questions := make([]readCheck, len(request.Checks))
		for i, check := range request.Checks {
			if err := ctx.Err(); err != nil {
				return nil, nil, err
			}
			questions[i].check, questions[i].err = readBulkCheck(check)
		}
		return questions, request.Consistency, nil
	}
	var rawRequest rawBulkRequest
	if err := decodeStrict("the body", data, &rawRequest); err != nil {
		return nil, nil, err
	}
	questions := make([]readCheck, len(rawRequest.Checks))
	for i, raw := range rawRequest.Checks {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		var check BulkCheck
		if questions[i].err = decodeStrict("the check", raw, &check); questions[i].err == nil {
			questions[i].check, questions[i].err = readBulkCheck(check)
		}
	}
	return questions, rawRequest.Consistency, nil
}

func readBulkCheck(body BulkCheck) (authz.Check, error) {
	var in reader
	check := authz.Check{
		Subject:    in.subject("subject", body.Subject),
		Permission: in.permission("permission", body.Permission),
		Resource:   in.object("resource", body.Resource),
		Context:    in.context(body.Context),
	}
	return check, in.err
}

// showResults converts the result of each check, counts the decisions and logs failures. It returns the error of the
// context, or errLargeAnswer.
func showResults[T any](
	ctx context.Context, a *decisionAPI, k *call, results []authz.CheckResult,
	show func(context.Context, authz.CheckResult) T,
) ([]T, error) {
	answers := make([]T, len(results))
	var size answerSize
	for i, result := range results {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		a.metrics.decision(result.Decision, result.Err)
		if result.Err != nil {
			a.logFailure(ctx, k, result.Err)
		}
		answers[i] = show(ctx, result)
		if err := size.add(&answers[i]); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

func (a *decisionAPI) bulkResult(ctx context.Context, result authz.CheckResult) BulkResult {
	if result.Err != nil {
		return BulkResult{Error: &BulkError{Code: Code(codeOf(result.Err)), Detail: a.detailOf(ctx, result.Err)}}
	}
	return BulkResult{Allowed: new(result.Decision.Allowed()), MissingContext: missingContext(result.Decision)}
}
