package client

import "github.com/sluice-authz/sluice/client/rest"

// What goes into operations.
type (
	NewSubscription = rest.NewSubscription
	NewAccount      = rest.NewAccount
	NewImporter     = rest.NewImporter
	NewConnection   = rest.NewConnection
	NewWorkspace    = rest.NewWorkspace

	// NewPart is an integration, export, report or connector of an account.
	NewPart = rest.NewPartOfAccount

	// NewWorkspacePart is a flow, schedule or service of a workspace.
	NewWorkspacePart = rest.NewPartOfWorkspace

	// Sharing says who of an account sees a connection: Shared, or Private with the people it is shared with by name.
	Sharing = rest.Sharing

	// Access says who may enter a workspace.
	Access = rest.Access

	// RolesByID are roles by the id of a person or an account; an empty list takes every role.
	RolesByID = map[string][]string
)

// What comes out of them.
type (
	Subscription   = rest.Subscription
	Account        = rest.Account
	ListedAccount  = rest.ListedAccount
	Member         = rest.Member
	ChangedMember  = rest.ChangedMember
	Importer       = rest.Importer
	CopiedImporter = rest.CopiedImporter
	Connection     = rest.Connection
	Connector      = rest.Connector
	Workspace      = rest.Workspace
	Part           = rest.PartOfAccount
	WorkspacePart  = rest.PartOfWorkspace
	ResourceType   = rest.ResourceType
	RoleSet        = rest.RoleSet
)

// Who sees a connection.
const (
	Private = rest.Private
	Shared  = rest.Shared
)
