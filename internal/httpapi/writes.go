package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/owntype"
)

// write says how to decode and answer an operation that changes something. The live server performs the decoded call on
// its operations, and a preview performs it on operations over an overlay.
type write struct {
	status int // HTTP status of the answer
	decode func(request) (writeCall, error)
}

// writeCall performs an operation whose request is decoded. It returns the body of the answer, which has the fields
// Token and Replayed. Apart from the token and the ids in the request, all fields are optional, since the answer of a
// replay with hidden values omits them.
type writeCall func(ctx context.Context, on Operations) (body any, done operation.Done, err error)

// writes has the operations that change something, by operation id of the contract. Each entry becomes the field write
// of the operation's route.
var writes = withSimpleTypes(map[string]write{
	"addPlatformAdministrator":    {http.StatusOK, addPlatformAdministrator},
	"removePlatformAdministrator": {http.StatusOK, removePlatformAdministrator},
	"eraseUser":                   {http.StatusOK, eraseUser},

	"writeRelationships":  {http.StatusOK, writeRelationships},
	"deleteRelationships": {http.StatusOK, deleteRelationships},

	"createAccountRole":      {http.StatusCreated, createRole("account")},
	"createSubscriptionRole": {http.StatusCreated, createRole("subscription")},
	"putAccountRole":         {http.StatusOK, putRole("account")},
	"putSubscriptionRole":    {http.StatusOK, putRole("subscription")},
	"deleteAccountRole":      {http.StatusOK, deleteRole("account")},
	"deleteSubscriptionRole": {http.StatusOK, deleteRole("subscription")},

	"createAccountServiceAccount":           {http.StatusCreated, createServiceAccount("account")},
	"createSubscriptionServiceAccount":      {http.StatusCreated, createServiceAccount("subscription")},
	"deleteServiceAccount":                  {http.StatusOK, deleteObject(authz.TypeServiceAccount)},
	"putAccountServiceAccountRoles":         {http.StatusOK, putHolderRoles("account", authz.TypeServiceAccount)},
	"removeAccountServiceAccountRoles":      {http.StatusOK, removeHolderRoles("account", authz.TypeServiceAccount)},
	"putSubscriptionServiceAccountRoles":    {http.StatusOK, putHolderRoles("subscription", authz.TypeServiceAccount)},
	"removeSubscriptionServiceAccountRoles": {http.StatusOK, removeHolderRoles("subscription", authz.TypeServiceAccount)},

	"createConnector": {http.StatusCreated, createInAccount("connector")},
	"putConnector":    {http.StatusOK, putConnector},
	"deleteConnector": {http.StatusOK, deleteObject("connector")},

	"createSubscription":             {http.StatusCreated, createSubscription},
	"putFeatures":                    {http.StatusOK, putFeatures},
	"deleteSubscription":             {http.StatusOK, deleteObject("subscription")},
	"transferSubscription":           {http.StatusOK, transferSubscription},
	"putSubscriptionMember":          {http.StatusOK, putSubscriptionMember},
	"removeSubscriptionMember":       {http.StatusOK, removeSubscriptionMember},
	"putMemberAccounts":              {http.StatusOK, putMemberAccounts},
	"inviteToSubscription":           {http.StatusCreated, invite("subscription")},
	"withdrawSubscriptionInvitation": {http.StatusOK, withdrawInvitation("subscription")},

	"createGroup":                  {http.StatusCreated, createGroup},
	"putAccountGroup":              {http.StatusOK, putHolderRoles("account", authz.TypeGroup)},
	"removeAccountGroup":           {http.StatusOK, removeHolderRoles("account", authz.TypeGroup)},
	"putSubscriptionGroupRoles":    {http.StatusOK, putHolderRoles("subscription", authz.TypeGroup)},
	"removeSubscriptionGroupRoles": {http.StatusOK, removeHolderRoles("subscription", authz.TypeGroup)},
	"putGroup":                     {http.StatusOK, putGroup},
	"deleteGroup":                  {http.StatusOK, deleteObject(authz.TypeGroup)},
	"patchGroupMembers":            {http.StatusOK, patchGroupMembers},
	"addGroupMember":               {http.StatusOK, changeGroupMember(true)},
	"removeGroupMember":            {http.StatusOK, changeGroupMember(false)},

	"createAccount":             {http.StatusCreated, createAccount},
	"deleteAccount":             {http.StatusOK, deleteObject("account")},
	"patchAccountMembers":       {http.StatusOK, patchAccountMembers},
	"putAccountMember":          {http.StatusOK, putAccountMember},
	"removeAccountMember":       {http.StatusOK, removeAccountMember},
	"inviteToAccount":           {http.StatusCreated, invite("account")},
	"withdrawAccountInvitation": {http.StatusOK, withdrawInvitation("account")},

	"acceptInvitation":  {http.StatusOK, acceptInvitation},
	"declineInvitation": {http.StatusOK, declineInvitation},

	"createImporter":         {http.StatusCreated, createImporter},
	"setImporterConnections": {http.StatusOK, setImporterConnections},
	"copyImporter":           {http.StatusCreated, copyImporter},
	"deleteImporter":         {http.StatusOK, deleteObject("importer")},

	"createConnection":  {http.StatusCreated, createConnection},
	"shareConnection":   {http.StatusOK, shareConnection},
	"groupConnection":   {http.StatusOK, groupConnection},
	"ungroupConnection": {http.StatusOK, ungroupConnection},
	"deleteConnection":  {http.StatusOK, deleteObject("connection")},

	"createWorkspace":    {http.StatusCreated, createWorkspace},
	"setWorkspaceAccess": {http.StatusOK, setWorkspaceAccess},
	"deleteWorkspace":    {http.StatusOK, deleteObject("workspace")},
})

// withSimpleTypes adds the operations of authz.SimpleTypes.
func withSimpleTypes(all map[string]write) map[string]write {
	for _, typ := range authz.SimpleTypes {
		create := createInAccount
		if typ.Place == "workspace" {
			create = createInWorkspace
		}
		name := strings.ToUpper(string(typ.Name[:1])) + string(typ.Name[1:])
		all["create"+name] = write{http.StatusCreated, create(typ.Name)}
		all["delete"+name] = write{http.StatusOK, deleteObject(typ.Name)}
	}
	return all
}

// registerWrites adds the routes of the operations that change something to a router.
func (s *server) registerWrites(router gin.IRoutes) {
	for methodAndPath, route := range s.routes {
		if route.write != nil {
			method, path, _ := strings.Cut(methodAndPath, " ")
			router.Handle(method, path, s.performWrite)
		}
	}
}

// performWrite answers a request of an operation that changes something.
func (s *server) performWrite(c *gin.Context) {
	k := callOf(c)
	s.answer(c, k.route.write.status, func(ctx context.Context) (any, error) {
		r := request{call: k, own: s.config.OwnTypes}
		if k.route.body != nil {
			var err error
			if r.content, err = readBody(c); err != nil {
				return nil, err
			}
		}
		perform, err := k.route.write.decode(r)
		if err != nil {
			return nil, err
		}
		body, done, err := perform(ctx, s.config.Operations)
		if err != nil {
			return nil, err
		}
		if done.IsReplay {
			body = replayed(body, done.IsHidden)
		}
		return body, nil
	})
}

// request is a request with valid parameters: the HTTP request itself, or the request that a preview names.
type request struct {
	*call

	content []byte         // content of the body; empty if the route has none
	own     *owntype.Rules // which relationships callers may write
}

// id returns the id in the path.
func (r request) id() authz.ID { return authz.ID(r.params.ByName("id")) }

// user returns the person in the path.
func (r request) user() authz.ID { return authz.ID(r.params.ByName(userSegment)) }
