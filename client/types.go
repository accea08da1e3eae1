package client

import "github.com/sluice-authz/sluice/client/rest"

type (
	// NewSubscription asks for a subscription; its role set is single_owner or multi_owner.
	NewSubscription = rest.NewSubscription

	// NewAccount asks for an account; its role set is team, operations or analytics.
	NewAccount = rest.NewAccount

	// NewImporter asks for an importer; Source and Destination may be empty.
	NewImporter = rest.NewImporter

	// NewConnection asks for a connection; an empty Visibility takes the account's default.
	NewConnection = rest.NewConnection

	// NewWorkspace asks for a workspace.
	NewWorkspace = rest.NewWorkspace

	// NewPart asks for an integration, export, report or connector of an account.
	NewPart = rest.NewPartOfAccount

	// NewWorkspacePart asks for a flow, schedule or service of a workspace.
	NewWorkspacePart = rest.NewPartOfWorkspace

	// Sharing says who of an account sees a connection: Shared, or Private with the people it is shared with by name.
	Sharing = rest.Sharing

	// Access says who may enter a workspace.
	Access = rest.Access

	// RolesByID are roles by the id of a person or an account; an empty list takes every role.
	RolesByID = map[string][]string
)

type (
	// Subscription is a subscription with its features.
	Subscription = rest.Subscription

	// ListedSubscription is a subscription in the list of all.
	ListedSubscription = rest.ListedSubscription

	// Account is an account.
	Account = rest.Account

	// ListedAccount is an account with the roles of whom the list is for.
	ListedAccount = rest.ListedAccount

	// Member is a person with their roles.
	Member = rest.Member

	// MemberDetails is one person with their roles, read alone.
	MemberDetails = rest.MemberDetails

	// ChangedMember is a person with the roles that they have now.
	ChangedMember = rest.ChangedMember

	// Offboarding is what hangs on a person in an account.
	Offboarding = rest.Offboarding
	// Reassigned is what a removal moved to another person.
	Reassigned = rest.Reassigned

	// PrivateConnections is what happens to the private connections of somebody who leaves: Disconnect or Leave.
	PrivateConnections = rest.PrivateConnectionsOf

	// Importer is an importer; Source and Destination are empty where there is none.
	Importer = rest.Importer

	// CopiedImporter is an importer, and in LeftOut the ends that the copy did not take along.
	CopiedImporter = rest.CopiedImporter

	// Connection is a connection.
	Connection = rest.Connection

	// Connector is a connector of the catalogue, or one of an account's own, which has an Account.
	Connector = rest.Connector

	// Workspace is a workspace.
	Workspace = rest.Workspace

	// Part is an integration, export, report or connector of an account.
	Part = rest.PartOfAccount

	// WorkspacePart is a flow, schedule or service of a workspace.
	WorkspacePart = rest.PartOfWorkspace

	// ResourceType is a type of the schema with its permissions.
	ResourceType = rest.ResourceType

	// RoleSet is a role set with its roles.
	RoleSet = rest.RoleSet
)

// Private and Shared are who sees a connection.
const (
	Private = rest.Private
	Shared  = rest.Shared
)
