package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// authZENAPI has the calls of the AuthZEN standard. It decides AuthZEN's questions in the same way as decisionAPI
// decides checks.
type authZENAPI struct {
	*decisionAPI

	caveatParameters []string
	publicURL        string
}

// Evaluate implements ServerInterface.
func (a *authZENAPI) Evaluate(c *gin.Context) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[EvaluationItem](c)
		if err != nil {
			return nil, err
		}
		return a.evaluate(ctx, body)
	})
}

// evaluate decides a single evaluation. A malformed evaluation makes the request fail; in a batch, it would only make
// its own result fail.
func (a *authZENAPI) evaluate(ctx context.Context, body EvaluationItem) (Evaluation, error) {
	q, err := readQuestion(body)
	if err != nil {
		return Evaluation{}, err
	}
	v, err := a.vocabulary(ctx)
	if err != nil {
		return Evaluation{}, err
	}
	check, err := v.check(q)
	results, failure := a.decide(ctx, []readCheck{{check, err}})
	if failure != nil {
		return Evaluation{}, failure
	}
	a.metrics.decision(results[0].Decision, results[0].Err)
	if err := results[0].Err; err != nil && !isRequestError(err) {
		return Evaluation{}, err
	}
	return a.evaluation(ctx, results[0]), nil
}

// decide decides questions of AuthZEN. It is decideAll, except that it may try two contexts for a question, see
// contextsOf.
func (a *authZENAPI) decide(ctx context.Context, questions []readCheck) ([]authz.CheckResult, error) {
	results, _, err := a.decideAll(ctx, questions, authz.Consistency{})
	if err != nil {
		return nil, err
	}
	var retry []readCheck
	var indexes []int
	for i, question := range questions {
		contexts := contextsOf(question.check.Context)
		if question.err == nil && errors.Is(results[i].Err, authz.CodeInvalid) && len(contexts) > 1 {
			question.check.Context = contexts[1]
			retry, indexes = append(retry, question), append(indexes, i)
		}
	}
	if len(retry) == 0 {
		return results, nil
	}
	second, _, err := a.decideAll(ctx, retry, authz.Consistency{})
	if err != nil {
		return nil, err
	}
	for i, result := range second {
		results[indexes[i]] = result
	}
	return results, nil
}

// evaluationsRequest is an EvaluationsRequest with raw evaluations, each of which is decoded separately.
type evaluationsRequest struct {
	Subject     *PartialEntity      `json:"subject,omitempty"`
	Action      *PartialAction      `json:"action,omitempty"`
	Resource    *PartialEntity      `json:"resource,omitempty"`
	Context     *Context            `json:"context,omitempty"`
	Evaluations []json.RawMessage   `json:"evaluations,omitempty"`
	Options     *EvaluationsOptions `json:"options,omitempty"`
}

// EvaluateAll implements ServerInterface.
func (a *authZENAPI) EvaluateAll(c *gin.Context) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[evaluationsRequest](c)
		if err != nil {
			return nil, err
		}
		semantic, err := readSemantic(body.Options)
		if err != nil {
			return nil, err
		}
		defaults := EvaluationItem{
			Subject:  body.Subject,
			Action:   body.Action,
			Resource: body.Resource,
			Context:  body.Context,
		}
		if len(body.Evaluations) == 0 {
			return a.evaluate(ctx, defaults)
		}
		v, err := a.vocabulary(ctx)
		if err != nil {
			return nil, err
		}
		questions := make([]readCheck, len(body.Evaluations))
		contexts := 0
		for i, raw := range body.Evaluations {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			questions[i].check, questions[i].err = v.readEvaluation(raw, defaults)
			if contexts += weight(questions[i].check.Context, maxBatchContext); contexts > maxBatchContext {
				return nil, authz.Errorf(
					authz.CodeTooLarge,
					"the contexts and properties of all evaluations together are larger than %d bytes; defaults count for each "+
						"evaluation; send fewer evaluations",
					maxBatchContext,
				)
			}
		}
		results, err := a.decide(ctx, questions)
		if err != nil {
			return nil, err
		}
		answers, err := showResults(ctx, a.decisionAPI, callOf(c), results, a.evaluation)
		if err != nil {
			return nil, err
		}
		return Evaluations{Evaluations: truncateEvaluations(answers, semantic)}, nil
	})
}

func readSemantic(options *EvaluationsOptions) (EvaluationsSemantic, error) {
	given := optional(options).EvaluationsSemantic
	if given == nil {
		return ExecuteAll, nil
	}
	if !given.Valid() {
		return "", authz.Errorf(
			authz.CodeInvalid,
			`the field "options.evaluations_semantic": %q is not one of %s, %s, %s`,
			*given,
			ExecuteAll,
			DenyOnFirstDeny,
			PermitOnFirstPermit,
		)
	}
	return *given, nil
}

// truncateEvaluations removes the answers after the one at which the semantic ends the evaluations.
func truncateEvaluations(answers []Evaluation, semantic EvaluationsSemantic) []Evaluation {
	if semantic == ExecuteAll {
		return answers
	}
	decisive := semantic == PermitOnFirstPermit
	if i := slices.IndexFunc(answers, func(e Evaluation) bool { return e.Decision == decisive }); i >= 0 {
		return answers[:i+1]
	}
	return answers
}

// evaluation converts the answer to a question. It denies a question that could not be decided.
func (a *authZENAPI) evaluation(ctx context.Context, result authz.CheckResult) Evaluation {
	switch {
	case result.Err != nil:
		return Evaluation{Context: &EvaluationContext{Error: new(a.evaluationError(ctx, result.Err))}}
	case result.Decision.State == authz.Conditional:
		return Evaluation{Context: &EvaluationContext{MissingContext: missingContext(result.Decision)}}
	default:
		return Evaluation{Decision: result.Decision.Allowed()}
	}
}

func (a *authZENAPI) evaluationError(ctx context.Context, err error) EvaluationError {
	return EvaluationError{Status: kinds[codeOf(err)].status, Message: a.detailOf(ctx, err)}
}
