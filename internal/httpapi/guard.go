package httpapi

import (
	"errors"
	"io"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/authz"
)

// guard calls the handler only if the key of the request is valid, has the required scope and is within its rate limit,
// and if the request has the actor, parameters and body that the contract requires.
func (s *server) guard(c *gin.Context) {
	if err := s.validateRequest(c); err != nil {
		s.problem(c, err)
		return
	}
	c.Next()
}

func (s *server) validateRequest(c *gin.Context) error {
	k := callOf(c)
	if !s.isOpen(c) {
		key, secret, err := s.authenticate(c)
		k.key, k.secret = key.Name, secret
		if err != nil {
			return err
		}
		if k.route == nil {
			return nil
		}
		if err := authorize(k.route, key.Scopes); err != nil {
			return err
		}
		k.setScopes(key)
	}
	if k.route == nil {
		return nil
	}
	hasProduct, actor := s.config.Operations != nil, c.Request.Header.Values(actorHeader)
	if err := k.validate(hasProduct, actor, c.Params, c.Request.URL.RawQuery); err != nil {
		return err
	}
	if position := k.query.Get(cursorParameter); position != "" {
		query := c.Request.URL.Query()
		query.Set(cursorParameter, position)
		c.Request.URL.RawQuery = query.Encode()
	}
	if err := k.readIdempotencyKey(c); err != nil {
		return err
	}
	if err := k.readMatch(c.Request.Header); err != nil {
		return err
	}
	if err := decompress(c); err != nil {
		return err
	}
	if k.route.body == nil {
		return expectNoBody(c.Request.Body)
	}
	return nil
}

// validate checks the actor header, the path and the query of a call against its route, and stores their values.
// hasProduct says whether the schema has the definitions of the product.
func (k *call) validate(hasProduct bool, actor []string, params gin.Params, query string) error {
	if k.route.isProductOperation() && !hasProduct {
		return errNoProduct
	}
	if err := k.readActor(actor); err != nil {
		return err
	}
	if err := unescapeIDs(params); err != nil {
		return err
	}
	k.params = params
	if !k.route.hasPath(params) {
		return errNoRoute
	}
	return k.readQuery(query)
}

// setScopes stores the scopes of the key, and how much they let the call read.
func (k *call) setScopes(key apikey.Identity) {
	k.scopes, k.writeTypes = key.Scopes, key.WriteTypes
	k.inspects = k.route.scopes.Any(apikey.Inspect) && key.Scopes.Any(apikey.Inspect)
	k.seesAll = key.Scopes.Any(apikey.Inspect)
}

// isOpen reports whether the path needs no key, for any method.
func (s *server) isOpen(c *gin.Context) bool {
	get := s.routes["GET "+c.Request.URL.Path]
	return get != nil && get.open
}

// authenticate returns the key of a request and its secret.
func (s *server) authenticate(c *gin.Context) (_ apikey.Identity, secret string, _ error) {
	header := c.Request.Header.Values("Authorization")
	if len(header) == 0 {
		c.Header("WWW-Authenticate", "Bearer")
		return apikey.Identity{}, "", authz.Errorf(
			authz.CodeUnauthenticated, "the request has no key; send the header Authorization: Bearer KEY",
		)
	}
	scheme, secret, _ := strings.Cut(header[0], " ")
	if len(header) > 1 || !strings.EqualFold(scheme, "Bearer") {
		c.Header("WWW-Authenticate", "Bearer")
		return apikey.Identity{}, "", authz.Errorf(
			authz.CodeUnauthenticated, "the header Authorization must appear once, as Bearer KEY",
		)
	}
	secret = strings.TrimLeft(secret, " ")
	key, found := s.config.Keys.Identify(secret)
	if !found {
		c.Header("WWW-Authenticate", `Bearer error="invalid_token"`)
		return apikey.Identity{}, "", authz.Errorf(authz.CodeUnauthenticated, "the key is unknown to this server")
	}
	if key.HasExpired(time.Now()) {
		c.Header("WWW-Authenticate", `Bearer error="invalid_token"`)
		return apikey.Identity{}, "", expiredKeyError(key)
	}
	if wait := key.Use(time.Now(), callOf(c).cost()); wait > 0 {
		c.Header("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
		return key, "", authz.Errorf(
			authz.CodeLimited, "the key %s has exceeded its rate of %s", key.Name, key.Rate,
		)
	}
	return key, secret, nil
}

// expiredKeyError returns the error for an expired key.
func expiredKeyError(key apikey.Identity) error {
	return authz.Errorf(
		authz.CodeUnauthenticated, "the key %s expired at %s", key.Name, key.ExpiresAt.UTC().Format(time.RFC3339),
	)
}

func authorize(r *route, scopes apikey.Scopes) error {
	if r.scopes == 0 || scopes.Any(r.scopes) {
		return nil
	}
	return authz.Errorf(authz.CodeForbidden, "this call needs a key with the scope %s; the key has %s",
		strings.Join(r.scopes.Names(), " or "), strings.Join(scopes.Names(), ", "))
}

// readActor reads the actor from the values of the header, if the contract has an actor for this call.
func (k *call) readActor(values []string) error {
	switch {
	case !k.route.actor && k.route.isProductOperation() && len(values) > 0:
		return authz.Errorf(authz.CodeInvalid,
			"the header %s must be left out: the backend itself performs this call, not a person", actorHeader)
	case k.route.scopes == apikey.Inspect && len(values) > 0:
		return authz.Errorf(
			authz.CodeInvalid,
			"the answer of this call does not depend on a person; leave out the header %s",
			actorHeader,
		)
	case !k.route.actor:
		k.ignoresActor = len(values) > 0
		return nil
	// These calls need no actor: an actor only limits what the answer shows.
	case len(values) == 0 && (k.inspects || !k.route.isProductOperation() || k.route.operation == previewOperation):
		return nil
	case len(values) == 0 && k.route.scopes == apikey.Write: // the actor is only recorded
		return nil
	case len(values) == 0 && k.route.actorOrBackend() && k.scopes.Any(apikey.Provision):
		return nil
	case len(values) > 0 && k.route.actorOrBackend() && !k.scopes.Any(apikey.Operate):
		return authz.Errorf(
			authz.CodeForbidden,
			"with the header %s this call needs a key with the scope operate; the key has %s",
			actorHeader,
			strings.Join(k.scopes.Names(), ", "),
		)
	case len(values) == 0:
		return authz.Errorf(
			authz.CodeInvalid, "the header %s is missing: it names the person or service account that performs the operation",
			actorHeader,
		)
	case len(values) > 1:
		return authz.Errorf(authz.CodeInvalid, "the header %s is given more than once", actorHeader)
	}
	var err error
	k.actor, err = headerActor(values[0])
	return err
}

// headerActor reads an actor from a header. It accepts only the spelling of authz.EscapeHeader, so that a proxy that
// compares headers recognizes every actor. Its errors have CodeInvalid.
func headerActor(value string) (authz.Actor, error) {
	text, err := url.PathUnescape(value)
	if err != nil {
		return "", authz.Errorf(
			authz.CodeInvalid, "the header %s has a malformed percent-escape; a %% itself is written %%25", actorHeader,
		)
	}
	actor, err := parseActor("the header "+actorHeader, text)
	if err != nil {
		return "", err
	}
	if spelling := authz.EscapeHeader(text); spelling != value {
		return "", authz.Errorf(
			authz.CodeInvalid,
			"the header %s must be written %s: only %%, commas, spaces and bytes that are not visible ASCII"+
				" are percent-encoded, with upper-case digits",
			actorHeader,
			authz.Echo(spelling),
		)
	}
	return actor, nil
}

// readQuery checks and reads the query parameters of the request.
func (k *call) readQuery(raw string) error {
	var query url.Values
	if raw != "" {
		var err error
		if query, err = url.ParseQuery(raw); err != nil {
			return authz.Errorf(authz.CodeInvalid,
				"the query of the URL is malformed: %v; it has the form name=value&name=value with percent-encoded values", err)
		}
	}
	if err := k.route.checkQuery(query); err != nil {
		return err
	}
	for _, parameter := range k.route.query {
		if values := query[parameter.Name]; len(values) > 0 &&
			parameter.Schema.Value.Extensions[personExtension] == true {
			values[0] = authz.TrimPerson(values[0])
		}
	}
	k.query = query
	return k.openQueryCursor()
}

// userSegment is the name of path segments in the contract that are ids of people.
const userSegment = "user"

// unescapeIDs unescapes the ids in the path, in place.
func unescapeIDs(params gin.Params) error {
	for i, param := range params {
		value, err := url.PathUnescape(param.Value)
		if err != nil {
			return authz.Errorf(authz.CodeInvalid,
				"the %s in the path has a malformed percent-escape; a %% itself is written %%25", param.Key)
		}
		parse := parseID
		if param.Key == userSegment {
			parse = parsePerson
		}
		id, err := parse("the "+param.Key+" in the path", value)
		if err != nil {
			return err
		}
		params[i].Value = string(id)
	}
	return nil
}

// maxEmptyBody is the largest size in bytes of a body that counts as empty, with white space.
const maxEmptyBody = 16

// expectNoBody returns an error unless the body is empty or an empty object. Some clients always send an object.
func expectNoBody(body io.Reader) error {
	if body == nil {
		return nil
	}
	var begin [maxEmptyBody + 1]byte
	n, err := io.ReadFull(body, begin[:])
	if errors.Is(err, errNotGzip) {
		return errNotGzip
	}
	if text := strings.TrimSpace(string(begin[:n])); n > maxEmptyBody || text != "" && text != "{}" {
		return errNoBody
	}
	return nil
}

var errNoBody = authz.Errorf(authz.CodeInvalid, "this call takes no body; send none, or {}")
