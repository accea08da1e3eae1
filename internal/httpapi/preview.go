package httpapi

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/owntype"
	"github.com/sluice-authz/sluice/internal/preview"
)

// Previewer computes the effects of the writes on an overlay.
type Previewer interface {
	// HideOwn makes reads of the overlay omit the relationships of own types that the actor may not see.
	HideOwn(ctx context.Context, actor authz.Actor, overlay *preview.Overlay) error

	Effects(ctx context.Context, actor authz.Actor, after *preview.Overlay) (preview.Effects, error)
}

// previewAPI has the call that shows the effects of an operation without performing it.
type previewAPI struct {
	*responder

	engine     preview.Base
	operate    func(operation.Engine) Operations
	previewer  Previewer
	expensive  slots
	matcher    matcher // finds the routes that previews name
	hasProduct bool
	own        *owntype.Rules
}

// Preview implements ServerInterface. It decodes the operation in the same way as the operation's own route, and
// performs it on an overlay that records the writes.
func (a *previewAPI) Preview(c *gin.Context, _ PreviewParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[PreviewRequest](c)
		if err != nil {
			return nil, err
		}
		route, perform, err := a.decodePreviewed(ctx, callOf(c), body, c.Request.Header.Values(actorHeader))
		if err != nil {
			return nil, err
		}
		return a.expensive.run(ctx, func() (any, error) { return a.preview(ctx, callOf(c).actor, route, perform) })
	})
}

// preview performs an operation on an overlay, and returns the effects.
func (a *previewAPI) preview(ctx context.Context, actor authz.Actor, route *route, perform writeCall) (any, error) {
	overlay := preview.NewOverlay(a.engine)
	// Operations of the product decide themselves which objects they hide.
	if route.scopes == apikey.Write {
		if err := a.previewer.HideOwn(ctx, actor, overlay); err != nil {
			return nil, err
		}
	}
	if _, _, err := perform(ctx, a.operate(overlay)); err != nil {
		return nil, err
	}
	effects, err := a.previewer.Effects(ctx, actor, overlay)
	if err != nil {
		return nil, err
	}
	return showEffects(effects)
}

// decodePreviewed decodes the operation that a preview names. actor has the values of the actor header. It returns the
// same errors as the operation's own route.
func (a *previewAPI) decodePreviewed(
	ctx context.Context, outer *call, body PreviewRequest, actor []string,
) (_ *route, perform writeCall, err error) {
	match, query, err := a.matchPreviewed(ctx, body)
	if err != nil {
		return nil, nil, err
	}
	k := &call{
		id: outer.id, route: match.route, key: outer.key, secret: outer.secret, scopes: outer.scopes,
		writeTypes: outer.writeTypes,
	}
	if err := authorize(k.route, k.scopes); err != nil {
		return nil, nil, err
	}
	if k.route.write == nil {
		return nil, nil, authz.Errorf(
			authz.CodeInvalid, `the fields "method" and "path" must name an operation that changes something, `+
				`for example PUT /v1/accounts/acme/members/bob`,
		)
	}
	// The effects are decisions about people. An actor of such an operation needs no permission that would limit them.
	if k.route.scopes == apikey.Write && !k.scopes.Any(apikey.Check) {
		return nil, nil, authz.Errorf(authz.CodeForbidden,
			"the preview of this operation needs a key with the scope %s too, since it shows decisions", apikey.Check)
	}
	if err := k.validate(a.hasProduct, actor, match.params, query); err != nil {
		return nil, nil, err
	}
	r := request{call: k, own: a.own}
	switch {
	case body.Body == nil && k.route.body != nil:
		return nil, nil, authz.Errorf(authz.CodeInvalid, `the field "body" is missing: the operation needs a body`)
	case body.Body != nil && k.route.body != nil:
		r.content, err = json.Marshal(*body.Body)
	case body.Body != nil && len(*body.Body) > 0:
		err = errNoBody
	}
	if err != nil {
		return nil, nil, err
	}
	perform, err = k.route.write.decode(r)
	return k.route, perform, err
}

// matchPreviewed finds the route of a preview's method and path. It also returns the query of the path.
func (a *previewAPI) matchPreviewed(
	ctx context.Context, body PreviewRequest,
) (match routeMatch, query string, err error) {
	if !body.Method.Valid() {
		return match, "", authz.Errorf(
			authz.CodeInvalid,
			`the field "method": %q is not one of POST, PUT, PATCH, DELETE`,
			body.Method,
		)
	}
	if !strings.HasPrefix(body.Path, "/v1/") || strings.Contains(body.Path, "#") {
		return match, "", authz.Errorf(
			authz.CodeInvalid,
			`the field "path" must be the path of an operation without a fragment, for example /v1/accounts/acme/members/bob`,
		)
	}
	path, err := url.Parse(body.Path)
	if err != nil {
		return match, "", &authz.Error{
			Code: authz.CodeInvalid, Cause: err,
			Message: `the field "path" is malformed: percent-encode its ids, for example /v1/accounts/acme/members/100%25`,
		}
	}
	match, err = a.matcher.find(ctx, string(body.Method), path)
	return match, path.RawQuery, err
}

// previewOperation is the operation id of the preview in the contract.
const previewOperation = "preview"

func showEffects(found preview.Effects) (_ Preview, err error) {
	refer := referrer{&err}
	shown := Preview{Effects: []Effect{}, Omitted: nilIfFalse(found.Omitted)}
	var size answerSize
	for _, e := range found.Effects {
		effect := Effect{
			Subject: refer.subject(
				e.Subject,
			), Resource: refer.object(e.Resource), Gains: toStrings(e.Gains), Loses: toStrings(e.Loses),
		}
		if err := size.add(&effect); err != nil {
			return shown, err
		}
		shown.Effects = append(shown.Effects, effect)
	}
	var undecided []Undecided
	for _, object := range slices.SortedFunc(maps.Keys(found.Undecided), func(a, b authz.Object) int {
		return strings.Compare(a.String(), b.String())
	}) {
		undecided = append(undecided, Undecided{
			Resource: refer.object(object), Errors: *permissionErrors(found.Undecided[object]),
		})
		if err := size.add(&undecided[len(undecided)-1]); err != nil {
			return shown, err
		}
	}
	if undecided != nil {
		shown.Undecided = &undecided
	}
	return shown, err
}
